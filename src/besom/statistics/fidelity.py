"""Was it right to stop trials early? What an audit that runs some of them to the end can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from besom.equality import SameFields
from besom.statistics.distributions import Interval, clopper_pearson, normal_quantile
from besom.statistics.ranking import average_ranks, sign_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RankAgreement(SameFields):
    """How far an early score orders trials as the final score does: 1 the same, 0 not at all.

    Attributes:
        n: trials compared.
        kendall: tau-b; NaN if fewer than three trials, or all scores equal.
        spearman: rho; NaN in the same cases.
        interval: of ``kendall``; NaN ends below ten trials.
    """

    n: int
    kendall: float
    spearman: float
    interval: Interval


def rank_agreement(
    early: ArrayLike,
    final: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> RankAgreement:
    """Return the rank correlation of an early score with the final one.

    Kendall's tau-b (Kendall 1945, Biometrika 33:239) and Spearman's rho with shared ranks. Only
    trials run to the end have a final score, and those survived pruning: without the audited ones
    the correlation is that of the survivors, which is lower. Give each audited trial the weight
    ``1 / audit share`` and it stands for the pruned ones; pairs then count by the product of their
    weights.

    The interval is ``tanh(artanh tau ± z sqrt(0.437/(n - 4)))`` (Fieller, Hartley and Pearson 1957,
    Biometrika 44:470), with ``n = (sum w)² / sum w²``.

    Args:
        early: scores at some epoch, shape ``(n,)``, finite.
        final: scores at the end, of the same trials and metric.
        weights: positive, shape ``(n,)``; None: all equal.
        confidence: of the interval.

    Raises:
        ValueError: shapes differ, or a number is not finite.
    """
    x, y = np.asarray(early, dtype=np.float64), np.asarray(final, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (x.shape == y.shape == w.shape and x.ndim == 1):
        raise ValueError(f"{x.size} early, {y.size} final scores, {w.size} weights: must be equal")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (w > 0).all()):
        raise ValueError("scores must be finite and weights positive; leave failed trials out")
    unknown = Interval(math.nan, math.nan)
    if x.size < 3 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return RankAgreement(x.size, math.nan, math.nan, unknown)
    signs_x, signs_y = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    pairs = w[:, None] * w
    norm = math.sqrt(float((pairs * np.abs(signs_x)).sum() * (pairs * np.abs(signs_y)).sum()))
    tau = min(max(float((pairs * signs_x * signs_y).sum()) / norm, -1.0), 1.0)
    rho = _weighted_correlation(average_ranks(x), average_ranks(y), w)
    n_effective = float(w.sum() ** 2 / (w**2).sum())
    if n_effective < 10.0:
        return RankAgreement(x.size, tau, rho, unknown)
    # A perfect order is no proof of perfection: stop half a pair short of it.
    edge = 1.0 - 1.0 / (n_effective * (n_effective - 1.0))
    middle = math.atanh(min(max(tau, -edge), edge))
    half = normal_quantile(confidence) * math.sqrt(0.437 / (n_effective - 4.0))
    return RankAgreement(
        x.size, tau, rho, Interval(math.tanh(middle - half), math.tanh(middle + half))
    )


def _weighted_correlation(x: Floats, y: Floats, w: Floats) -> float:
    dx, dy = x - np.average(x, weights=w), y - np.average(y, weights=w)
    return float((w * dx * dy).sum() / math.sqrt((w * dx * dx).sum() * (w * dy * dy).sum()))


def agreement_by_epoch(
    curves: Sequence[Sequence[float]], final: ArrayLike, *, weights: ArrayLike | None = None
) -> list[RankAgreement]:
    """Return ``rank_agreement`` of epoch 1, 2, ... with the end, for trials run to the end.

    Args:
        curves: each trial's metric after each epoch; a trial that stopped by its own patience keeps
            its last value afterwards.
        final: each trial's final score, shape ``(n_trials,)``.
        weights: see ``rank_agreement``.

    Raises:
        ValueError: an empty curve, or as ``rank_agreement``.
    """
    if any(len(curve) == 0 for curve in curves):
        raise ValueError("a trial without a single epoch has no curve; leave it out")
    n_epochs = max((len(curve) for curve in curves), default=0)
    return [
        rank_agreement([c[min(k, len(c) - 1)] for c in curves], final, weights=weights)
        for k in range(n_epochs)
    ]


@dataclass(frozen=True)
class PruningCost:
    """What pruning loses, judged by the would-be-pruned trials that ran to the end.

    Attributes:
        n_audited: would-be-pruned trials run to the end.
        n_pruned: trials that were really stopped.
        n_winners: audited trials that beat every trial pruning let run.
        winner_share: the share of such trials among the pruned, ``n_winners / n_audited``.
        winner_interval: of ``winner_share``.
        expected_regret: by how much the best of ``n_pruned`` pruned trials is expected to beat the
            best that pruning let run, in the objective's unit; 0 or more.
    """

    n_audited: int
    n_pruned: int
    n_winners: int
    winner_share: float
    winner_interval: Interval
    expected_regret: float


def pruning_cost(
    audited: ArrayLike, best_kept: float, n_pruned: int, direction: str, *, confidence: float = 0.95
) -> PruningCost:
    """Return what stopping trials early loses, from a random sample that was not stopped.

    The audited trials were drawn at random from those to be pruned, so their final scores are a
    sample of what the pruned ones would have reached. With ``g_i = max(0, how much audited trial i
    beats best_kept)``, in rising order, the expected regret is the mean of the largest of m =
    ``n_pruned`` draws with replacement, ``sum_i g_i [(i/a)^m - ((i-1)/a)^m]``.

    It cannot exceed what the audit saw, so with few audited trials 0 is no proof that nothing was
    lost: ``winner_interval`` is (Clopper and Pearson 1934, Biometrika 26:404). With no winner among
    a, it still allows a share of about 3.7/a.

    Args:
        audited: final scores of the audited trials, shape ``(a,)``, finite, at least one.
        best_kept: the best score among trials that pruning let run, the audited ones not included.
        n_pruned: how many trials were really stopped.
        direction: ``maximize`` or ``minimize``.
        confidence: of ``winner_interval``.

    Raises:
        ValueError: no audited trial, a number that is not finite or negative, a bad direction.
    """
    sign = sign_of(direction)
    scores = np.asarray(audited, dtype=np.float64)
    if scores.size == 0 or not np.isfinite(scores).all() or not math.isfinite(best_kept):
        raise ValueError("the cost of pruning needs an audited trial, and finite scores only")
    if n_pruned < 0:
        raise ValueError(f"n_pruned is {n_pruned}; it cannot be negative")
    gains = np.sort(np.maximum(sign * (scores - best_kept), 0.0))
    n, n_winners = scores.size, int((gains > 0.0).sum())
    below = (np.arange(n + 1) / n) ** n_pruned
    low, high = clopper_pearson(n_winners, n, confidence)
    return PruningCost(
        n_audited=n,
        n_pruned=n_pruned,
        n_winners=n_winners,
        winner_share=n_winners / n,
        winner_interval=Interval(low, high),
        expected_regret=float((gains * np.diff(below)).sum()),
    )
