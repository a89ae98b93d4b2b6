"""Which training examples are held out: the ways to split, each always the same for a seed."""

from __future__ import annotations

import numpy as np

from besom.equality import is_real
from besom.errors import DataError
from besom.text.values import given_text
from besom.training.data.array_checks import Array

_OPTION = "data.validation_split"


def stratified_split(y: Array, n_held: int, seed: int) -> tuple[Array, Array]:
    """Split positions so that each class is held out in proportion to its size.

    Each class gives the whole part of its share; the examples still wanted come from the classes
    with the largest fractions left (Hamilton's method; the lower class number first among equals),
    so a class's share is never off by a whole example.

    Args:
        y: (n,) int64 labels from 0.
        n_held: how many examples to hold out, in 0..n.
        seed: 0 to 2**32 - 1.

    Returns:
        ``(kept, held)``: ascending positions, together a permutation of ``range(n)``.

    Raises:
        DataError: a class has one example only, or would keep none (``n_held`` is too large).
    """
    if n_held == 0:
        return np.arange(len(y)), np.arange(0)
    counts = np.bincount(y)
    quota, fractions = np.divmod(n_held * counts, len(y))
    missing = n_held - int(quota.sum())
    quota[np.argsort(-fractions, kind="stable")[:missing]] += 1
    _check_classes(counts, quota, n_held)

    # RandomState and not default_rng: NumPy froze its stream (NEP 19), so a newer NumPy holds
    # out the same examples, and scores stay comparable.
    shuffled = np.random.RandomState(seed).permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    place_in_class = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_held = place_in_class < np.repeat(quota, counts)
    return np.sort(by_class[~is_held]), np.sort(by_class[is_held])


def random_split(n: int, n_held: int, seed: int) -> tuple[Array, Array]:
    """Split the positions of ``n`` examples at random; as ``stratified_split`` else."""
    shuffled = np.random.RandomState(seed).permutation(n)
    return np.sort(shuffled[n_held:]), np.sort(shuffled[:n_held])


def group_split(groups: Array, n_held: int, seed: int) -> tuple[Array, Array]:
    """Hold out whole groups, drawn at random, with at most ``n_held`` examples in all.

    Args:
        groups: (n,) the number of each example's group.
        n_held: how many examples to hold out; more where the smallest group has more.
        seed: 0 to 2**32 - 1.

    Raises:
        DataError: there is one group only.
    """
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise DataError(
            f"All {len(groups)} training examples belong to one group, so none can be held out. "
            f"Check the groups, or set {_OPTION}=0."
        )
    chosen, left = [], n_held
    for group in np.random.RandomState(seed).permutation(len(sizes)):
        if sizes[group] <= left:
            chosen.append(int(group))
            left -= sizes[group]
    is_held = np.isin(groups, chosen or [sizes.argmin()])
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def time_split(times: Array, n_held: int, gap: float) -> tuple[Array, Array]:
    """Hold out the last examples; those of one time are never divided.

    Args:
        times: (n,) numbers.
        n_held: how many examples to hold out; more where several share the first time held out.
        gap: examples at most this much before the first one held out are in neither part.

    Raises:
        DataError: nothing is left to train on.
    """
    first = np.sort(times)[len(times) - n_held]
    is_held = times >= first
    is_kept = times < first - gap if gap else ~is_held
    if not is_kept.any():
        dropped = f" and a data.gap of {gap:g}" if gap else ""
        raise DataError(
            f"Holding out the last {int(is_held.sum())} of {len(times)} examples{dropped} leaves "
            f"none to train on. Lower {_OPTION}" + (" or data.gap." if gap else ".")
        )
    return np.flatnonzero(is_kept), np.flatnonzero(is_held)


def _check_classes(counts: Array, quota: Array, n_held: int) -> None:
    alone = np.flatnonzero(counts == 1)
    if len(alone):
        raise DataError(
            f"Class {alone[0]} has only one training example, which cannot be used for both "
            f"training and validation. Add examples, remove the class, or set {_OPTION}=0 or "
            "data.stratify=false; data.task=regression if the labels are quantities."
        )
    emptied = np.flatnonzero((counts > 0) & (quota >= counts))
    if len(emptied):
        raise DataError(
            f"Holding out {n_held} of {int(counts.sum())} examples would leave no example of class "
            f"{emptied[0]} to train on (it has {counts[emptied[0]]}). Lower {_OPTION}."
        )


def n_held_out(validation_split: object, n: int) -> int:
    """Return how many of ``n`` examples ``validation_split`` holds out.

    Args:
        validation_split: below 1, a share of the examples; a whole number from 1, that many
            (5000 and 5000.0 mean the same, as a typed config may turn one into the other).
        n: how many examples there are.

    Raises:
        DataError: neither of the two, as many examples as there are or more, or a share of less
            than half an example.
    """
    expected = "expected a share such as 0.1, a number of examples such as 5000, or 0 for none"
    given = f"{_OPTION}={validation_split}"
    if not is_real(validation_split):
        raise DataError(f"{_OPTION}={given_text(validation_split)}: {expected}.")
    if not 0 <= validation_split < float("inf"):
        raise DataError(f"{given}: {expected}.")
    if validation_split < 1:
        n_held = round(validation_split * n)
        if validation_split > 0 and n_held == 0:
            raise DataError(f"{given} of {n} examples is less than one; {expected}.")
    elif validation_split != int(validation_split):
        raise DataError(f"{given}: {expected}.")
    else:
        n_held = int(validation_split)
    if n_held >= n:
        raise DataError(
            f"{given} holds out {n_held} of {n} examples, which leaves none for training."
        )
    return n_held


def checked_seed(seed: object) -> int:
    """Return ``seed``, an integer in 0..2**32 - 1.

    Raises:
        DataError: it is anything else.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise DataError(
            f"data.split_seed={given_text(seed)}: expected an integer from 0 to {2**32 - 1}."
        )
    return seed
