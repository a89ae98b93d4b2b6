"""What a config scores over seeds: the mean and its interval.

This is the luck of the *seed*: initial weights, order of batches, perhaps the split. The images
stay what they were; their luck is in ``proportions`` and ``random_effects``, and
``add_image_error`` adds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from besom.equality import SameFields
from besom.statistics import distributions
from besom.statistics.proportions import Interval, normal_quantile, proportion_standard_error

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
    t = distributions.student_quantile_at(0.5 + confidence / 2.0, n - 1)
    interval = Interval(mean - t * error, mean + t * error)
    if method == "bootstrap" and n >= FEWEST_FOR_BOOTSTRAP and not equal:
        draws = np.random.default_rng(seed).choice(scores, size=(_N_RESAMPLES, n)).mean(axis=1)
        tail = distributions.normal_below(-t * math.sqrt(n / (n - 1)))
        low, high = np.quantile(draws, [tail, 1.0 - tail])
        return Estimate(mean, deviation, error, Interval(float(low), float(high)), n, method)
    return Estimate(mean, deviation, error, interval, n, "student-t")


def widen_for_images(estimate: Estimate, n_images: int, confidence: float = 0.95) -> Estimate:
    """Return a mean accuracy over seeds with the luck of the images added, by their number alone.

    The images' part is taken to be ``mean (1 - mean)/n_images``. That is an upper bound: it
    supposes that all seeds fail on the same images. Where it is known who failed on which,
    ``besom.statistics.image_error`` gives it exactly.

    Args:
        estimate: of an accuracy, from 0 to 1, over at least two seeds, all on the same images.
        n_images: how many images each seed was judged on.
        confidence: the same as in ``estimate``.
    """
    share = min(max(estimate.mean, 0.0), 1.0)
    return add_image_error(estimate, proportion_standard_error(share, n_images), confidence)


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


def finite(values: Sequence[float]) -> Floats:
    """Return scores as an array.

    Raises:
        ValueError: there is none, or one is NaN or infinite.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError(f"{list(values)} was given; at least one score is needed, all finite")
    return scores
