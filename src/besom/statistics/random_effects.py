"""Seeds and images were both drawn: what a mean over both says of other seeds *and* other images.

``seeds`` keeps the images as they are. Here the table of which seed got which image right is taken
apart into the luck of the seed, that of the image, and that of the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from besom.statistics.distributions import student_quantile_at
from besom.statistics.seeds import Gain, add_image_error

#: One config: seed to, for each image, whether it was classified right; bool, shape (n_images,).
RightBySeed = Mapping[int, NDArray[np.bool_]]

#: Every p-value below e to this power is as good as 0.
_SMALLEST_LOG_P = -700.0


def image_error(right: RightBySeed, other: RightBySeed | None = None) -> float:
    """Return the standard error that the choice of the images gives to a share right, or a gain.

    Seed s is right about image i to the amount ``m + a_s + b_i + e_si`` (of a gain: less the other
    config at the same seed), so the mean of k seeds on n images has the variance ``var(a)/k +
    var(b)/n + var(e)/(k n)``. What scatters between seeds holds the first and the third term, see
    ``mean_interval``; the second is what this returns the root of, by the mean squares of the
    two-way table: ``(MS_images - MS_rest)/(k n)``. The scatter between the images' means alone,
    ``MS_images/(k n)``, holds the third term once more (Searle, Casella and McCulloch 1992,
    Variance Components, ch. 4; the same subtraction as in two-way clustered errors, Cameron,
    Gelbach and Miller 2011, J. Bus. Econ. Stat. 29:238). No shape of the luck is supposed, only
    that the terms are uncorrelated (the crossed random effects of Owen 2007, Ann. Appl. Stat.
    1:386, whose pigeonhole bootstrap would count ``var(e)`` three times).

    It is never less than ``1/n``, one image: that no image differs is no proof that none will.

    Args:
        right: at least two seeds, equally many images each, at least two.
        other: the same images; only seeds that both have count.

    Returns:
        A share, from 0 to 1; NaN with fewer than two seeds, which cannot tell image from luck.

    Raises:
        ValueError: the numbers of images differ, or are below two.
    """
    seeds = sorted(right if other is None else right.keys() & other.keys())
    if len(seeds) < 2:
        return math.nan
    table = np.stack([right[seed] for seed in seeds]).astype(np.int8)
    if other is not None:
        table -= np.stack([other[seed] for seed in seeds]).astype(np.int8)
    k, n = table.shape
    if n < 2:
        raise ValueError(f"{n} example was given; at least two are needed to see their scatter")
    mean = float(table.mean())
    by_seed = n * float(np.square(table.mean(axis=1) - mean).sum())
    by_image = k * float(np.square(table.mean(axis=0) - mean).sum())
    total = float(np.count_nonzero(table)) - k * n * mean**2  # a square of -1, 0, 1 is 1 or 0
    rest = max(total - by_seed - by_image, 0.0) / ((k - 1) * (n - 1))
    variance = (by_image / (n - 1) - rest) / (k * n)
    return math.sqrt(max(variance, 1.0 / n**2))


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
