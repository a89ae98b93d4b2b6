"""Opens a dataset: the two functions that do.

A dataset is a function, anywhere importable, that returns one part of it as a ``Dataset``::

    def spirals(split: Literal["train", "test"], turns: float = 2.0) -> Dataset:
        x, y = ...
        return Dataset(x=x, y=y, name="spirals")

It may also return ``(x, y)``, ``(x, y, sample_weight)``, or a stream of batches alone.

A config names it with ``_target_`` and gives its other parameters. ``load_training`` opens the
training part and holds the validation examples out; ``load_test`` alone opens the test part, so
that whoever does not call it cannot have seen a test example. A function that has no test part
raises ``NoTestExamples`` when it is asked for one.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from besom.errors import DataError
from besom.targets import TARGET, instantiate, resolve
from besom.training.data import streams
from besom.training.data.checked import as_trained_on, checked_dataset
from besom.training.data.dataset import Dataset, Split, TrainingData, in_memory
from besom.training.data.examples import Stream
from besom.training.data.fingerprint import fingerprint
from besom.training.data.opened import Opened
from besom.training.data.splits.holding_out import hold_out
from besom.training.data.splits.setting_aside import OnePart, one_part
from besom.training.data.task import Task

log = logging.getLogger("besom")

#: Keys of the node that are besom's own, never the function's.
_FOR_LOADING = ("validation_split", "split_seed")
#: The same, unless the function has a parameter of that name.
_IF_NOT_ITS_OWN = ("task", "stratify", "group", "order", "gap", "test_split", "test_seed")


def load_training(data: Mapping[str, Any], suggested: Any = None) -> TrainingData:
    """Load the training part and hold validation examples out.

    Args:
        data: the config node: ``_target_``, ``task``, ``validation_split`` (a share below 1 or a
            number of examples; default 0.1), ``split_seed`` (default 0; it seeds nothing but the
            split), ``stratify``, ``group``, ``order``, ``gap``, ``test_split`` and ``test_seed``
            (the same for a test part, where the target has none), and the parameters of the target.
        suggested: what the loss is for, which outranks what the labels look like
            (``besom.training.loss_kinds.suggested_task``); None: nothing.

    Returns:
        The same arrays and fingerprint for the same config and files, on every machine.

    Raises:
        ConfigError: the target or one of its parameters is unknown.
        DataError: a file is missing or damaged, the arrays cannot be trained on, or the split
            cannot be made.
    """
    part, options = _training_part(data, suggested)
    dataset, where = part.dataset, f"{part.dataset.name} (train)"
    if streams.is_stream(dataset.x):
        return streams.training_data(dataset, options, where, suggested)
    opened = Opened.of(part, options, where, suggested)
    dataset, task = opened.dataset, opened.task
    if dataset.x_validation is not None:
        training = _with_validation(dataset, task, options, opened.said.scale)
        training = opened.encoded(opened.described(training), None)
    else:
        chosen = hold_out(options, dataset, task, where)
        is_cut = len(chosen.kept) + len(chosen.held) < len(in_memory(dataset.examples))
        training = opened.divided(
            chosen, opened.digits(chosen.held, chosen.kept if is_cut else None)
        )
    log.info("%s: %s; split %s%s", where, task, training.split, _scaled(training))
    return training


def open_for_folds(data: Mapping[str, Any], suggested: Any, n_folds: int) -> Opened:
    """Load the training part for folds, which are held out of all of it.

    Args:
        data, suggested: as for ``load_training``.
        n_folds: what the config says.

    Raises:
        ConfigError, DataError: as ``load_training``; or there is nothing to divide: it is a stream,
            or has a validation set of its own.
    """
    part, options = _training_part(data, suggested)
    dataset, where = part.dataset, f"{part.dataset.name} (train)"
    why = ""
    if streams.is_stream(dataset.x):
        why = "is a stream, which cannot be divided"
    elif dataset.x_validation is not None:
        why = "has a validation set of its own"
    if why:
        raise DataError(
            f"sweep.folds={n_folds}: {where} {why}. Leave out sweep.folds; sweep.repeats works."
        )
    return Opened.of(part, options, where, suggested)


def opened_anew(data: Mapping[str, Any], training: TrainingData) -> TrainingData:
    """The same training data, its stream made again by the user's function.

    Args:
        data: the config node, as for ``load_training``.
        training: what that returned for it; its training part is a stream.
    """
    assert isinstance(training.train, Stream)
    source = _part(data, "train")[0].x
    return replace(training, train=replace(training.train, source=source))


def _scaled(training: TrainingData) -> str:
    return f"; scaled: {training.scaling}" if training.scaling else ""


def _with_validation(
    dataset: Dataset, task: Task, options: Mapping[str, Any], said_scale: Any
) -> TrainingData:
    given = validation_set(dataset, said_scale)
    where = f"{dataset.name} (validation)"
    if streams.is_stream(given.x):
        raise DataError(
            f"{where}: x_validation is a {type(given.x).__name__}, but the training examples are "
            "arrays: give arrays for both."
        )
    held, _ = checked_dataset(given, where, task)
    examples = in_memory(as_trained_on(held, dataset, where).examples)
    return TrainingData(
        train=in_memory(dataset.examples),
        validation=examples,
        task=task,
        num_classes=task.num_classes,
        fingerprint=fingerprint(dataset, task, examples.x, examples.y, examples.weight),
        name=dataset.name,
        split="given validation set" + unused_options(options),
        fixed_split=True,
    )


def validation_set(dataset: Dataset, said_scale: Any) -> Dataset:
    """The validation set that comes with a dataset, of the scale that the user says of either."""
    given = dataset.x_validation
    if isinstance(given, Dataset):
        return replace(given, scale=said_scale if given.scale is None else given.scale)
    return Dataset(
        x=given,
        y=given if dataset.y is dataset.x else dataset.y_validation,
        scale=said_scale,
        name=dataset.name,
        sample_weight=dataset.sample_weight_validation,
    )


def unused_options(options: Mapping[str, Any]) -> str:
    """What a given validation set makes useless, in brackets."""
    unused = [f"data.{key}" for key in ("validation_split", "group", "order") if options.get(key)]
    return f" ({' and '.join(unused)} not used)" if unused else ""


def load_test(data: Mapping[str, Any], training: TrainingData | None = None) -> Dataset:
    """Load the test part. Nothing else in besom asks a dataset for it.

    Args:
        data: the config node, as for ``load_training``.
        training: what was trained on; if given, the test part must fit it.

    Returns:
        Checked: its ``examples`` are what a model is measured on.

    Raises:
        NoTestExamples: the dataset has no test part.
        ConfigError, DataError: as ``load_training``; a label that training has no class for;
            another example shape or scale than in training.
    """
    is_split = data.get("test_split") and "test_split" not in _parameters(data)
    dataset, options = _part(data, "train" if is_split else "test")
    suggested = None if training is None else training.suggested
    dataset = one_part(dataset, options, "test", suggested).dataset
    where = f"{dataset.name} (test)"
    if streams.is_stream(dataset.x):
        return streams.checked_test(dataset, training, where)
    if training is not None and isinstance(training.train, Stream):
        return streams.arrays_beside(training.train, dataset, where, training.task)
    task = None if training is None else training.task
    test, _ = checked_dataset(dataset, where, task, options.get("task"))
    if training is None:
        return test
    if training.columns is not None and training.columns.is_applied:
        test = replace(test, x=training.columns.encode(test.x), scale=1.0)
    return as_trained_on(test, training, where)


def _training_part(data: Mapping[str, Any], suggested: Any) -> tuple[OnePart, Mapping[str, Any]]:
    """The training part as the user gives it, without its test part, and besom's own options."""
    dataset, options = _part(data, "train")
    return one_part(dataset, options, "train", suggested), options


