"""Ranks in which equal is called equal, and the front where several objectives forbid a ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


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
    return [int(rank) for rank in stats.rankdata(-sign_of(direction) * numbers, method="min")]


def pareto_front(values: ArrayLike, directions: Sequence[str]) -> NDArray[np.bool_]:
    """Return which rows no other row beats: none is as good in every objective and better in one.

    Rows with equal values are all in the front, or all out of it.

    Args:
        values: finite numbers, shape ``(n_rows, n_objectives)``.
        directions: ``maximize`` or ``minimize``, one an objective.

    Raises:
        ValueError: the shapes do not fit, or a bad direction.
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(-1, len(directions))
    scores = numbers * np.array([sign_of(direction) for direction in directions])
    front = np.ones(len(scores), dtype=np.bool_)
    for index, score in enumerate(scores):
        beats = (scores >= score).all(axis=1) & (scores > score).any(axis=1)
        front[index] = not beats.any()
    return front
