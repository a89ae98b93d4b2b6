"""Are two trials really different, judged on the same images? One test a pair, corrected for many.

Trials share most of their mistakes, so only the images on which they disagree say anything; a test
on those (McNemar) sees differences that two separate intervals cannot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from besom.statistics.correctness import Correctness
from besom.statistics.distributions import Interval, fair_binomial_mid_p, normal_quantile

Floats = NDArray[np.float64]


def mcnemar(only_first: ArrayLike, only_second: ArrayLike) -> Floats:
    """Return the two-sided mid-p value of McNemar's test, elementwise.

    Of the ``d = b + c`` images that exactly one of the two gets right, either is as likely to be
    the one if both are equally good: with ``X ~ Binomial(d, 1/2)`` and ``k = min(b, c)`` the value
    is ``2 P(X <= k) - P(X = k)``; it is 1 for ``b = c``, and where there is no such image.

    McNemar 1947 (Psychometrika 12:153). The mid-p version keeps its level, averaged over the luck
    of d, for few images and many (computed from a level of 0.05 down to 1e-6), where
    the exact test and the continuity-corrected chi-square are needlessly weak: Fagerland, Lydersen
    and Laake 2013 (BMC Med. Res. Methodol. 13:91).

    Args:
        only_first: how many images only the first gets right (b).
        only_second: how many images only the second gets right (c), of the same shape.
    """
    b, c = np.asarray(only_first), np.asarray(only_second)
    fewer, discordant = np.minimum(b, c), b + c
    return np.clip(2.0 * fair_binomial_mid_p(fewer, discordant), 0.0, 1.0)


def holm(p_values: ArrayLike, *, chosen_reference: bool = False) -> Floats:
    """Return p-values corrected for their number, to be compared with alpha as they are.

    Holm's step-down (1979, Scand. J. Stat. 6:65): the smallest of m is multiplied by m, the next by
    m - 1, and so on, and none may fall below one before it. With probability 1 - alpha no true
    hypothesis of the family is rejected, however the tests depend on each other.

    With ``chosen_reference`` the m tests are "each row against the first", and the first was picked
    *because* it looked best. Any pair of rows could then have been the one that differs most: with
    m rows left the family is the ``m (m + 1) / 2`` pairs among them and the first, and that is the
    multiplier. Without this, among 100 equal configs some row is called worse than the luckiest in
    more than half of all sweeps (measured). Each step is a Bonferroni test of "the rows left and
    the first are all equal", and the whole its closed test (Marcus, Peritz and Gabriel 1976,
    Biometrika 63:655).

    Args:
        p_values: shape ``(m,)``.
        chosen_reference: whether the common reference was chosen by the same data.

    Returns:
        Corrected p-values of shape ``(m,)``, at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    left = np.arange(p.size, 0, -1, dtype=np.float64)
    family = left * (left + 1.0) / 2.0 if chosen_reference else left
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(family * p[order]), 1.0)
    return corrected


@dataclass(frozen=True)
class PairedTests:
    """Every row against one row, image by image; all arrays have one entry a row.

    Attributes:
        first: the index of the row the others are compared with.
        gain: share right of the row less that of the first.
        p_value: McNemar's mid-p; 1 for the first itself.
        corrected: the same after ``holm``; 1 for the first itself.
        tied: True where ``corrected`` is above alpha, the first included.
    """

    first: int
    gain: Floats
    p_value: Floats
    corrected: Floats
    tied: NDArray[np.bool_]


def compare_with_first(
    correct: Correctness,
    first: int = 0,
    *,
    alpha: float = 0.05,
    first_was_chosen: bool = True,
    n_picked: ArrayLike | None = None,
) -> PairedTests:
    """Test every row against row ``first`` on the same images (McNemar, Holm).

    Args:
        correct: shape ``(n_rows, n_images)``.
        first: the row to compare with.
        alpha: how often, at most, any row that equals the first may be called different.
        first_was_chosen: True if the first leads because it scored highest on these very images;
            False if it was fixed beforehand, such as the baseline. See ``holm``.
        n_picked: shape ``(n_rows,)``: each row is the best of so many epochs; None: of equally
            many. Where the first had r times as many as another, its p-value counts r times.
    """
    right = correct.sum(axis=1, dtype=np.int64)
    both = (correct & correct[first]).sum(axis=1, dtype=np.int64)
    p_value = mcnemar(right[first] - both, right - both)
    if n_picked is not None:
        picked = np.asarray(n_picked, dtype=np.float64)
        p_value = np.minimum(p_value * np.maximum(picked[first] / picked, 1.0), 1.0)
    others = np.arange(len(correct)) != first
    corrected = np.ones_like(p_value)
    corrected[others] = holm(p_value[others], chosen_reference=first_was_chosen)
    gain = (right - right[first]) / correct.shape[1]
    return PairedTests(first, gain, p_value, corrected, corrected > alpha)


@dataclass(frozen=True)
class PairedGain:
    """How much more of the same images one gets right than another.

    Attributes:
        gain: difference of the two shares, from -1 to 1.
        standard_error: of the gain, in the same unit, for these two rows fixed beforehand.
        interval: of the gain.
    """

    gain: float
    standard_error: float
    interval: Interval


def paired_gain(row: Correctness, other: Correctness, confidence: float = 0.95) -> PairedGain:
    """Return how much more ``row`` gets right than ``other``, with its interval.

    With b (c) images that only ``row`` (``other``) gets right, the gain is ``(b - c)/n``; its error
    is ``sqrt((p + q - (p - q)²)/(n + 2))`` with ``p = (b + 1)/(n + 2)``, ``q = (c + 1)/(n + 2)``,
    which stays positive for equal predictions (Bonett and Price 2012, J. Educ. Behav. Stat.
    37:479).

    Args:
        row: booleans of shape ``(n_images,)``.
        other: booleans of the same images.
        confidence: the rate at which such intervals hold the true gain.
    """
    n = row.size
    b, c = int((row & ~other).sum()), int((other & ~row).sum())
    p, q = (b + 1) / (n + 2), (c + 1) / (n + 2)
    error = math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    z, gain = normal_quantile(confidence), (b - c) / n
    return PairedGain(gain, error, Interval(gain - z * error, gain + z * error))
