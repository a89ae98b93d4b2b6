"""What more trials may be expected to add, beside the noise of one score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from besom.equality import SameFields
from besom.statistics.correctness import scored, table_of
from besom.statistics.distributions import proportion_standard_error
from besom.statistics.kinds import standard_error
from besom.statistics.ranking import sign_of
from besom.store.records import Objective, Outcome, TrialRecord

#: ``prospect_of`` is about this many further trials.
N_MORE = 20

#: With fewer trials that have a value than this, there is no estimate.
FEWEST_TRIALS = 10


def fewest_trials(n_more: int) -> int:
    """How many trials with a value an estimate for ``n_more`` further ones needs.

    As many as are asked about, at least. Where a part of the space is bad, as it usually is, the
    estimate takes the climb out of it for what is still to come: in a simulation it was 7 times too
    high after 10 trials and 4 times after 12, but 1.6 times after the 20 that were asked about.
    """
    return max(FEWEST_TRIALS, n_more)


@dataclass(frozen=True, eq=False)
class Prospect(SameFields):
    """What the next trials may be expected to bring. Gains are in the objective's unit, 0 or more.

    Attributes:
        n_trials: trials so far, those without a value included.
        n_more: the trials asked about.
        expected_gain: by how much they are expected to improve the best score seen; NaN where
            fewer trials than ``fewest_trials(n_more)`` have a value.
        chance: that at least one of them is a new best, ``m/(n + m)``.
        recent_gain: by how much the last ``n_more`` trials really improved it; NaN if there were no
            values before them.
        noise: the standard error of one score; NaN if unknown.
    """

    n_trials: int
    n_more: int
    expected_gain: float
    chance: float
    recent_gain: float
    noise: float

    @property
    def above_noise(self) -> bool | None:
        """Whether the expected gain exceeds one standard error; None if either is unknown."""
        if math.isnan(self.expected_gain) or math.isnan(self.noise):
            return None
        return self.expected_gain > self.noise


def expected_gain(
    values: Sequence[float | None],
    n_more: int,
    direction: str,
    *,
    noise: float = math.nan,
) -> Prospect:
    """Return how much ``n_more`` further trials may be expected to improve the best score.

    The assumption is exchangeability: the next trials come from the same source as these, as under
    random search. Then the n trials could have come in any order, and the mean over all orders of
    what the last ``m' = n m/(n + m)`` of n trials added is known exactly:

        ``best - E[best of s],  s = n - m',  E[best of s] = sum_i x_(i) C(i-1, s-1)/C(n, s)``

    with ``x_(1) <= ... <= x_(n)`` the scores in order: the unbiased expected best of s trials (Tang
    et al. 2020, "Showing your work doesn't always work", ACL; after Dodge et al. 2019, EMNLP). The
    next m trials lengthen the search by the same factor ``(n + m)/n``, and for scores with a bound,
    as accuracies and losses have, equal factors bring less and less in the long run (extreme value
    theory: the shape parameter is not positive). So the estimate errs towards going on. What no
    such estimate can foresee is a rare good region that no trial has met yet. The chance of a new
    best, ``m/(n + m)``, needs exchangeability only (Rényi 1962, on records).

    A sampler that learns is not exchangeable; it may do better than this, and ``recent_gain`` shows
    what it really did of late. And the gain is in the *measured* best, part of which is luck.

    Args:
        values: each trial's score in the order they ran; None for one that was pruned or failed: it
            counts as a trial that did not win.
        n_more: how many more trials, at least 1.
        direction: ``maximize`` or ``minimize``.
        noise: the standard error of one score, to compare with.

    Raises:
        ValueError: ``n_more`` < 1, a bad direction, or a value that is not finite.
    """
    if n_more < 1:
        raise ValueError(f"n_more is {n_more}; ask about at least 1 more trial")
    sign = sign_of(direction)
    known = [sign * float(value) for value in values if value is not None]
    if not all(math.isfinite(value) for value in known):
        raise ValueError("a trial's value must be finite, or None if it has none")
    n = len(values)
    chance = n_more / (n + n_more)
    if len(known) < fewest_trials(n_more):
        return Prospect(n, n_more, math.nan, chance, math.nan, noise)
    # A trial without a value did not win; for the expected best it may as well have been the worst.
    worst = min(known)
    scores = np.array([worst if value is None else sign * value for value in values])
    before = [sign * float(value) for value in values[:-n_more] if value is not None]
    return Prospect(
        n_trials=n,
        n_more=n_more,
        expected_gain=max(float(scores.max()) - _expected_best(scores, n * n / (n + n_more)), 0.0),
        chance=chance,
        recent_gain=max(known) - max(before) if before else math.nan,
        noise=noise,
    )


def prospect_of(trials: Sequence[TrialRecord], aim: Objective) -> Prospect | None:
    """Return what ``N_MORE`` further trials may be expected to add to these.

    Args:
        trials: in the order they ended; those of a warm start and those that run are left out.
        aim: what their first value is of.

    Returns:
        None where no trial is complete.
    """
    left_out = (Outcome.RUNNING, Outcome.WARM_START)
    ended = [trial for trial in trials if trial.outcome not in left_out]
    known = [trial for trial in ended if trial.outcome is Outcome.COMPLETE]
    best = max(known, key=lambda t: aim.sign * (t.value or 0.0), default=None)
    if best is None or best.value is None:
        return None
    noise, row = math.nan, scored(best, aim, best.value)
    if row is not None:
        noise = standard_error(table_of([row]), 0)
    elif best.n_validation and aim.is_share:
        noise = proportion_standard_error(best.value, best.n_validation)
    return expected_gain([t.value for t in ended], N_MORE, aim.direction, noise=noise)


def _expected_best(scores: NDArray[np.float64], size: float) -> float:
    """The expected maximum of ``size`` of the scores, drawn without replacement; ``size`` >= 1.

    For a size that is not whole the binomials are continued by the gamma function.
    """
    n = scores.size
    size = min(max(size, 1.0), float(n))
    rank = np.arange(1, n + 1, dtype=np.float64)
    possible = rank > size - 1.0
    above = np.where(possible, rank - size + 1.0, 1.0)
    log_weight = gammaln(rank) - gammaln(size) - gammaln(above)
    log_total = gammaln(n + 1.0) - gammaln(size + 1.0) - gammaln(n - size + 1.0)
    weights = np.where(possible, np.exp(log_weight - log_total), 0.0)
    # Whole sizes sum to 1 exactly; others nearly, and the remainder would bias the best.
    return float((weights * np.sort(scores)).sum() / weights.sum())
