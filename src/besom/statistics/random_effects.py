"""Seeds and examples were both drawn: what a mean over both says of other seeds *and* examples.

``seeds`` keeps the examples as they are. Here the table of what each seed scored on each example is
taken apart into the luck of the seed, that of the example, and that of the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from besom.statistics.distributions import student_quantile_at
from besom.statistics.kinds import DrawnScores
from besom.statistics.seeds import Gain, add_image_error

#: One config: seed to what it scored on each example, bool or float, shape (n_examples,); or to the
#: one row of ``DrawnScores`` that a metric has which does not come apart into examples.
RightBySeed = Mapping[int, Any]

#: Every p-value below e to this power is as good as 0.
_SMALLEST_LOG_P = -700.0


def image_error(right: RightBySeed, other: RightBySeed | None = None) -> float:
    """Return the standard error that the choice of the examples gives to a score, or a gain.

    Seed s scores on example i the amount ``m + a_s + b_i + e_si`` (of a gain: less the other
    config at the same seed), so the mean of k seeds on n images has the variance ``var(a)/k +
    var(b)/n + var(e)/(k n)``. What scatters between seeds holds the first and the third term, see
    ``mean_interval``; the second is what this returns the root of, by the mean squares of the
    two-way table: ``(MS_images - MS_rest)/(k n)``. The scatter between the images' means alone,
    ``MS_images/(k n)``, holds the third term once more (Searle, Casella and McCulloch 1992,
    Variance Components, ch. 4; the same subtraction as in two-way clustered errors, Cameron,
    Gelbach and Miller 2011, J. Bus. Econ. Stat. 29:238). No shape of the luck is supposed, only
    that the terms are uncorrelated (the crossed random effects of Owen 2007, Ann. Appl. Stat.
    1:386, whose pigeonhole bootstrap would count ``var(e)`` three times).

    That second term is how much two seeds' scores vary together, which is what scores on common
    bootstrap draws show too: there it is their mean covariance over all pairs of seeds.

    Of shares it is never less than ``1/n``, one example: that none differs is no proof that none
    will.

    Args:
        right: at least two seeds, equally many examples each, at least two.
        other: the same examples; only seeds that both have count.

    Returns:
        In the unit of the score; NaN with fewer than two seeds, which cannot tell the two lucks
        apart.

    Raises:
        ValueError: the numbers of images differ, or are below two.
    """
    seeds = sorted(right if other is None else right.keys() & other.keys())
    if len(seeds) < 2:
        return math.nan
    first = right[seeds[0]]
    if isinstance(first, DrawnScores):
        drawn = np.stack([right[seed].drawn for seed in seeds])
        if other is not None:
            drawn = drawn - np.stack([other[seed].drawn for seed in seeds])
        covariances, k = np.cov(drawn), len(seeds)
        together = (covariances.sum() - np.trace(covariances)) / (k * (k - 1))
        return math.sqrt(max(float(together), 0.0))
    table = np.stack([right[seed] for seed in seeds]).astype(np.float64)
    if other is not None:
        table -= np.stack([other[seed] for seed in seeds])
    k, n = table.shape
    if n < 2:
        raise ValueError(f"{n} example was given; at least two are needed to see their scatter")
    mean = float(table.mean())
    by_seed = n * float(np.square(table.mean(axis=1) - mean).sum())
    by_image = k * float(np.square(table.mean(axis=0) - mean).sum())
    total = float(np.square(table).sum()) - k * n * mean**2
    rest = max(total - by_seed - by_image, 0.0) / ((k - 1) * (n - 1))
    variance = (by_image / (n - 1) - rest) / (k * n)
    return math.sqrt(max(variance, 1.0 / n**2 if first.dtype == np.bool_ else 0.0))


def gain_for_new_images(gain: Gain, error: float, confidence: float = 0.95) -> Gain:
    """Return a gain over the same seeds on the same images, as it may be claimed of others.

    The interval is that of ``add_image_error``. The p-value is 1 less the largest confidence at
    which that interval leaves out "no gain"; it is never below that of ``gain``.

    Args:
        gain: paired over at least two seeds.
        error: of the images, from ``image_error`` of the two configs.
        confidence: the same as in ``gain``.

    Raises:
        ValueError: ``gain`` is not paired.
    """
    seeds = gain.estimate
    if seeds.method != "paired-t":
        raise ValueError(f"the gain is {seeds.method}; only a paired one has a table of examples")
    estimate = add_image_error(seeds, error, confidence)
    if math.isnan(gain.p_value):
        return replace(gain, estimate=estimate)
    scatter = 0.0 if math.isnan(seeds.standard_error) else seeds.standard_error
    p_value = _p_value(abs(seeds.mean), scatter, seeds.n - 1, error)
    return Gain(estimate, max(gain.p_value, p_value))


def _p_value(distance: float, scatter: float, freedom: int, error: float) -> float:
    """The p at which ``(t scatter)² + (z error)²``, the squared half width, is ``distance²``."""

    def reaches(log_p: float) -> bool:
        tail = math.exp(log_p) / 2.0
        t = student_quantile_at(tail, freedom) if scatter else 0.0
        return math.hypot(t * scatter, float(special.ndtri(tail)) * error) >= distance

    low, high = _SMALLEST_LOG_P, 0.0
    if not reaches(low):
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if reaches(middle) else (low, middle)
    return math.exp(low)
