"""What the winner's score is worth once the luck of having been picked is taken out (BBC-CV).

The best of many scores is high partly because it is good and partly because its errors fell well.
Bootstrap bias-corrected cross-validation repeats the picking: draw as many validation examples as
there are, with replacement; pick the best trial on those drawn; score it on those *not* drawn,
which had no say. The mean of these scores is the corrected score. It needs no training, only what
each trial scored on each example, or, of a metric that does not come apart, on each draw. Where a
trial's score is the best of its epochs, they are picked from too.

Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation", Machine Learning 107:1895.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from besom.statistics.distributions import (
    Interval,
    normal_quantile,
    proportion_standard_error,
    wilson_interval,
)
from besom.statistics.kinds import (
    REACH,
    DrawnScores,
    Means,
    Rights,
    Table,
    is_rights,
    quantile,
    scores_of,
    standard_error,
)

Floats = NDArray[np.float64]

#: Weights are made and multiplied in pieces of about this many numbers, to stay in some 50 MB.
_PIECE = 2_000_000


class Draws(TypedDict):
    """How ``correct_for_selection`` repeats the picking, where several corrections do it alike."""

    n_draws: int
    seed: int
    confidence: float


@dataclass(frozen=True)
class Selection:
    """The best row's score, as seen and as corrected, in the table's unit; larger is better.

    Attributes:
        leader: the trial with the highest score (that of the first such row, if several share it).
        raw: its score, which is optimistic because it was picked for it.
        corrected: what a picked row scores on examples that did not pick it.
        standard_error: of ``corrected``.
        interval: for what the leader is truly worth; see ``correct_for_selection``.
        win_share: shape ``(n_trials,)``: how often each trial was picked.
        monte_carlo_error: what another seed would change in ``corrected`` (one standard deviation).
    """

    leader: int
    raw: float
    corrected: float
    standard_error: float
    interval: Interval
    win_share: Floats
    monte_carlo_error: float

    @property
    def optimism(self) -> float:
        """How much of ``raw`` is the luck of having been picked."""
        return self.raw - self.corrected


def correct_for_selection(
    table: Table,
    trial: NDArray[np.intp] | None = None,
    *,
    n_draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Selection:
    """Correct the best row's score for having been picked among all rows (BBC-CV).

    A row is what might have been picked: a trial, or one epoch of a trial. BBC-CV asks only that
    the picking be repeated as it was made, whatever it was made from.

    With ``o_b(r)`` the score of row r on the examples left out of draw b, and ``r_b`` the row that
    is best on those drawn (ties broken at random),

        ``corrected = raw(leader) + mean_b [o_b(r_b) - o_b(leader)]``.

    That is the paper's ``mean_b o_b(r_b)`` with ``o_b(leader)``, whose mean over draws is exactly
    ``raw(leader)``, as a control variate: the same estimate from far fewer draws.

    The standard error is ``sqrt(f/(1 - f)) sd_b[o_b(r_b)]``, f the mean share of examples left out,
    about 0.37 (the delete-d jackknife of Shao and Wu 1989, Annals of Statistics 17:1176, applied to
    pick and score together), and never less than that of a row which was not picked.

    Args:
        table: at least one row, and two examples; see ``besom.statistics.kinds``.
        trial: shape ``(n_rows,)``: the trial, counted from 0, that a row is an epoch of; None:
            each row is a trial.
        n_draws: how often the picking is repeated; ``DrawnScores`` have draws of their own.
        seed: of the draws; the same seed gives the same numbers.
        confidence: of the interval.

    Raises:
        ValueError: there is no row, or fewer than two examples.
    """
    n_rows = len(table)
    n_columns = table.drawn.shape[1] if isinstance(table, DrawnScores) else table.shape[1]
    if n_rows < 1 or n_columns < 2:
        raise ValueError(
            f"{n_rows} rows of {n_columns} examples: at least 1 row and 2 examples needed"
        )
    scores = scores_of(table)
    best = int(np.argmax(scores))
    if isinstance(table, DrawnScores):
        rows, draws = np.arange(n_rows), _draws_made(table, best)
    else:
        rows = _contenders(table, best)
        draws = _draw(table[rows], int(np.searchsorted(rows, best)), n_draws, seed)
    raw = float(scores[best])
    change = draws.left_out - draws.leader_left_out
    corrected = raw + float(change.mean())
    fixed = standard_error(table, best)
    if is_rights(table):
        corrected = min(max(corrected, 0.0), 1.0)
        fixed = proportion_standard_error(corrected, n_columns)
    # One row: nothing was picked, and the error of its score is the whole of it.
    share = draws.share_out
    wavers = math.sqrt(share / (1.0 - share)) * float(draws.left_out.std()) if n_rows > 1 else 0.0
    error = max(wavers, fixed)
    owner = np.arange(n_rows) if trial is None else trial
    wins = np.bincount(owner[rows[draws.picked]], minlength=int(owner.max()) + 1)
    return Selection(
        leader=int(owner[best]),
        raw=raw,
        corrected=corrected,
        standard_error=error,
        interval=_interval(table, best, raw, corrected, error, confidence),
        win_share=wins / draws.picked.size,
        monte_carlo_error=float(change.std()) / math.sqrt(change.size),
    )


def _interval(
    table: Table, best: int, raw: float, corrected: float, error: float, confidence: float
) -> Interval:
    """From the lower end of an interval around ``corrected`` to the upper end of one around raw.

    The correction is what a pick among these rows is worth on average; a leader far better than its
    rivals deserves all of its raw score, and an interval around ``corrected`` alone would then miss
    it (16 % of the time instead of 5 in the worst case simulated). The paper's interval,
    percentiles of ``o_b(r_b)``, is that of scores on 0.37 n examples rather than n, some 1.3 times
    too wide. Of shares both intervals are Wilson's, the lower one's with what picking wavers
    added in quadrature (Zou and Donner 2008, Stat. Med. 27:1693).
    """
    if isinstance(table, DrawnScores) or not is_rights(table):
        reach = quantile(table, confidence)
        high = max(corrected + reach * error, raw + reach * standard_error(table, best))
        return Interval(corrected - reach * error, high)
    n = table.shape[1]
    lower, upper = wilson_interval(corrected, n, confidence), wilson_interval(raw, n, confidence)
    # By how much picking wavers beyond the luck of the examples.
    beyond = math.sqrt(max(error**2 - proportion_standard_error(corrected, n) ** 2, 0.0))
    beyond *= normal_quantile(confidence)
    low = max(corrected - math.hypot(corrected - lower.low, beyond), 0.0)
    high = min(corrected + math.hypot(lower.high - corrected, beyond), 1.0)
    return Interval(low, max(high, upper.high))


def _contenders(table: Rights | Means, leader: int) -> NDArray[np.intp]:
    """The rows that could be best in some draw: all but those hopelessly far behind the leader.

    The lead over a row, among the examples drawn, has the mean ``sum d`` and a variance of at most
    ``sum d²``, d being by how much the leader is better on each: of bits, the number of examples
    that only one of the two gets right.
    """
    if is_rights(table):
        right = table.sum(axis=1, dtype=np.int64)
        both = (table & table[leader]).sum(axis=1, dtype=np.int64)
        lead, squares = right[leader] - right, right[leader] + right - 2 * both
        return np.flatnonzero(lead**2 <= REACH**2 * squares)
    first = table[leader].astype(np.float64)
    gaps = (first - row for row in table)
    near = [float(gap.sum()) ** 2 <= REACH**2 * float(gap @ gap) for gap in gaps]
    return np.flatnonzero(near)


class _Draws(NamedTuple):
    """Each draw: the row picked, its score and the leader's on what was left out; and how much."""

    picked: NDArray[np.intp]
    left_out: Floats
    leader_left_out: Floats
    share_out: float


