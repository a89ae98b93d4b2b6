"""Several configs over seeds: who need not be given another seed, as it can no longer be first."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from besom.equality import SameFields
from besom.statistics.ranking import sign_of
from besom.statistics.seeds import Estimate, SeedScores, gain_over, mean_interval

#: Two seeds have one degree of freedom and a scatter known within a factor of thirty.
FEWEST_SEEDS_TO_LOSE = 3


@dataclass(frozen=True, eq=False)
class Race(SameFields):
    """Who may still win.

    Attributes:
        leader: the best mean among those still in; None if no config has a score yet.
        alive: those that get more seeds, the most promising first (see ``race``).
        beaten: those that get no more, with the corrected p-value; NaN if an earlier look decided.
    """

    leader: int | None
    alive: tuple[int, ...]
    beaten: dict[int, float]


def race(
    scores: Mapping[int, SeedScores],
    direction: str,
    *,
    n_looks: int,
    confidence: float = 0.95,
    already_beaten: Collection[int] = (),
) -> Race:
    """Decide which configs need no more seeds because the leader beats them.

    A config is beaten when the one-sided p-value of the leader's gain over it (``gain_over``:
    paired t at shared seeds) times ``k (k - 1) n_looks`` is at most ``1 - confidence``; k configs
    entered. Neither the leader nor the beaten was given, both were chosen by these very scores, so
    any ordered pair might be the one that stands out, at any look. Counting them all, the whole
    race calls some config beaten by one that is not better with probability ``1 - confidence`` at
    most (Bonferroni's inequality), as far as Student's t holds for the differences. Counting the
    ``k - 1`` rivals alone would protect one config named beforehand, and no more.

    Racing comes from Maron and Moore 1994 (Hoeffding races, NIPS 6) and Birattari et al. 2002
    (F-Race, GECCO). Hoeffding's bound would need hundreds of seeds, and F-Race does not count its
    looks; hence the t-test and the counting here.

    Args:
        scores: trial number to its score by seed, for every config that entered, the beaten too;
            a config without any score yet is alive, and first in line.
        direction: ``maximize`` or ``minimize``.
        n_looks: how often this is asked in the whole race, so that every look counts.
        confidence: that none is called beaten by one that is not better; so the truly
            best config is never dropped.
        already_beaten: what earlier looks decided; it stands.

    Raises:
        ValueError: ``n_looks`` < 1, a bad direction, a score that is not finite.
    """
    if n_looks < 1:
        raise ValueError(f"n_looks is {n_looks}; a race is looked at once or more")
    sign_of(direction)
    running = [trial for trial in scores if trial not in already_beaten]
    means = {t: mean_interval(list(scores[t].values())) for t in running if scores[t]}
    beaten = {trial: math.nan for trial in scores if trial in already_beaten}
    if not means:
        return Race(None, tuple(sorted(running)), beaten)
    leader = min(means, key=lambda trial: (-sign_of(direction) * means[trial].mean, trial))
    tests = len(scores) * (len(scores) - 1) * n_looks
    for trial in means.keys() - {leader}:
        gain = gain_over(scores[leader], scores[trial], direction)
        if gain.estimate.n >= FEWEST_SEEDS_TO_LOSE and gain.p_better * tests <= 1.0 - confidence:
            beaten[trial] = gain.p_better * tests
    alive = [trial for trial in running if trial not in beaten]
    return Race(leader, tuple(sorted(alive, key=lambda t: _promise(t, means, direction))), beaten)


def _promise(trial: int, means: Mapping[int, Estimate], direction: str) -> tuple[float, float, int]:
    """Sort key: configs about which least is known come first, then those with the best mean."""
    if trial not in means:
        return (0.0, 0.0, trial)
    return (float(means[trial].n), -sign_of(direction) * means[trial].mean, trial)
