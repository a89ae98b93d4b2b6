"""What the winner's score is worth once the luck of having been picked is taken out (BBC-CV).

The best of many scores is high partly because it is good and partly because its errors fell well.
Bootstrap bias-corrected cross-validation repeats the picking: draw as many validation images as
there are, with replacement; pick the best trial on the images drawn; score it on those *not* drawn,
which had no say. The mean of these scores is the corrected score. It needs no training, only who
got which image right. Where a trial's score is the best of its epochs, they are picked from too.

Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation", Machine Learning 107:1895.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from besom.statistics.correctness import REACH, Correctness
from besom.statistics.distributions import Interval, proportion_standard_error, wilson_interval

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
    """The best row's score, as seen and as corrected. Scores are shares of images, 0 to 1.

    Attributes:
        leader: the trial with the highest score (that of the first such row, if several share it).
        raw: its score, which is optimistic because it was picked for it.
        corrected: what a picked row scores on images that did not pick it.
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
    correct: Correctness,
    trial: NDArray[np.intp] | None = None,
    *,
    n_draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Selection:
    """Correct the best row's score for having been picked among all rows (BBC-CV).

    A row is what might have been picked: a trial, or one epoch of a trial. BBC-CV asks only that
    the picking be repeated as it was made, whatever it was made from.

    With ``o_b(r)`` the share right of row r on the images left out of draw b, and ``r_b`` the row
    that is best on those drawn (ties broken at random),

        ``corrected = raw(leader) + mean_b [o_b(r_b) - o_b(leader)]``.

    That is the paper's ``mean_b o_b(r_b)`` with ``o_b(leader)``, whose mean over draws is exactly
    ``raw(leader)``, as a control variate: the same estimate from far fewer draws.

    The standard error is ``sqrt(f/(1 - f)) sd_b[o_b(r_b)]``, f the mean share of images left out,
    about 0.37 (the delete-d jackknife of Shao and Wu 1989, Annals of Statistics 17:1176, applied to
    pick and score together), and never less than the binomial one.

    Args:
        correct: shape ``(n_rows, n_images)``, at least one row and two images.
        trial: shape ``(n_rows,)``: the trial, counted from 0, that a row is an epoch of; None:
            each row is a trial.
        n_draws: how often the picking is repeated.
        seed: of the draws; the same seed gives the same numbers.
        confidence: of the interval.

    Raises:
        ValueError: there is no row, or fewer than two images.
    """
    n_rows, n_images = correct.shape
    if n_rows < 1 or n_images < 2:
        raise ValueError(f"{n_rows} rows of {n_images} images: at least 1 row and 2 images needed")
    scores = correct.mean(axis=1)
    best = int(np.argmax(scores))
    rows = _contenders(correct, best)
    first = int(np.searchsorted(rows, best))
    picked, left_out, leader_left_out, share_out = _draw(correct[rows], first, n_draws, seed)
    raw = float(scores[best])
    change = left_out - leader_left_out
    corrected = min(max(raw + float(change.mean()), 0.0), 1.0)
    # One row: nothing was picked, and the binomial error is the whole of it.
    wavers = math.sqrt(share_out / (1.0 - share_out)) * float(left_out.std()) if n_rows > 1 else 0.0
    error = max(wavers, proportion_standard_error(corrected, n_images))
    owner = np.arange(n_rows) if trial is None else trial
    wins = np.bincount(owner[rows[picked]], minlength=int(owner.max()) + 1)
    return Selection(
        leader=int(owner[best]),
        raw=raw,
        corrected=corrected,
        standard_error=error,
        interval=_interval(raw, corrected, error, n_images, confidence),
        win_share=wins / picked.size,
        monte_carlo_error=float(change.std()) / math.sqrt(change.size),
    )


def _interval(
    raw: float, corrected: float, error: float, n_images: int, confidence: float
) -> Interval:
    """From the lower end of Wilson's around ``corrected`` to the upper end of Wilson's around raw.

    The former for the number of images that gives this error. The correction is what a pick among
    these rows is worth on average; a leader far better than its rivals deserves all of its raw
    score, and an interval around ``corrected`` alone would then miss it (16 % of the time instead
    of 5 in the worst case simulated). The paper's interval, percentiles of ``o_b(r_b)``, is that of
    scores on 0.37 n images rather than n, some 1.3 times too wide.
    """
    binomial = proportion_standard_error(corrected, n_images)
    # The number of images whose binomial error would be this one: n, or fewer where picking wavers.
    effective = max(n_images * (binomial / error) ** 2, 1.0) if binomial > 0.0 else n_images
    lower = wilson_interval(corrected, effective, confidence)
    upper = wilson_interval(raw, n_images, confidence)
    return Interval(lower.low, max(lower.high, upper.high))


def _contenders(correct: Correctness, leader: int) -> NDArray[np.intp]:
    """The rows that could be best in some draw: all but those hopelessly far behind the leader.

    The lead over a row, among the images drawn, has the mean ``b - c`` (images that only one of the
    two gets right) and a variance of at most ``b + c``.
    """
    right = correct.sum(axis=1, dtype=np.int64)
    both = (correct & correct[leader]).sum(axis=1, dtype=np.int64)
    lead, discordant = right[leader] - right, right[leader] + right - 2 * both
    return np.flatnonzero(lead**2 <= REACH**2 * discordant)


def _draw(
    correct: Correctness, leader: int, n_draws: int, seed: int
) -> tuple[NDArray[np.intp], Floats, Floats, float]:
    """Repeat the picking.

    Returns:
        For each draw that leaves images out (every one, unless there are hardly any images): the
        row picked, its score and the leader's on what was left out; and the mean share left out.
    """
    n_images = correct.shape[1]
    generator = np.random.default_rng(seed)
    # An image that all rows get right, or none, leads none of them ahead: most are such.
    tells = correct.any(axis=0) & ~correct.all(axis=0)
    columns = np.ascontiguousarray(correct[:, tells].T, dtype=np.float32)
    picked, scores, leader_scores, shares = [], [], [], []
    piece = max(1, _PIECE // n_images)
    for start in range(0, n_draws, piece):
        weights = _weights(min(piece, n_draws - start), n_images, generator)
        # Sums of whole numbers below 2**24 are exact in float32, on any machine and thread count.
        drawn = weights[:, tells] @ columns
        # Ties are broken at random: by order, a sorted leaderboard would leak into the pick.
        best = np.argmax(drawn + 0.5 * generator.random(drawn.shape), axis=1)
        out = weights == 0.0
        n_out = out.sum(axis=1)
        usable = n_out > 0
        picked.append(best[usable])
        n_usable = n_out[usable]
        scores.append((correct[best] & out).sum(axis=1)[usable] / n_usable)
        leader_scores.append((correct[leader] & out).sum(axis=1)[usable] / n_usable)
        shares.append(n_usable / n_images)
    return (
        np.concatenate(picked),
        np.concatenate(scores),
        np.concatenate(leader_scores),
        float(np.concatenate(shares).mean()),
    )


def _weights(n_draws: int, n_images: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """How often each image is drawn: multinomial counts of shape ``(n_draws, n_images)``."""
    draws = generator.integers(n_images, size=(n_draws, n_images))
    draws += np.arange(n_draws)[:, None] * n_images
    counts = np.bincount(draws.ravel(), minlength=n_draws * n_images)
    return counts.reshape(n_draws, n_images).astype(np.float32)
