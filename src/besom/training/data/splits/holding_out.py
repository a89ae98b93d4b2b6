"""Chooses the validation examples of a dataset, as its config says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.errors import DataError, did_you_mean
from besom.text.counting import counted
from besom.text.values import given_text
from besom.training.data.array_checks import Array
from besom.training.data.dataset import Dataset, in_memory
from besom.training.data.splits.split import (
    checked_seed,
    group_split,
    n_held_out,
    random_split,
    stratified_split,
    time_split,
)
from besom.training.data.task import Task

#: What is held out where the config does not say.
DEFAULT_VALIDATION_SPLIT = 0.1


@dataclass(frozen=True)
class HeldOut:
    """Which examples are for training and which for validation.

    Attributes:
        kept, held: ascending positions. With a gap some are in neither.
        how: the split that was used, in a phrase.
        is_fixed: whether no seed would choose others.
        units: (n_held,) numbers: validation examples with the same one belong together, so what
            resamples them takes them together; None where each stands for itself.
    """

    kept: Array
    held: Array
    how: str
    units: Array | None = None
    is_fixed: bool = False


def hold_out(data: Mapping[str, Any], dataset: Dataset, task: Task, where: str) -> HeldOut:
    """Choose the validation examples.

    Args:
        data: the config node: ``validation_split``, ``split_seed``, ``stratify``, ``group``,
            ``order`` and ``gap`` of it.
        dataset: the training part, checked.
        task: what is to be learned from it.
        where: the beginning of an error message.

    Raises:
        DataError: an option makes no sense, or leaves nothing on one side.
    """
    n, seed = len(in_memory(dataset.examples)), checked_seed(data.get("split_seed", 0))
    n_held = n_held_out(data.get("validation_split", DEFAULT_VALIDATION_SPLIT), n)
    divides = Divides.of(data, dataset, task, where)
    if n_held == 0:
        return HeldOut(np.arange(n), np.arange(0), "none held out", is_fixed=True)
    if (groups := divides.groups) is not None:
        return _by_group(groups, n_held, seed)
    if (times := divides.times) is not None:
        return _by_time(times, n_held, divides.gap)
    if (classes := divides.classes) is not None:
        return HeldOut(*stratified_split(classes, n_held, seed), "stratified by class")
    return HeldOut(*random_split(n, n_held, seed), "random")


@dataclass(frozen=True, eq=False)
class Divides:
    """What a config and a dataset say of how examples may be divided: each property is (n,), or
    None where that does not matter.

    Args:
        dataset, task, where: as for ``hold_out``.
        named_groups, named_times: as the user gives them, unchecked; at most one of them is there.
        gap: in the unit of the times.
        stratify: ``data.stratify``.
    """

    dataset: Dataset
    task: Task
    where: str
    named_groups: Any
    named_times: Any
    gap: float
    stratify: bool | str

    @classmethod
    def of(cls, data: Mapping[str, Any], dataset: Dataset, task: Task, where: str) -> Divides:
        """Read the options.

        Raises:
            DataError: one makes no sense, or two do not go together.
        """
        groups = _named(data, "group", dataset.groups, dataset, where)
        times = _named(data, "order", dataset.order, dataset, where)
        gap, stratify = _gap(data, times), _stratify(data)
        if groups is not None and times is not None:
            raise DataError(
                f"{where}: examples can be held out by group or by time, not by both. Leave out "
                "data.group or data.order."
            )
        if stratify is True and (groups is not None or times is not None):
            raise DataError(
                "data.stratify=true cannot be combined with "
                + ("data.group." if groups is not None else "data.order.")
            )
        return cls(dataset, task, where, groups, times, gap, stratify)

    @property
    def n(self) -> int:
        """How many examples there are."""
        return len(in_memory(self.dataset.examples))

    @property
    def groups(self) -> Array | None:
        """The number of each example's group, from 0."""
        return None if self.named_groups is None else _codes(self.named_groups, self.n, self.where)

    @property
    def times(self) -> Array | None:
        """When each was taken; dates as days."""
        return None if self.named_times is None else _as_times(self.named_times, self.n, self.where)

    @property
    def classes(self) -> Array | None:
        """The classes to stratify by."""
        classes = None if self.stratify is False else self.task.classes_of(self.dataset.y)
        if classes is None and self.stratify is True:
            raise DataError(
                f"{self.where}: data.stratify=true needs one class for each example, but the task "
                f"is {self.task}. Set data.stratify=auto."
            )
        return classes


def units_of(data: Mapping[str, Any], dataset: Dataset, where: str) -> Array | None:
    """What is resampled together of a part that is measured as a whole, such as the test part.

    Returns:
        (n,) numbers, equal where examples belong to one group or block; None: each is its own.

    Raises:
        DataError: as ``hold_out``.
    """
    groups = _named(data, "group", dataset.groups, dataset, where)
    if groups is not None:
        return _codes(groups, len(in_memory(dataset.examples)), where)
    times = _named(data, "order", dataset.order, dataset, where)
    if times is None:
        return None
    n = len(in_memory(dataset.examples))
    return blocks_of(_as_times(times, n, where), _gap(data, times))


