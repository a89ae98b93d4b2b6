"""Divides a dataset into folds, each of which is held out once: ``sweep.folds``.

Every example is in one fold, or with times in one of the blocks that follow each other: a fold is
then predicted from the blocks before it (forward chaining), and the first block is trained on only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.errors import DataError
from besom.text.counting import counted
from besom.training.data.array_checks import Array
from besom.training.data.dataset import Dataset
from besom.training.data.splits.holding_out import Divides, HeldOut, blocks_of
from besom.training.data.splits.split import checked_seed
from besom.training.data.task import Task

_OPTION = "sweep.folds"


@dataclass(frozen=True, eq=False)
class Folding:
    """Which examples each fold holds out.

    Attributes:
        fold_of: (n,) the fold of each example, from 0; -1 where no fold holds it out.
        n_folds: how many there are.
        how: how they were made, in a phrase.
        groups: (n,) the number of each example's group; None: there are none.
        times, gap: (n,) when each was taken, and what lies between training and validation; None:
            time does not matter.
    """

    fold_of: Array
    n_folds: int
    how: str
    groups: Array | None = None
    times: Array | None = None
    gap: float = 0.0

    @property
    def is_fixed(self) -> bool:
        """Whether no seed would make other folds."""
        return self.times is not None

    @property
    def predicted(self) -> Array:
        """(n_predicted,) ascending positions of the examples that a fold holds out."""
        return np.flatnonzero(self.fold_of >= 0)

    def fold(self, number: int) -> HeldOut:
        """What is trained on and what is held out in the fold ``number``, from 0."""
        held = np.flatnonzero(self.fold_of == number)
        if self.times is not None:
            kept = np.flatnonzero(self._before(number))
            units = blocks_of(self.times[held], self.gap)
            return HeldOut(kept, held, self.how, units, is_fixed=True)
        kept = np.flatnonzero(self.fold_of != number)
        if self.groups is None:
            return HeldOut(kept, held, self.how)
        units = np.unique(self.groups[held], return_inverse=True)[1]
        return HeldOut(kept, held, self.how, units)

    def check(self) -> None:
        """Refuse a fold that nothing can be trained on for.

        Raises:
            DataError: the gap leaves no example before the first fold.
        """
        if self.times is not None and not self._before(0).any():
            raise DataError(
                f"{_OPTION}={self.n_folds} by time with data.gap={self.gap:g} leaves nothing to "
                f"train on before the first fold. Lower {_OPTION} or data.gap."
            )

    def _before(self, number: int) -> Array:
        """Whether each example was taken before a fold, and before the gap."""
        assert self.times is not None
        begins = self.times[self.fold_of == number].min()
        return np.asarray(self.times < begins - self.gap if self.gap else self.times < begins)


def folds_of(
    data: Mapping[str, Any], dataset: Dataset, task: Task, n_folds: int, where: str
) -> Folding:
    """Divide the examples into folds: by class, at random, by group or by time.

    Args:
        data: the config node: ``split_seed``, ``stratify``, ``group``, ``order`` and ``gap`` of it.
        dataset: the training part, checked.
        task: what is to be learned from it.
        n_folds: at least 2.
        where: the beginning of an error message.

    Raises:
        DataError: an option makes no sense, or there are more folds than examples, groups, times or
            examples of a class.
    """
    seed, divides = checked_seed(data.get("split_seed", 0)), Divides.of(data, dataset, task, where)
    name, n = f"{_OPTION}={n_folds}", divides.n
    if n < n_folds:
        raise DataError(f"{name}, but {where} has only {counted(n, 'example')}.")
    if (groups := divides.groups) is not None:
        fold_of = _by_group(groups, n_folds, seed)
        how = f"{n_folds} folds by group ({int(groups.max()) + 1} groups)"
        return Folding(fold_of, n_folds, how, groups=groups)
    if (times := divides.times) is not None:
        fold_of = _by_time(times, n_folds)
        n_first = int(np.count_nonzero(fold_of < 0))
        how = f"{n_folds} folds by time, each after those it is predicted from; the first "
        how += f"{counted(n_first, 'example')} only trained on"
        how += f"; a gap of {divides.gap:g} before each" if divides.gap else ""
        folding = Folding(fold_of, n_folds, how, times=times, gap=divides.gap)
        folding.check()
        return folding
    shuffled, how = np.random.RandomState(seed).permutation(n), f"{n_folds} random folds"
    if (classes := divides.classes) is not None:
        _check_classes(classes, n_folds)
        # One class after the other is dealt out, so each is spread as evenly as can be.
        shuffled = shuffled[np.argsort(classes[shuffled], kind="stable")]
        how = f"{n_folds} folds stratified by class"
    fold_of = np.empty(n, np.int64)
    fold_of[shuffled] = np.arange(n) % n_folds
    return Folding(fold_of, n_folds, how)


def _check_classes(classes: Array, n_folds: int) -> None:
    counts = np.bincount(classes)
    small = np.flatnonzero((counts > 0) & (counts < n_folds))
    if len(small):
        least = small[counts[small].argmin()]
        raise DataError(
            f"{_OPTION}={n_folds}, but class {least} has only "
            f"{counted(int(counts[least]), 'training example')}, so some folds would have none of "
            f"it. Lower {_OPTION}, add examples, or set data.stratify=false."
        )


def _by_group(groups: Array, n_folds: int, seed: int) -> Array:
    """Whole groups: the largest first, each into the fold with the fewest examples so far."""
    sizes = np.bincount(groups)
    if len(sizes) < n_folds:
        raise DataError(
            f"{_OPTION}={n_folds}, but the training examples belong to only "
            f"{counted(len(sizes), 'group')}, none of which may be divided. Lower {_OPTION}."
        )
    shuffled = np.random.RandomState(seed).permutation(len(sizes))
    fold_of, taken = np.empty(len(sizes), np.int64), np.zeros(n_folds, np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[group] = taken.argmin()
        taken[fold_of[group]] += sizes[group]
    return fold_of[groups]


def _by_time(times: Array, n_folds: int) -> Array:
    """Blocks of about equal size, one more than folds; examples of one time stay together."""
    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) <= n_folds:
        raise DataError(
            f"{_OPTION}={n_folds} by time takes {n_folds + 1} blocks that follow each other, but "
            f"the training examples have only {counted(len(distinct), 'time')}, none of which may "
            f"be divided. Lower {_OPTION}."
        )
    n_before, first = np.cumsum(counts) - counts, 0
    begins = []
    for fold in range(n_folds):
        wanted = (fold + 1) * len(times) / (n_folds + 1)
        left = slice(first + 1, len(distinct) - (n_folds - 1 - fold))  # the others need one each
        first = left.start + int(np.abs(n_before[left] - wanted).argmin())
        begins.append(distinct[first])
    return np.asarray(np.searchsorted(begins, times, side="right") - 1)
