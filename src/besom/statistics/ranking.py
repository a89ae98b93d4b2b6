"""Ranks in which equal is called equal, and the front where several objectives forbid a ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def sign_of(direction: str) -> int:
    """Return +1 for ``maximize`` and -1 for ``minimize``.

    Raises:
        ValueError: ``direction`` is neither.
    """
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction is {direction!r}; it must be 'maximize' or 'minimize'")
    return 1 if direction == "maximize" else -1


def ranks(values: ArrayLike, direction: str) -> list[int]:
    """Return competition ranks: 1 is best, equal values share a rank, and the next skips (1 2 2 4).

    Args:
        values: finite numbers, shape ``(n,)``.
        direction: ``maximize`` or ``minimize``.

    Raises:
        ValueError: a value is NaN or infinite (what failed is never ranked), or a bad direction.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("only finite values can be ranked; leave failed trials out")
    if numbers.size == 0:
        return []
    signed = -sign_of(direction) * numbers
    return [int(rank) + 1 for rank in np.searchsorted(np.sort(signed), signed)]


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, smallest first; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[inverse], dtype=np.float64)


def pareto_front(values: ArrayLike, directions: Sequence[str]) -> NDArray[np.bool_]:
    """Return which rows no other row beats: none is as good in every objective and better in one.

    Rows with equal values are all in the front, or all out of it.

    Args:
        values: finite numbers, shape ``(n_rows, n_objectives)``.
        directions: ``maximize`` or ``minimize``, one per objective.

    Raises:
        ValueError: the shapes do not fit, or a bad direction.
    """
    scores = _scores(values, directions)
    front = np.zeros(len(scores), dtype=np.bool_)
    # In falling lexicographic order a row can only be beaten by one that came before it.
    for row in np.lexsort(-scores.T[::-1]):
        rivals = scores[front]
        front[row] = not ((rivals >= scores[row]).all(1) & (rivals > scores[row]).any(1)).any()
    return front


def knee(values: ArrayLike, directions: Sequence[str]) -> int | None:
    """Return the front's row farthest beyond the plane through its ends: more costs much more.

    After Das 1999, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary
    Intersection", Structural Optimization 18: with each objective scaled to [0, 1] over the front,
    the plane through the best of each objective is ``x1 + ... + xk = 1``, and the knee has the
    largest sum.

    Args:
        values: finite numbers, shape ``(n_rows, n_objectives)``.
        directions: ``maximize`` or ``minimize``, one per objective.

    Returns:
        The row, None if the front has fewer than three distinct points or none beyond the plane.
    """
    rows = np.flatnonzero(pareto_front(values, directions))
    good = _scores(values, directions)[rows]
    if len(np.unique(good, axis=0)) < 3:
        return None
    spans = np.ptp(good, axis=0)
    scaled = (good - good.min(axis=0)) / np.where(spans > 0, spans, 1.0)
    sums = scaled.sum(axis=1)
    return int(rows[np.argmax(sums)]) if sums.max() > 1 + 1e-9 else None


def _scores(values: ArrayLike, directions: Sequence[str]) -> NDArray[np.float64]:
    """Values such that more is better in every column."""
    numbers = np.asarray(values, dtype=np.float64).reshape(-1, len(directions))
    signs = np.array([sign_of(direction) for direction in directions], dtype=np.float64)
    return np.multiply(numbers, signs)