def _part(data: Mapping[str, Any], split: Split) -> tuple[Dataset, Mapping[str, Any]]:
    """What the target returns, and besom's own options of the node."""
    own = _parameters(data)
    options = {
        key: value
        for key, value in data.items()
        if key in _FOR_LOADING or (key in _IF_NOT_ITS_OWN and key not in own)
    }
    if options.get("test_split") and data.get("test_path"):
        raise DataError(
            "data.test_path and data.test_split both say what the test part is: set one of them."
        )
    given = instantiate({k: v for k, v in data.items() if k not in options}, split)
    if isinstance(given, Dataset):
        return given, options
    name = str(data[TARGET]).rpartition(".")[2]
    if isinstance(given, tuple) and len(given) in (2, 3):
        x, y, weight = (*given, None)[:3]
        return Dataset(x=x, y=y, sample_weight=weight, name=name), options
    if streams.is_stream(given):
        return Dataset(x=given, name=name), options
    raise DataError(
        f"data._target_={data[TARGET]} returned {type(given).__name__}, expected "
        "besom.training.data.Dataset, or (x, y)."
    )


def _parameters(data: Mapping[str, Any]) -> Any:
    """The names of the parameters of the target; none where it cannot be asked."""
    if not isinstance(data, Mapping) or TARGET not in data:
        return ()
    try:
        return inspect.signature(resolve(data[TARGET])).parameters
    except (TypeError, ValueError):
        return ()