def _by_group(codes: Array, n_held: int, seed: int) -> HeldOut:
    kept, held = group_split(codes, n_held, seed)
    units = np.unique(codes[held], return_inverse=True)[1]
    n_groups = int(codes.max()) + 1
    return HeldOut(kept, held, f"by group: {units.max() + 1} of {n_groups} groups", units)


def _by_time(times: Array, n_held: int, gap: float) -> HeldOut:
    kept, held = time_split(times, n_held, gap)
    n_dropped = len(times) - len(kept) - len(held)
    how = f"by time: the last {len(held):,}"
    if gap:
        how += f"; {counted(n_dropped, 'example')} before them dropped"
    return HeldOut(kept, held, how, blocks_of(times[held], gap), is_fixed=True)


def blocks_of(times: Array, gap: float) -> Array:
    """Blocks of neighbours in time: of n^(1/3) examples as usual for series, or of a gap's length.

    What is resampled by blocks keeps the likeness of neighbours, which single examples would lose.
    """
    n = len(times)
    in_order = np.argsort(times, kind="stable")
    size = max(round(n ** (1 / 3)), 1)
    if gap:
        ordered = times[in_order]
        size = max(size, int(np.searchsorted(ordered, ordered[0] + gap, side="right")))
    blocks = np.empty(n, np.int64)
    blocks[in_order] = np.arange(n) // size
    return blocks


def _named(
    data: Mapping[str, Any], option: str, of_dataset: Any, dataset: Dataset, where: str
) -> Any:
    """What ``data.group`` or ``data.order`` names; else what the dataset itself gives."""
    name = data.get(option)
    field = "groups" if option == "group" else option
    if name is None or name == field or (name is True and of_dataset is not None):
        if name is not None and of_dataset is None:
            raise DataError(f"data.{option}={name}: {where} has no {field}.")
        return of_dataset
    if name is True and option == "order":
        return np.arange(len(in_memory(dataset.examples)))
    if not isinstance(name, str):
        expected = "the name of an input" + (", or true for their own order" * (field == option))
        raise DataError(f"data.{option}={given_text(name)}: expected {expected}.")
    if not isinstance(dataset.x, Mapping):
        raise DataError(
            f"data.{option}={name} names an input, but those of {where} have no names: give "
            f"besom.training.data.Dataset({field}=...)."
        )
    if name not in dataset.x:
        raise DataError(
            f"data.{option}={name}: {where} has no such input."
            + did_you_mean(name, [str(key) for key in dataset.x])
        )
    return dataset.x[name]


def _column(values: Any, n: int, what: str, where: str) -> Array:
    column = np.asarray(values)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.shape != (n,):
        raise DataError(f"{where}: the {what} have shape {column.shape}, expected ({n},).")
    return column


def _codes(groups: Any, n: int, where: str) -> Array:
    """The groups as numbers from 0."""
    column = _column(groups, n, "groups", where)
    empty = column != column if column.dtype.kind != "O" else _is_missing(column)
    if column.dtype.kind in "US":
        empty = np.char.str_len(column) == 0
    if np.any(empty):
        raise DataError(
            f"{where}: {counted(int(np.sum(empty)), 'example')} belong to no group (the first is "
            f"example {int(np.argmax(empty))}): its group is empty. Give each example a group."
        )
    if column.dtype.kind == "O":
        column = column.astype(str)
    codes: Array = np.unique(column, return_inverse=True)[1]
    return codes


def _is_missing(column: Array) -> Array:
    return np.array([v is None or v != v or v in ("", b"") for v in column])


def _as_times(times: Any, n: int, where: str) -> Array:
    """Times as numbers; dates as days."""
    column = _column(times, n, "times of data.order", where)
    if column.dtype.kind in "OSU":
        try:
            column = column.astype(str).astype("datetime64[ms]")
        except ValueError as error:
            raise DataError(
                f"{where}: data.order holds text that is no date such as 2024-01-31 ({error})."
            ) from error
    if column.dtype.kind == "M":
        missing = np.isnat(column)
        column = column.astype("datetime64[ms]").astype(np.int64) / 86_400_000
        column = np.where(missing, np.nan, column)
    if column.dtype.kind not in "iuf":
        raise DataError(f"{where}: data.order has dtype {column.dtype}, expected numbers or dates.")
    if not np.isfinite(column).all():
        raise DataError(
            f"{where}: example {int((~np.isfinite(column)).argmax())} has no time in data.order."
        )
    return column


def _gap(data: Mapping[str, Any], times: Any) -> float:
    gap = data.get("gap") or 0
    if isinstance(gap, bool) or not isinstance(gap, int | float) or not 0 <= gap < float("inf"):
        raise DataError(
            f"data.gap={given_text(gap)}: expected a number from 0, in the unit of data.order "
            "(days for dates, examples for data.order=true)."
        )
    if gap and times is None:
        raise DataError(f"data.gap={gap} is for a split by time, but there is no data.order.")
    return float(gap)


def _stratify(data: Mapping[str, Any]) -> bool | str:
    stratify = data.get("stratify")
    if stratify is None or stratify == "auto" or isinstance(stratify, bool):
        return "auto" if stratify is None else stratify
    raise DataError(f"data.stratify={given_text(stratify)}: expected auto, true or false.")
