"""What the leader gains over the config as it was before tuning, on the same validation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from besom.statistics.candidates import candidates, n_epochs_picked_from
from besom.statistics.correctness import correctness_matrix
from besom.statistics.paired import compare_with_first, paired_gain
from besom.statistics.proportions import Interval
from besom.statistics.selection import Draws, Selection, correct_for_selection
from besom.store.records import Objective, TrialRecord


@dataclass(frozen=True)
class BaselineGain:
    """What the leader gains over the baseline on the same images; positive is better.

    Attributes:
        trial: the baseline's number.
        raw: the leader's score less the baseline's, optimistic like the leader's score.
        gain: the same with the leader's score corrected for selection, and the baseline's for the
            choice of its epoch.
        standard_error: of ``gain``.
        interval: for the true gain, from the lower end of ``gain`` to the upper end of ``raw``.
        p_value: McNemar's, times the number of trials and epochs the leader was picked from
            (Bonferroni): an upper bound that trusts no bootstrap.
    """

    trial: int
    raw: float
    gain: float
    standard_error: float
    interval: Interval
    p_value: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves no room for "no gain"."""
        return self.interval.low > 0.0


def gain_over_baseline(
    testable: Sequence[TrialRecord], objective: Objective, selection: Selection, draws: Draws
) -> BaselineGain | None:
    """Return what the leader gains over the baseline.

    Args:
        testable: the trials that can be tested, the leader first.
        objective: by which it was picked.
        selection: the correction of its score.
        draws: the same that this correction was made with.

    Returns:
        None if the baseline leads itself, or is not among ``testable``.

    Raises:
        StudyError: the baseline's stored predictions are damaged.
    """
    leader = testable[0]
    baseline = next((trial for trial in testable if trial.baseline), leader)
    if baseline is leader:
        return None
    right = correctness_matrix([baseline, leader])
    paired = paired_gain(right[1], right[0], draws["confidence"])
    # The baseline was not picked among trials, but its epoch was among its epochs: by that much it
    # looks too good, and the gain over it too small.
    own = correct_for_selection(candidates([baseline], objective).correct, **draws)
    gain, half = paired.gain - selection.optimism + own.optimism, paired.interval.width / 2.0
    p_value = compare_with_first(right, 0, first_was_chosen=False).p_value[1]
    n_picked = sum(n_epochs_picked_from(t, objective) for t in testable if t is not baseline)
    return BaselineGain(
        trial=baseline.number,
        raw=paired.gain,
        gain=gain,
        standard_error=paired.standard_error,
        interval=Interval(gain - half, max(gain, paired.gain) + half),
        p_value=min(1.0, float(p_value) * n_picked),
    )
