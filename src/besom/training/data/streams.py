"""Streams of batches: ``tf.data``, ``keras.utils.PyDataset``, and functions that return iterators.

They are taken as they are: nothing is cast, scaled or kept. Only the validation stream is read
once, for the fingerprint, and again at its beginning: it must give the same examples each time, or
values could not be compared. TensorFlow is imported only where there is a stream.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from besom.errors import BesomError, DataError, reason_of
from besom.training.data.checked import checked_dataset
from besom.training.data.dataset import Dataset, TrainingData, in_memory
from besom.training.data.examples import Examples, Stream, length
from besom.training.data.fingerprint import update_digest
from besom.training.data.nests import is_nest, leaves, map_nest, named_leaves
from besom.training.data.task import Task, infer_task

#: What ``tf.data.Dataset.cardinality`` gives where nobody knows, and for endless ones.
_UNKNOWN, _INFINITE = -2, -1


def is_stream(x: Any) -> bool:
    """Whether a dataset's ``x`` gives batches, one after the other."""
    return _is_tf_data(x) or _is_py_dataset(x) or _is_iterator(x) or _is_function(x)


def _is_tf_data(x: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, tensorflow.data.Dataset)


def _is_py_dataset(x: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(x, keras.utils.PyDataset)


def _is_iterator(x: Any) -> bool:
    return isinstance(x, Iterator)


def _is_function(x: Any) -> bool:
    return callable(x) and not hasattr(x, "shape")


def as_stream(source: Any, where: str) -> Stream:
    """Return a stream of what the user gives; its first batch is read where nothing else tells.

    Raises:
        DataError: it can be read only once, or gives no batches.
    """
    if _is_iterator(source):
        raise DataError(
            f"{where}: a {type(source).__name__} can be read only once, and each epoch of each "
            "trial reads it again. Give the function that makes it: x=batches, not x=batches()."
        )
    if _is_tf_data(source):
        if any(leaf.shape.rank == 0 for leaf in leaves(source.element_spec)):
            raise DataError(
                f"{where}: the tf.data.Dataset gives single examples, expected batches: end it "
                "with batch(n)."
            )
        n = int(source.cardinality())
        return Stream(source, n if n >= 0 else None, source.element_spec, is_endless=n == _INFINITE)
    known = source.num_batches if _is_py_dataset(source) else None
    stream = Stream(source, known, None, is_endless=_is_py_dataset(source) and known is None)
    first = next(batches(stream, where), None)
    if first is None:
        raise DataError(f"{where}: the stream gives no batches.")
    again = next(batches(stream, where), None)
    if again is None or not _alike(_spec(again), _spec(first), dimensions=False):
        raise _read_otherwise(first, again, where)
    return replace(stream, element_spec=_spec(first))


def batches(stream: Stream, where: str) -> Iterator[Any]:
    """Read the stream once, as NumPy arrays packed like Keras's batches.

    Raises:
        DataError: the user's code fails, or returns no batches.
    """
    try:
        if _is_tf_data(stream.source):
            yield from stream.source.as_numpy_iterator()
        elif _is_py_dataset(stream.source):
            yield from (stream.source[i] for i in range(stream.n_batches or 0))
        else:
            yield from stream.source()
    except BesomError:
        raise
    except Exception as error:
        raise DataError(f"{where}: the stream cannot be read: {reason_of(error)}.") from error


def training_data(
    dataset: Dataset, options: Mapping[str, Any], where: str, suggested: Any = None
) -> TrainingData:
    """Return training data of a stream, with the validation set that comes with it.

    Raises:
        DataError: the stream cannot be read, or there is no validation set.
    """
    _check_alone(dataset, where)
    train = as_stream(dataset.x, where)
    _check_options(options, dataset, where)
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{_spec_text(train.element_spec)} {train.n_batches}".encode())
    validation: Examples | Stream | None = None
    given, held = _given_validation(dataset), f"{dataset.name} (validation)"
    if given is None:
        labels = _labels_of(next(batches(train, where), None))
    elif is_stream(given.x):
        validation, labels = _read_through(as_stream(given.x, held), digest, held)
        _check_structure(validation, train, held)
    else:
        labels = given.y
    said, known = options.get("task"), dataset.num_classes
    task = infer_task(labels, held if given else where, said, known, suggested)
    if given is not None and validation is None:
        checked = arrays_beside(train, given, held, task)
        validation = in_memory(checked.examples)
        for _, leaf in named_leaves((validation.x, validation.y, validation.weight)):
            if leaf is not None:
                update_digest(digest, leaf)
    digest.update(f"{task.num_classes} {task.kind}".encode())
    return TrainingData(
        train=train,
        validation=validation,
        task=task,
        num_classes=task.num_classes,
        fingerprint=digest.hexdigest(),
        name=dataset.name,
        split="none held out" if given is None else "given validation set",
        fixed_split=True,
        class_names=dataset.class_names,
    )


def checked_test(dataset: Dataset, training: TrainingData | None, where: str) -> Dataset:
    """Return a test part that is a stream, read once to see that it can be.

    Raises:
        DataError: it cannot, or its batches are not as those trained on.
    """
    _check_alone(dataset, where)
    stream, _ = _read_through(as_stream(dataset.x, where), hashlib.blake2b(), where)
    if training is not None and isinstance(training.train, Stream):
        _check_structure(stream, training.train, where)
    return replace(dataset, x=stream)


def arrays_beside(train: Stream, dataset: Dataset, where: str, task: Task) -> Dataset:
    """Return a part in arrays, checked, of which the training part is a stream.

    A stream's batches are not scaled, so neither are these unless the user says so.

    Raises:
        DataError: the arrays cannot be measured on, or are not as the stream's.
    """
    if dataset.scale is None:
        dataset = replace(dataset, scale=map_nest(lambda _: 1.0, dataset.x))
    checked, _ = checked_dataset(dataset, where, task)
    spec = train.element_spec
    trained = dict(named_leaves(spec[0] if isinstance(spec, tuple) else spec))
    given = dict(named_leaves(_spec(checked.x)))
    if given.keys() != trained.keys() or not all(
        leaf.shape[1:].is_compatible_with(trained[name].shape[1:]) for name, leaf in given.items()
    ):
        inputs = _spec_text(spec[0] if isinstance(spec, tuple) else spec)
        raise DataError(
            f"{where}: examples of {_spec_text(_spec(checked.x))}, but those trained on are "
            f"{inputs}."
        )
    return checked


def _check_alone(dataset: Dataset, where: str) -> None:
    for name in ("y", "sample_weight", "scale", "groups", "order"):
        if getattr(dataset, name) is not None and (name, dataset.scale) != ("scale", 1.0):
            raise DataError(
                f"{where}: {name} is given beside a stream, which is taken as it is: its batches "
                "are (inputs, labels) or (inputs, labels, sample weights), scaled already."
            )


def _check_options(options: Mapping[str, Any], dataset: Dataset, where: str) -> None:
    wanted = [
        f"data.{key}"
        for key in ("validation_split", "group", "order", "stratify")
        if options.get(key) not in (None, 0, "auto")
    ]
    if wanted and dataset.x_validation is None:
        raise DataError(
            f"{where}: {wanted[0]} is set, but a stream cannot be split. Give "
            "Dataset(x_validation=...), or set data.validation_split=0."
        )
    if dataset.x_validation is None and "validation_split" not in options:
        raise DataError(
            f"{where}: a stream cannot be split, so it needs Dataset(x_validation=...). Set "
            "data.validation_split=0 to train without validation."
        )


def _given_validation(dataset: Dataset) -> Dataset | None:
    given = dataset.x_validation
    if given is None or isinstance(given, Dataset):
        return given
    return Dataset(
        x=given,
        y=dataset.y_validation,
        name=dataset.name,
        sample_weight=dataset.sample_weight_validation,
    )


def _read_through(stream: Stream, digest: Any, where: str) -> tuple[Stream, Any]:
    """Read a stream to its end; return it with its numbers of batches and examples, and the labels.

    Raises:
        DataError: it is endless or empty, or gives other examples when it is read again.
    """
    if stream.is_endless:
        raise DataError(f"{where}: the stream never ends. Remove repeat(), or use take(n).")
    first: Any = None
    n_batches, n, labels = 0, 0, []
    for batch in batches(stream, where):
        first = batch if first is None else first
        if not _alike(_spec(batch), _spec(first), dimensions=False):
            raise DataError(
                f"{where}: batch {n_batches + 1} is {_spec_text(_spec(batch))}, but the first is "
                f"{_spec_text(_spec(first))}."
            )
        for _, leaf in named_leaves(batch):
            update_digest(digest, leaf)
        size = length(leaves(batch)[0])
        if size == 0:
            raise DataError(f"{where}: batch {n_batches + 1} has no examples.")
        n_batches, n = n_batches + 1, n + size
        labels.append(_labels_of(batch))
    if first is None:
        raise DataError(f"{where}: the stream gives no batches.")
    if stream.n_batches is not None and n_batches < stream.n_batches:
        raise DataError(
            f"{where}: the stream ended after {n_batches} of {stream.n_batches} batches."
        )
    _check_repeats(first, next(batches(stream, where), None), where)
    joined = None if labels[0] is None else map_nest(_joined, labels[0], *labels[1:])
    return replace(stream, n_batches=n_batches, n=n), joined


def _joined(*parts: Any) -> Any:
    return np.concatenate([np.asarray(part) for part in parts])


def _check_repeats(first: Any, again: Any, where: str) -> None:
    if again is None or not _alike(_spec(again), _spec(first)):
        raise _read_otherwise(first, again, where)
    for (_, one), (_, other) in zip(named_leaves(first), named_leaves(again), strict=True):
        if not np.array_equal(_dense(one), _dense(other)):
            raise DataError(
                f"{where}: the stream gives other examples when it is read again, so no two values "
                "could be compared. Shuffle and augment the training stream only."
            )


def _read_otherwise(first: Any, again: Any, where: str) -> DataError:
    found = "nothing" if again is None else _spec_text(_spec(again))
    return DataError(
        f"{where}: read a second time, the stream begins with {found}, the first time with "
        f"{_spec_text(_spec(first))}."
    )


def _dense(leaf: Any) -> Any:
    return np.asarray(getattr(leaf, "flat_values", leaf))


def _labels_of(batch: Any) -> Any:
    """The labels of a batch; None if it has none."""
    return batch[1] if isinstance(batch, tuple) and len(batch) > 1 else None


def _check_structure(stream: Stream, train: Stream, where: str) -> None:
    """Refuse a stream whose batches are not as those trained on; their sizes may differ."""
    if not _alike(stream.element_spec, train.element_spec):
        raise DataError(
            f"{where}: batches of {_spec_text(stream.element_spec)}, but those trained on are "
            f"{_spec_text(train.element_spec)}."
        )


def _alike(one: Any, other: Any, *, dimensions: bool = True) -> bool:
    """Whether two specs have the same structure, dtypes, ranks, and dimensions where both know."""
    ones, others = dict(named_leaves(one)), dict(named_leaves(other))
    if ones.keys() != others.keys():
        return False
    for name, leaf in ones.items():
        if leaf.dtype != others[name].dtype:
            return False
        if dimensions and not leaf.shape[1:].is_compatible_with(others[name].shape[1:]):
            return False
        ranks = {leaf.shape.rank, others[name].shape.rank} - {None}
        if len(ranks) > 1:
            return False
    return True


def _spec(batch: Any) -> Any:
    import tensorflow as tf

    def of(leaf: Any) -> Any:
        array = leaf if hasattr(leaf, "shape") and hasattr(leaf, "dtype") else np.asarray(leaf)
        dtype = tf.as_dtype(array.dtype if array.dtype != object else "string")
        if hasattr(leaf, "row_splits"):
            return tf.RaggedTensorSpec(leaf.shape, leaf.dtype)
        return tf.TensorSpec((None, *array.shape[1:]), dtype)

    return map_nest(of, batch)


def _spec_text(spec: Any) -> str:
    """Shapes and dtypes of a batch, such as ``((28, 28) uint8, () int64)``; no batch's size."""
    if is_nest(spec):
        parts = [
            f"{name}: {_leaf_text(leaf)}" if isinstance(spec, Mapping) else _leaf_text(leaf)
            for name, leaf in named_leaves(spec)
        ]
        return f"({', '.join(parts)})"
    return _leaf_text(spec)


def _leaf_text(spec: Any) -> str:
    shape = spec.shape[1:]
    return f"{tuple(shape) if shape.rank is not None else '?'} {spec.dtype.name}"
