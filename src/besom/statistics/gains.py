"""How much better one config is than another over seeds, paired where they share them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from besom.equality import SameFields
from besom.statistics import distributions
from besom.statistics.proportions import Interval
from besom.statistics.ranking import sign_of
from besom.statistics.seeds import ROUNDING, Estimate, Floats, finite, mean_interval

#: The scores of one config: seed to score.
SeedScores = Mapping[int, float]


@dataclass(frozen=True, eq=False)
class Gain(SameFields):
    """How much better one config is than another over seeds; positive is better, also if minimised.

    Attributes:
        estimate: of the gain.
        p_value: two-sided, of "no gain at all"; NaN if there are too few seeds to tell.
    """

    estimate: Estimate
    p_value: float

    @property
    def p_better(self) -> float:
        """One-sided: how often so large a gain would appear if there were none, or a loss."""
        return self.p_value / 2.0 if self.estimate.mean > 0.0 else 1.0 - self.p_value / 2.0


def gain_over(
    scores: SeedScores,
    other: SeedScores,
    direction: str,
    *,
    pairing: str = "auto",
    confidence: float = 0.95,
    step: float = 0.0,
) -> Gain:
    """Return how much better ``scores`` is than ``other``, seeds being what varies.

    ``paired``: Student's t on the differences at shared seeds. A seed may decide the split, so that
    its scores rise and fall together; pairing is right whether they do or not. ``welch``: unequal
    variances and no pairs (Welch 1947, Biometrika 34:28), for configs that share no seeds.

    Differences that are all the same (a coarse score, few seeds) tell nothing of their scatter; the
    p-value is then the sign test's, ``2 / 2^n``, instead of 0, and the interval that of differences
    which scatter by one ``step``; without a step there is none.

    Args:
        scores, other: seed to score, at least one each.
        direction: ``maximize`` or ``minimize``.
        pairing: ``paired``, ``welch``, or ``auto``: paired if at least two seeds are shared.
        confidence: of the interval.
        step: the smallest difference in a score that can be seen, see ``mean_interval``.

    Raises:
        ValueError: nothing to compare, an unknown pairing or direction, a value not finite.
    """
    sign = sign_of(direction)
    if pairing not in ("auto", "paired", "welch"):
        raise ValueError(f"pairing is {pairing!r}; it must be 'auto', 'paired' or 'welch'")
    shared = sorted(scores.keys() & other.keys())
    if pairing == "paired" and not shared:
        raise ValueError("the two share no seed, so they cannot be paired; use 'welch'")
    if pairing == "paired" or (pairing == "auto" and len(shared) >= 2):
        return _paired([sign * (scores[s] - other[s]) for s in shared], confidence, step)
    mine, theirs = finite(list(scores.values())), finite(list(other.values()))
    return _welch(sign * mine, sign * theirs, confidence, step)


def _paired(differences: Sequence[float], confidence: float, step: float) -> Gain:
    estimate = mean_interval(differences, confidence=confidence, step=step)
    estimate = replace(estimate, method="paired-t")
    if estimate.n < 2:
        return Gain(estimate, math.nan)
    largest = max(abs(value) for value in differences)
    if estimate.standard_deviation <= ROUNDING * largest:
        p_value = 2.0 / 2.0**estimate.n if largest > 0.0 else 1.0
    else:
        p_value = 2.0 * distributions.student_above(
            abs(estimate.mean) / estimate.standard_error, estimate.n - 1
        )
    return Gain(estimate, p_value)


def _welch(mine: Floats, theirs: Floats, confidence: float, step: float) -> Gain:
    n, m = mine.size, theirs.size
    mean = float(mine.mean() - theirs.mean())
    unknown = Estimate(mean, math.nan, math.nan, Interval(-math.inf, math.inf), min(n, m), "welch")
    if unknown.n < 2:
        return Gain(unknown, math.nan)
    a, b = float(mine.var(ddof=1)) / n, float(theirs.var(ddof=1)) / m
    error = math.sqrt(a + b)
    if error <= ROUNDING * abs(mean) or error == 0.0:
        p_value = 1.0 if mean == 0.0 else 2.0 / math.comb(n + m, n)
        if not step:
            return Gain(unknown, p_value)
        error = step * math.sqrt(1.0 / n + 1.0 / m)
        half = error * distributions.student_quantile_at(0.5 + confidence / 2.0, min(n, m) - 1)
        interval = Interval(mean - half, mean + half)
        return Gain(replace(unknown, standard_error=error, interval=interval), p_value)
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    t = distributions.student_quantile_at(0.5 + confidence / 2.0, freedom)
    interval = Interval(mean - t * error, mean + t * error)
    p_value = 2.0 * distributions.student_above(abs(mean) / error, freedom)
    return Gain(replace(unknown, standard_error=error, interval=interval), p_value)
