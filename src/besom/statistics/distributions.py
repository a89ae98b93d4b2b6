"""The few distributions and ranks needed here, from ``scipy.special``.

``scipy.stats`` has them all, and takes most of a second to import: a reporting command is instant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]


def normal_quantile_at(share: float) -> float:
    """The value below which a standard normal variable lies with probability ``share``."""
    return float(special.ndtri(share))


def normal_below(value: float) -> float:
    """The probability that a standard normal variable is at most ``value``."""
    return float(special.ndtr(value))


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


def average_ranks(values: ArrayLike) -> Floats:
    """Ranks from 1, smallest first; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[inverse], dtype=np.float64)


def lowest_ranks(values: ArrayLike) -> NDArray[np.int64]:
    """Ranks from 1, smallest first; equal values share the lowest of theirs (1 2 2 4)."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.asarray(np.searchsorted(np.sort(numbers), numbers) + 1, dtype=np.int64)
