"""Are two trials really different on the same examples? One test a pair, corrected for many.

Trials share most of their mistakes, so only the examples on which they disagree say anything; a
test on those sees differences that two separate intervals cannot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from besom.statistics.distributions import Interval
from besom.statistics.kinds import (
    DrawnScores,
    Table,
    differences,
    is_rights,
    p_values,
    quantile,
    stacked,
)

Floats = NDArray[np.float64]


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
    """Every row against one row, example by example; all arrays have one entry a row.

    Attributes:
        first: the index of the row the others are compared with.
        gain: score of the row less that of the first.
        p_value: see ``besom.statistics.kinds.p_values``; 1 for the first itself.
        corrected: the same after ``holm``; 1 for the first itself.
        tied: True where ``corrected`` is above alpha, the first included.
    """

    first: int
    gain: Floats
    p_value: Floats
    corrected: Floats
    tied: NDArray[np.bool_]


def compare_with_first(
    table: Table,
    first: int = 0,
    *,
    alpha: float = 0.05,
    first_was_chosen: bool = True,
    n_picked: ArrayLike | None = None,
) -> PairedTests:
    """Test every row against row ``first`` on the same examples (``p_values``, ``holm``).

    Args:
        table: the rows, see ``besom.statistics.kinds``.
        first: the row to compare with.
        alpha: how often, at most, any row that equals the first may be called different.
        first_was_chosen: True if the first leads because it scored highest on these very examples;
            False if it was fixed beforehand, such as the baseline. See ``holm``.
        n_picked: shape ``(n_rows,)``: each row is the best of so many epochs; None: of equally
            many. Where the first had r times as many as another, its p-value counts r times.
    """
    p_value = p_values(table, first)
    if n_picked is not None:
        picked = np.asarray(n_picked, dtype=np.float64)
        p_value = np.minimum(p_value * np.maximum(picked[first] / picked, 1.0), 1.0)
    others = np.arange(len(p_value)) != first
    corrected = np.ones_like(p_value)
    corrected[others] = holm(p_value[others], chosen_reference=first_was_chosen)
    gain, _ = differences(table, first)
    return PairedTests(first, gain, p_value, corrected, corrected > alpha)


@dataclass(frozen=True)
class PairedGain:
    """How much better one row is than another on the same examples.

    Attributes:
        gain: difference of the two scores, positive where the row is better.
        standard_error: of the gain, in the same unit, for these two rows fixed beforehand.
        interval: of the gain.
    """

    gain: float
    standard_error: float
    interval: Interval


def paired_gain(row: Any, other: Any, confidence: float = 0.95) -> PairedGain:
    """Return how much better ``row`` is than ``other``, with its interval.

    Of bits, with b (c) examples that only ``row`` (``other``) gets right, the gain is ``(b - c)/n``
    and its error ``sqrt((p + q - (p - q)²)/(n + 2))`` with ``p = (b + 1)/(n + 2)``,
    ``q = (c + 1)/(n + 2)``, which stays positive for equal predictions (Bonett and Price 2012, J.
    Educ. Behav. Stat. 37:479). Else both are those of ``besom.statistics.kinds.differences``.

    Args:
        row: one row of a table.
        other: one of the same table, or of one of the same examples.
        confidence: the rate at which such intervals hold the true gain.
    """
    table = stacked(other, row)
    if isinstance(table, DrawnScores) or not is_rights(table):
        (_, gain), (_, error) = (pair.tolist() for pair in differences(table, 0))
    else:
        n = table.shape[1]
        b, c = int((row & ~other).sum()), int((other & ~row).sum())
        p, q = (b + 1) / (n + 2), (c + 1) / (n + 2)
        error, gain = math.sqrt((p + q - (p - q) ** 2) / (n + 2)), (b - c) / n
    half = quantile(table, confidence) * error
    return PairedGain(gain, error, Interval(gain - half, gain + half))
