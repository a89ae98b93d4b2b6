"""What a config scores over seeds, and how much better it is than another, paired by shared seeds.

This is the luck of the *seed*: initial weights, order of batches, perhaps the split. The examples
stay what they were; their luck is in ``distributions`` and ``random_effects``, and
``add_image_error`` adds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from besom.equality import SameFields
from besom.statistics.distributions import (
    Interval,
    normal_quantile,
    student_above,
    student_quantile_at,
    wilson_at,
)
from besom.statistics.ranking import sign_of

Floats = NDArray[np.float64]

#: Below this many seeds no bootstrap interval can reach 95 %: even the whole range of five values
#: holds the true median with probability 1 - 2 / 2**5 = 93.75 % only.
FEWEST_FOR_BOOTSTRAP = 6

_N_RESAMPLES = 20_000

#: Scores whose standard deviation is below this share of the largest are equal but for rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Estimate(SameFields):
    """A mean over seeds, or a difference of two.

    Attributes:
        mean: in the unit of the scores.
        standard_deviation: between seeds (of the differences, if paired); NaN for one seed, and for
            ``welch``, where two configs have one each.
        standard_error: of ``mean``; NaN if one seed, or equal scores, cannot tell.
        interval: of ``mean``; infinite if one seed, or equal scores, cannot tell.
        n: seeds (shared seeds if paired; the fewer of the two if ``welch``).
        method: ``student-t``, ``bootstrap``, ``paired-t`` or ``welch``: what was really used.
    """

    mean: float
    standard_deviation: float
    standard_error: float
    interval: Interval
    n: int
    method: str


def mean_interval(
    values: Sequence[float],
    *,
    confidence: float = 0.95,
    method: str = "student-t",
    seed: int = 0,
    step: float = 0.0,
) -> Estimate:
    """Return the mean over seeds with its interval.

    ``student-t``: ``mean ± t_{n-1} s/sqrt(n)`` (Student 1908, Biometrika 6:1). It supposes scores
    that scatter about normally; with few seeds nothing weaker gives an interval worth having.

    ``bootstrap``: the percentiles of the mean of n seeds drawn again, taken further out by
    ``sqrt(n/(n - 1)) t/z`` because plain ones are too narrow for few seeds (the "expanded
    percentile interval", Hesterberg 2015, The American Statistician 69:371). Follows a lopsided
    scatter, and never leaves the range seen. With fewer than six seeds Student's t is used instead,
    and ``method`` of the result says so.

    Scores that are all equal are no proof that seeds do not matter: few seeds and a coarse score
    look so by chance. Their standard error is that of scores which scatter by one ``step``; without
    a step there is none, as with a single seed.

    Args:
        values: one finite score a seed, at least one.
        confidence: of the interval.
        method: ``student-t`` or ``bootstrap``.
        seed: of the bootstrap.
        step: the smallest difference that can be seen: one image's share, of an accuracy; 0 if
            unknown.

    Raises:
        ValueError: no value, one that is not finite, or an unknown method.
    """
    scores = finite(values)
    if method not in ("student-t", "bootstrap"):
        raise ValueError(f"method is {method!r}; it must be 'student-t' or 'bootstrap'")
    n, mean = scores.size, math.fsum(scores) / scores.size
    unknown = Interval(-math.inf, math.inf)
    if n == 1:
        return Estimate(mean, math.nan, math.nan, unknown, 1, "student-t")
    deviation = float(scores.std(ddof=1))
    equal = deviation <= ROUNDING * float(np.abs(scores).max())
    if equal and not step:
        return Estimate(mean, deviation, math.nan, unknown, n, "student-t")
    error = (step if equal else deviation) / math.sqrt(n)
    t = student_quantile_at(0.5 + confidence / 2.0, n - 1)
    interval = Interval(mean - t * error, mean + t * error)
    if method == "bootstrap" and n >= FEWEST_FOR_BOOTSTRAP and not equal:
        draws = np.random.default_rng(seed).choice(scores, size=(_N_RESAMPLES, n)).mean(axis=1)
        tail = special.ndtr(-t * math.sqrt(n / (n - 1)))
        low, high = np.quantile(draws, [tail, 1.0 - tail])
        return Estimate(mean, deviation, error, Interval(float(low), float(high)), n, method)
    return Estimate(mean, deviation, error, interval, n, "student-t")


def add_image_error(estimate: Estimate, error: float, confidence: float = 0.95) -> Estimate:
    """Return what may be claimed of *new* images, where ``estimate`` speaks of these examples only.

    Each half of the interval and ``z error`` are added in quadrature (Zou and Donner 2008, Stat.
    Med. 27:1693): right where one of the two is small, somewhat too wide where both matter and the
    seeds are few, and never narrower than the interval for these examples.

    Args:
        estimate: of a mean or a gain over seeds, all on the same images.
        error: the standard error that the choice of the images adds.
        confidence: the same as in ``estimate``.
    """
    mean, (low, high) = estimate.mean, estimate.interval
    half = normal_quantile(confidence) * error
    interval = Interval(mean - math.hypot(mean - low, half), mean + math.hypot(high - mean, half))
    total = math.hypot(estimate.standard_error, error)
    return replace(estimate, standard_error=total, interval=interval)


def within_a_share(estimate: Estimate, n: int) -> Estimate:
    """Return a mean share over seeds, for new examples, with an interval that is honest near 1.

    A symmetric interval is too high there: of a true 98 % on 360 examples, one of 98.75 % held 90
    %. Wilson's (``wilson_interval``) is not symmetric; it gets as many examples as a share of this
    standard error would have, ``mean (1 - mean)/error²`` (n where that says nothing), and as many
    standard errors as the half width has.

    Args:
        estimate: of a share, from ``add_image_error``.
        n: how many examples each seed was judged on.
    """
    share, error = min(max(estimate.mean, 0.0), 1.0), estimate.standard_error
    if not error > 0.0:
        return estimate
    n_effective = share * (1.0 - share) / error**2 or float(n)
    z = estimate.interval.width / 2.0 / error
    return replace(estimate, interval=wilson_at(share, max(n_effective, 1.0), z))


def finite(values: Sequence[float]) -> Floats:
    """Return scores as an array.

    Raises:
        ValueError: there is none, or one is NaN or infinite.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError(f"{list(values)} was given; at least one score is needed, all finite")
    return scores


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
        p_value = 2.0 * student_above(abs(estimate.mean) / estimate.standard_error, estimate.n - 1)
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
        half = error * student_quantile_at(0.5 + confidence / 2.0, min(n, m) - 1)
        interval = Interval(mean - half, mean + half)
        return Gain(replace(unknown, standard_error=error, interval=interval), p_value)
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    t = student_quantile_at(0.5 + confidence / 2.0, freedom)
    interval = Interval(mean - t * error, mean + t * error)
    p_value = 2.0 * student_above(abs(mean) / error, freedom)
    return Gain(replace(unknown, standard_error=error, interval=interval), p_value)
