"""What trials were judged by, as tables with one row per trial, of three kinds.

A metric that is a share of the examples has one bit for each (``Rights``), one that is a mean has
one number (``Means``). Any other, such as an AUC, does not come apart into examples: it has its
scores on bootstrap draws of them (``DrawnScores``), the same draws for every row. Larger is better
in all three: what is minimised comes in negated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from besom.statistics.distributions import (
    Interval,
    fair_binomial_mid_p,
    normal_quantile,
    proportion_standard_error,
    student_quantile_at,
    wilson_interval,
)

Floats = NDArray[np.float64]

#: True where the row is right about the example; shape (n_rows, n_examples).
Rights = NDArray[np.bool_]

#: What each example adds to the row's mean; float32 or float64, shape (n_rows, n_examples).
Means = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class DrawnScores:
    """A metric of each row on common bootstrap draws of the examples.

    Attributes:
        whole: on all the examples, shape (n_rows,).
        drawn: on those of each draw, shape (n_rows, n_draws).
        left_out: on those that the draw leaves out, about 0.37 of them; of the same shape.
    """

    whole: Floats
    drawn: Floats
    left_out: Floats

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, rows: Any) -> DrawnScores:
        """These rows, or a single one."""
        return DrawnScores(self.whole[rows], self.drawn[rows], self.left_out[rows])


Table = Rights | Means | DrawnScores


#: A row whose lead over another is this many standard deviations is not overtaken in any number of
#: draws that can be made.
REACH = 8


def stacked(*rows: Any) -> Table:
    """Single rows of one kind as a table."""
    if isinstance(rows[0], DrawnScores):
        parts = ([getattr(row, part) for row in rows] for part in ("whole", "drawn", "left_out"))
        return DrawnScores(*map(np.stack, parts))
    return np.stack(rows)


def is_rights(table: Table) -> bool:
    """Whether the metric is a share of the examples."""
    return isinstance(table, np.ndarray) and table.dtype == np.bool_


def scores_of(table: Table) -> Floats:
    """The metric of each row, shape (n_rows,)."""
    if isinstance(table, DrawnScores):
        return table.whole
    return np.asarray(table.mean(axis=1, dtype=np.float64))


def standard_error(table: Table, row: int) -> float:
    """How far the metric of a row may be from that on other examples from the same source.

    Of a share ``sqrt(p (1 - p)/n)``, of a mean ``s/sqrt(n)``, of any other metric the standard
    deviation of its scores on the draws (Efron 1979, Annals of Statistics 7:1).
    """
    if isinstance(table, DrawnScores):
        return float(table.drawn[row].std(ddof=1))
    n = table.shape[1]
    if is_rights(table):
        return proportion_standard_error(float(table[row].mean()), n)
    return float(table[row].std(ddof=1, dtype=np.float64)) / math.sqrt(n)


def interval_of(table: Table, row: int, confidence: float) -> Interval:
    """Of the metric of a row that was not picked: Wilson's, Student's or a normal one."""
    score, error = float(scores_of(table)[row]), standard_error(table, row)
    if not isinstance(table, DrawnScores) and is_rights(table):
        return wilson_interval(score, table.shape[1], confidence)
    half = quantile(table, confidence) * error
    return Interval(score - half, score + half)


def quantile(table: Table, confidence: float) -> float:
    """How many standard errors an interval reaches: Student's of a mean, else a normal one."""
    if isinstance(table, DrawnScores) or is_rights(table):
        return normal_quantile(confidence)
    return student_quantile_at(0.5 + confidence / 2.0, table.shape[1] - 1)


def differences(table: Table, first: int) -> tuple[Floats, Floats]:
    """How much better each row is than ``first``, and the standard error of that, paired.

    Rows share most of their luck with the examples, so an error of the difference, taken example by
    example or draw by draw, is much smaller than those of two separate scores.
    """
    if isinstance(table, DrawnScores):
        errors = (table.drawn - table.drawn[first]).std(axis=1, ddof=1)
        return table.whole - table.whole[first], np.asarray(errors)
    n = table.shape[1]
    gains, errors = np.zeros(len(table)), np.zeros(len(table))
    leader = table[first].astype(np.float64)
    for index, row in enumerate(table):
        gap = row - leader
        gains[index], errors[index] = gap.mean(), gap.std(ddof=1) / math.sqrt(n) if n > 1 else 0.0
    return gains, errors


def p_values(table: Table, first: int) -> Floats:
    """Two-sided, of "as good as ``first``" on the same examples, for each row; 1 for ``first``.

    Bits are tested by McNemar's test, numbers by Student's t on the paired differences, scores on
    draws by ``z = difference / its standard deviation over the draws``.
    """
    if not isinstance(table, DrawnScores) and is_rights(table):
        right = table.sum(axis=1, dtype=np.int64)
        both = (table & table[first]).sum(axis=1, dtype=np.int64)
        return mcnemar(right[first] - both, right - both)
    gains, errors = differences(table, first)
    certain = np.where(gains == 0.0, 1.0, 0.0)  # of differences without any scatter
    ratios = -np.abs(np.divide(gains, errors, out=np.zeros_like(gains), where=errors > 0.0))
    if isinstance(table, DrawnScores):
        tails = special.ndtr(ratios)
    else:
        tails = special.stdtr(max(table.shape[1] - 1, 1), ratios)
    return np.where(errors > 0.0, np.minimum(2.0 * tails, 1.0), certain)


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
