"""What may be claimed of a study, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from besom.statistics.distributions import Interval


@dataclass(frozen=True)
class Row:
    """What may be said of one complete trial. Shares of examples are from 0 to 1.

    Attributes:
        trial: its number.
        rank: equal scores share a rank.
        value: the objective; the exact share of examples where the bits say the same (``score``).
        standard_error: of ``value``, by the luck of the examples; None if it is not known of each
            what the trial scored on it.
        interval: of ``value``: for a trial picked beforehand, not for the best of many.
        p_value: of "as good as the first", paired and corrected; None if it cannot be tested.
        tied: whether it is not distinguishable from the first (the first included); None if not
            testable.
    """

    trial: int
    rank: int
    value: float
    standard_error: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    tied: bool | None = None


@dataclass(frozen=True)
class BaselineGain:
    """What the leader gains over the baseline on the same examples; positive is better.

    With ``n_seeds`` it is what its config gains, by so many fresh seeds of both; else what its
    weights gain, one seed each.

    Attributes:
        trial: the baseline's number.
        raw: the leader's score less the baseline's, optimistic like the leader's score.
        gain: the same with the leader's score corrected for selection, and the baseline's for the
            choice of its epoch; or the mean over fresh seeds.
        standard_error: of ``gain``.
        interval: for the true gain, from the lower end of ``gain`` to the upper end of ``raw``.
        p_value: paired, times the number of trials and epochs the leader was picked from
            (Bonferroni): an upper bound that trusts no bootstrap; None of fresh seeds.
        n_seeds: fresh seeds; 0: none.
    """

    trial: int
    raw: float
    gain: float
    standard_error: float
    interval: Interval
    p_value: float | None
    n_seeds: int = 0

    @property
    def shown(self) -> bool:
        """Whether the interval leaves no room for "no gain"."""
        return self.interval.low > 0.0


@dataclass(frozen=True)
class Claim:
    """What may be claimed of a study.

    Attributes:
        text: one sentence for the terminal.
        leader: the trial with the best score, the lowest number if several share it; None if there
            is no complete trial, or no single objective.
        tied: the trials that are not distinguishable from the leader, itself not included.
        raw: the leader's score, as ranked.
        corrected: the same, corrected for having been picked; None where it cannot be.
        standard_error: of ``corrected``.
        interval: for what the leader is truly worth, from the corrected score's lower end to the
            raw one's upper end (see ``correct_for_selection``).
        baseline: the gain over the baseline; None if that cannot be tested, or if it leads itself.
        front: with several objectives, the trials on the Pareto front; else empty.
        each: with several objectives, what may be claimed by each alone, by its metric; else empty.
        n_seeds: how many fresh seeds of the leader's config ``corrected`` and what is about it rest
            on; 0: on its own weights.
        n_compared: how many other complete trials could be compared with the leader.
        rows: every complete trial by its number, best first; empty with several objectives.
        caveats: sentences that limit the claim in this very study; docs/what-may-i-claim.md has
            those that limit every one.
    """

    text: str
    leader: int | None = None
    tied: tuple[int, ...] = ()
    raw: float | None = None
    corrected: float | None = None
    standard_error: float | None = None
    interval: Interval | None = None
    baseline: BaselineGain | None = None
    front: tuple[int, ...] = ()
    each: Mapping[str, Claim] = field(default_factory=dict)
    n_seeds: int = 0
    n_compared: int = 0
    rows: Mapping[int, Row] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
