"""Intervals for a share of n examples, and the few distributions needed here.

A share's interval is about the luck of the *examples*: the weights are fixed, and other examples
from the same source might have been drawn. The luck of the *seed* is in ``seeds``.

The distributions are from ``scipy.special``: ``scipy.stats`` has them all, and takes most of a
second to import, while a reporting command is instant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]


def student_quantile_at(share: float, freedom: float) -> float:
    """The value below which Student's t lies with probability ``share``."""
    return float(special.stdtrit(freedom, share))


def student_above(value: float, freedom: float) -> float:
    """The probability that Student's t exceeds ``value``."""
    return float(special.stdtr(freedom, -value))


def fair_binomial_mid_p(fewer: ArrayLike, trials: ArrayLike) -> Floats:
    """``P(X < k) + P(X = k) / 2`` for ``X ~ Binomial(n, 1/2)``, elementwise.

    Args:
        fewer: k, whole numbers of 0 to n.
        trials: n, of the same shape.
    """
    k, n = np.asarray(fewer, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    # P(X <= k) of a binomial is a regularised incomplete beta function; P(X <= -1) is 0.
    up_to = special.betainc(np.maximum(n - k, 0.0) + (n <= k), k + 1.0, 0.5)
    up_to = np.where(n <= k, 1.0, up_to)
    below = np.where(k < 1.0, 0.0, special.betainc(n - k + 1.0, np.maximum(k, 1.0), 0.5))
    return np.asarray((up_to + below) / 2.0, dtype=np.float64)


def clopper_pearson(n_hits: int, n: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934, Biometrika 26:404)."""
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if n_hits == 0 else float(special.betaincinv(n_hits, n - n_hits + 1, tail))
    high = 1.0 if n_hits == n else float(special.betaincinv(n_hits + 1, n - n_hits, 1.0 - tail))
    return low, high


class Interval(NamedTuple):
    """A two-sided confidence interval, in the unit of what it is about."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """From one end to the other."""
        return self.high - self.low


def normal_quantile(confidence: float) -> float:
    """Return z such that a normal value lies within z standard errors with ``confidence``.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; it must lie between 0 and 1, such as 0.95")
    return float(special.ndtri(0.5 + confidence / 2.0))


def proportion_standard_error(share: float, n: float) -> float:
    """Return ``sqrt(share (1 - share) / n)``, the binomial standard error of a share of n.

    Args:
        share: the share right (or wrong), from 0 to 1.
        n: how many were judged, at least 1; need not be whole (an effective number).

    Raises:
        ValueError: ``share`` or ``n`` is out of range.
    """
    _check(share, n)
    return math.sqrt(max(share * (1.0 - share), 0.0) / n)


def wilson_interval(share: float, n: float, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval: inside [0, 1], and of honest width at 0 % and 100 % too.

    ``(share + z²/2n ± z sqrt(share (1 - share)/n + z²/4n²)) / (1 + z²/n)`` (Wilson 1927, J. Am.
    Stat. Assoc. 22:209; recommended by Brown, Cai and DasGupta 2001, Statistical Science 16:101).

    Args:
        share: the share right (or wrong), from 0 to 1.
        n: how many were judged, at least 1; need not be whole (an effective number).
        confidence: the rate at which such intervals hold the truth.

    Raises:
        ValueError: an argument is out of range.
    """
    return wilson_at(share, n, normal_quantile(confidence))


def wilson_at(share: float, n: float, z: float) -> Interval:
    """Wilson's interval of z standard errors."""
    _check(share, n)
    scale = 1.0 + z * z / n
    middle = (share + z * z / (2.0 * n)) / scale
    half = z * math.sqrt(max(share * (1.0 - share), 0.0) / n + z * z / (4.0 * n * n)) / scale
    # The ends are shares: rounding must neither leave [0, 1] nor exclude the share itself.
    return Interval(min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))


def _check(share: float, n: float) -> None:
    if not n >= 1.0:
        raise ValueError(f"a share of {n} examples has no standard error; at least 1 is needed")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share of {share} was given; it must lie between 0 and 1")
