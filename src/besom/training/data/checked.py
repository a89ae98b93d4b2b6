"""What a dataset must satisfy before anything trains on it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from besom.errors import DataError, did_you_mean
from besom.text.counting import counted
from besom.training.data.array_checks import checked_input
from besom.training.data.by_output import by_output, spread
from besom.training.data.dataset import Dataset, TrainingData
from besom.training.data.examples import LazyRows, is_ragged, length
from besom.training.data.nests import is_nest, map_nest, named_leaves, with_leaves
from besom.training.data.task import Task, infer_task, labels_for


def checked_dataset(
    dataset: Dataset,
    where: str,
    task: Task | None = None,
    said: Any = None,
    suggested: Any = None,
) -> tuple[Dataset, Task]:
    """Return the dataset with its arrays cast to their proper dtypes and shapes, and its task.

    Its ``scale`` is then a float for each input, and its ``y`` is None where it was ``x`` itself.

    Args:
        dataset: examples in memory, or in files.
        where: the beginning of an error message.
        task: that of the training part, which the labels must fit; None: it is this one.
        said: ``data.task``.
        suggested: what the loss is for.

    Raises:
        DataError: see ``besom.training.data.array_checks`` and ``besom.training.data.labels``; also
            a wrong scale or number of classes, or lengths that differ.
    """
    named, scales = list(named_leaves(dataset.x)), _scales(dataset, where)
    if not named or (is_nest(dataset.y) and not dataset.y):
        raise DataError(f"{where}: {'y' if named else 'x'} is empty, expected arrays.")
    checked = [
        checked_input(leaf, scale, f"{where}, input {name}" if name else where, 1 if name else 2)
        for (name, leaf), scale in zip(named, scales, strict=True)
    ]
    y = None if dataset.y is dataset.x else dataset.y
    if task is None:
        num_classes = _checked_num_classes(dataset.num_classes, where)
        task = infer_task(y, where, said, num_classes, suggested)
    dataset = dataclasses.replace(
        dataset,
        x=with_leaves(dataset.x, [leaf for leaf, _ in checked]),
        y=labels_for(task, y, where),
        scale=with_leaves(dataset.x, [scale for _, scale in checked]),
        num_classes=task.num_classes,
        sample_weight=_checked_weights(dataset.sample_weight, task, where),
    )
    _check_lengths(dataset, where)
    return dataset, task


def scaling(dataset: Dataset, said: Dataset) -> str:
    """Which inputs are scaled though nobody said so, and by how much, in a phrase; may be empty.

    Args:
        dataset: checked.
        said: the same before, as the user gives it.
    """
    scales: list[float] = []
    map_nest(lambda _, scale: scales.append(scale), dataset.x, dataset.scale)
    named = zip(named_leaves(dataset.x), scales, _scales(said, said.name), strict=True)
    return ", ".join(
        f"{name or 'x'} × {_factor(scale)}"
        for (name, _), scale, was_said in named
        if was_said is None and scale != 1.0
    )


def as_trained_on(part: Dataset, training: Dataset | TrainingData, where: str) -> Dataset:
    """Return a checked part with inputs of the dtypes that were trained on.

    Args:
        part: the test part, or a given validation set.
        training: the training part.
        where: the beginning of an error message.

    Raises:
        DataError: it lacks an input, or one has another shape, scale, or no numbers where training
            has some.
    """
    x = training.x if isinstance(training, Dataset) else training.x_train
    trained, given = dict(named_leaves(x)), dict(named_leaves(part.x))
    for names, known, fault in ((trained, given, "is missing"), (given, trained, "is not known")):
        for name in names:
            if name not in known:
                raise DataError(
                    f"{where}: the input {name or 'x'!r} {fault}; those trained on are "
                    f"{', '.join(trained) or 'one array'}."
                )
    leaves = [
        _leaf_as(given[name], leaf, f"{where}, input {name}" if name else where)
        for name, leaf in trained.items()
    ]
    if part.scale != training.scale:
        raise DataError(f"{where}: scale {part.scale}, but training used {training.scale}.")
    return dataclasses.replace(part, x=with_leaves(x, leaves))


def _leaf_as(leaf: Any, trained: Any, where: str) -> Any:
    if tuple(leaf.shape[1:]) != tuple(trained.shape[1:]):
        raise DataError(
            f"{where}: examples of shape {tuple(leaf.shape[1:])}, but those trained on have "
            f"{tuple(trained.shape[1:])}."
        )
    if is_ragged(leaf) or is_ragged(trained) or isinstance(leaf, LazyRows):
        return leaf
    is_text, was_text = (array.dtype.kind in "OSU" for array in (leaf, trained))
    if is_text != was_text:
        raise DataError(f"{where}: dtype {leaf.dtype}, but training used {trained.dtype}.")
    if is_text or leaf.dtype == trained.dtype:
        return leaf
    if trained.dtype == np.uint8:  # which reaches the model as float32
        return leaf.astype(np.float32)
    if trained.dtype.kind != "f" and leaf.dtype.kind == "f":
        raise DataError(f"{where}: dtype {leaf.dtype}, but training used {trained.dtype}.")
    return leaf.astype(trained.dtype)


def _factor(scale: float) -> str:
    whole = round(1 / scale)
    return f"1/{whole}" if whole and scale == 1 / whole else f"{scale:.6g}"


def _scales(dataset: Dataset, where: str) -> list[float | None]:
    """What the user says each input is multiplied by, in their order; None: nothing."""
    names, said = [name for name, _ in named_leaves(dataset.x)], dataset.scale
    if isinstance(said, list | tuple):
        said = {f"[{i}]": scale for i, scale in enumerate(said)}
    if not isinstance(said, Mapping):
        if said not in (None, 1) and names != [""]:
            raise DataError(
                f"{where}: scale={said!r}, but there are several inputs: give a mapping of them, "
                f"such as {{{names[0]!r}: {said!r}}}."
            )
        said = dict.fromkeys(names, said)
    for name, scale in said.items():
        if name not in names:
            raise DataError(
                f"{where}: scale names the input {name!r}, which is not there."
                + did_you_mean(str(name), names)
            )
        is_number = isinstance(scale, int | float | np.integer | np.floating)
        if scale is not None and (not is_number or not math.isfinite(scale) or scale == 0):
            raise DataError(f"{where}: scale={scale!r}, expected a finite number other than 0.")
    found = [said.get(name) for name in names]
    return [None if scale is None else float(scale) for scale in found]


def _checked_num_classes(said: Any, where: str) -> Any:
    """What the user says; None where it says nothing: a single class is none."""
    if isinstance(said, Mapping):
        return {key: _checked_num_classes(part, where) for key, part in said.items()}
    if isinstance(said, list | tuple):
        return [_checked_num_classes(part, where) for part in said]
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int | np.integer) or said < 1:
        raise DataError(f"{where}: num_classes={said!r}, expected an integer.")
    return int(said) if said > 1 else None


def _checked_weights(weights: Any, task: Task, where: str) -> Any:
    """Sample weights as float32, (n,); with several outputs also by output, None where it has none.

    Raises:
        DataError: they are no finite numbers from 0, or of an output that is not there.
    """
    if weights is None:
        return None
    if not isinstance(weights, Mapping) and not is_nest(weights):
        return _weights_of_one(weights, where)
    if is_nest(weights) and not isinstance(weights, Mapping):
        weights = dict(enumerate(weights))
    outputs = spread(weights, task.kind, "sample_weight", where)
    return by_output(
        lambda _, part: None if part is None else _weights_of_one(part, where), task.kind, outputs
    )


def _weights_of_one(weights: Any, where: str) -> Any:
    array = np.asarray(weights)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: the sample weights have shape {array.shape} and dtype {array.dtype}, "
            "expected (n,) numbers."
        )
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{where}: the sample weight at position {first} is {array[first]}, expected a finite "
            "number from 0."
        )
    return array.astype(np.float32)


def _check_lengths(dataset: Dataset, where: str) -> None:
    """Refuse inputs, labels or weights of different length."""
    (first, leaf), *others = list(named_leaves(dataset.x))
    n, what = length(leaf), f"input {first} has {{}} examples" if first else "{} examples"
    for name, other in others:
        if length(other) != n:
            raise DataError(
                f"{where}: {what.format(n)}, but input {name} has {length(other)}; expected as "
                "many of each."
            )
    for noun, nest in (("label", dataset.y), ("sample weight", dataset.sample_weight)):
        for name, other in named_leaves(nest):
            if other is not None and length(other) != n:
                of = f" of output {name}" if name else ""
                raise DataError(
                    f"{where}: {what.format(n)} but {counted(length(other), noun)}{of}; expected "
                    "one label each."
                    if noun == "label"
                    else f"{where}: {what.format(n)} but {counted(length(other), noun)}{of}; "
                    "expected one each."
                )