def _draws_made(table: DrawnScores, leader: int) -> _Draws:
    """The picking on draws that were made where the examples are."""
    # Of rows that are level on a draw the first is taken: equal scores on it are equal models.
    picked = np.argmax(table.drawn, axis=0)
    columns = np.arange(picked.size)
    return _Draws(picked, table.left_out[picked, columns], table.left_out[leader], math.exp(-1.0))


def _draw(table: Rights | Means, leader: int, n_draws: int, seed: int) -> _Draws:
    """Repeat the picking; draws that leave nothing out, of hardly any examples, do not count."""
    n_examples = table.shape[1]
    generator = np.random.default_rng(seed)
    ties = 0.0
    tells: Any = slice(None)
    if is_rights(table):
        # Ties are broken at random: by order, a sorted leaderboard would leak into the pick.
        ties = 0.5
        # An example that all rows get right, or none, leads none of them ahead: most are such.
        tells = table.any(axis=0) & ~table.all(axis=0)
    # Sums of whole numbers below 2**24 are exact in float32, on any machine and thread count.
    exact: Any = np.float32 if is_rights(table) else np.float64
    columns: Any = np.ascontiguousarray(table[:, tells].T, dtype=exact)
    picked, scores, leader_scores, shares = [], [], [], []
    piece = max(1, _PIECE // n_examples)
    for start in range(0, n_draws, piece):
        weights = _weights(min(piece, n_draws - start), n_examples, generator)
        drawn = weights[:, tells].astype(exact, copy=False) @ columns
        best = np.argmax(drawn + ties * generator.random(drawn.shape), axis=1)
        out = weights == 0.0
        n_out = out.sum(axis=1)
        usable = n_out > 0
        picked.append(best[usable])
        n_usable = n_out[usable]
        scores.append((table[best] * out).sum(axis=1, dtype=np.float64)[usable] / n_usable)
        leader_scores.append((table[leader] * out).sum(axis=1, dtype=np.float64)[usable] / n_usable)
        shares.append(n_usable / n_examples)
    return _Draws(
        np.concatenate(picked),
        np.concatenate(scores),
        np.concatenate(leader_scores),
        float(np.concatenate(shares).mean()),
    )


def _weights(n_draws: int, n_examples: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """How often each example is drawn: multinomial counts of shape ``(n_draws, n_examples)``."""
    draws = generator.integers(n_examples, size=(n_draws, n_examples))
    draws += np.arange(n_draws)[:, None] * n_examples
    counts = np.bincount(draws.ravel(), minlength=n_draws * n_examples)
    return counts.reshape(n_draws, n_examples).astype(np.float32)
