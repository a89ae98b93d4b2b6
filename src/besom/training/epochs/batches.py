"""A run's batches, wherever its examples are: in memory, in a file, or in a stream."""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import ConfigError, DataError, reason_of
from besom.text.counting import counted
from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import leaves, map_nest
from besom.training.fast.tensors import Tensors, ready

#: After so many seconds a stream that is read to see whether it lasts an epoch is taken to do so.
LONGEST_READ_S = 30.0

#: A validation stream of at most so many bytes is read once, and kept in memory.
MOST_CACHED_BYTES = 2**29


def in_memory(examples: Examples | Stream) -> bool:
    """Whether the examples are arrays that may be made tensors: no stream, no large file."""
    return isinstance(examples, Examples) and examples.in_memory


def tensors_of(examples: Examples) -> Tensors:
    """Examples in memory as tensors, that give batches ready for the model."""
    return Tensors(
        examples.x, examples.y, examples.scales, examples.weight, target_is_x=examples.target_is_x
    )


@dataclass
class Passes:
    """What is trained on where it is no tensors: batches, epoch after epoch.

    Attributes:
        source: a ``tf.data.Dataset``, a ``keras.utils.PyDataset`` or an iterator of batches.
        n_steps: batches per epoch.
        goes_on: whether an epoch takes up where the last one ended, instead of beginning again.
        problems: what went wrong while batches were made, which TensorFlow would only paraphrase.
    """

    source: Any
    n_steps: int
    goes_on: bool
    problems: list[DataError] = field(default_factory=list)


def training_passes(
    examples: Examples | Stream,
    batch_size: int,
    steps_per_epoch: int | None,
    order: Callable[[int], np.ndarray[Any, Any]],
    first_epoch: int = 1,
) -> Passes:
    """The batches of a run whose examples are not in memory.

    Args:
        examples: what is trained on.
        batch_size: of examples that have no batches of their own.
        steps_per_epoch: ``trainer.steps_per_epoch``.
        order: the positions that an epoch (from 1) takes, for examples that can be addressed.
        first_epoch: where the run begins.

    Raises:
        ConfigError: how many steps an epoch has is not known.
    """
    if isinstance(examples, Examples):
        dataset = _of_file(examples, batch_size, lambda: map(order, itertools.count(first_epoch)))
        return Passes(dataset, -(-len(order(first_epoch)) // batch_size), goes_on=True)
    source, n_batches = examples.source, examples.n_batches
    n_steps = steps_per_epoch or n_batches
    if not n_steps:
        raise ConfigError(
            "The training data is a stream that does not say how many batches it has. Set "
            "trainer.steps_per_epoch to the steps of one epoch."
        )
    if n_batches is not None and n_batches < n_steps:
        raise ConfigError(
            f"trainer.steps_per_epoch is {n_steps}, but the training data ends after "
            f"{counted(n_batches, 'step')}. Lower it, or repeat the data."
        )
    if isinstance(source, tf.data.Dataset):
        if n_steps == n_batches:
            return Passes(source, n_steps, goes_on=False)
        return Passes(source.repeat(), n_steps, goes_on=True)
    if isinstance(source, keras.utils.PyDataset):
        return Passes(source, n_steps, goes_on=steps_per_epoch is not None)
    problems: list[DataError] = []
    return Passes(_endless(source, n_steps, problems), n_steps, True, problems)


def check_lasts(examples: Examples | Stream, n_steps: int) -> None:
    """Read a stream of unknown length for an epoch, as only that tells whether it has as many
    batches; after a while it is taken to have them.

    Raises:
        DataError: it ends before.
    """
    if in_memory(examples) or not isinstance(examples, Stream) or examples.is_endless:
        return
    source = examples.source
    if examples.n_batches is not None or isinstance(source, keras.utils.PyDataset):
        return
    began, n_given = time.monotonic(), 0
    for _ in source if isinstance(source, tf.data.Dataset) else source():
        n_given += 1
        if n_given == n_steps or time.monotonic() - began > LONGEST_READ_S:
            return
    raise _ended(n_given, n_steps, "tf.data.Dataset" if hasattr(source, "take") else "generator")


def _ended(n_given: int, n_steps: int, what: str = "generator") -> DataError:
    return DataError(
        f"The {what} ended after {counted(n_given, 'step')}, but an epoch has {n_steps}. Set "
        "trainer.steps_per_epoch to at most that, or let it give more."
    )


def _endless(function: Callable[[], Any], n_steps: int, problems: list[DataError]) -> Iterator[Any]:
    """Pass after pass; one that has less than an epoch's batches is a problem."""
    while True:
        n_given = 0
        for batch in function():
            n_given += 1
            yield batch
        if n_given < n_steps:
            problems.append(_ended(n_given, n_steps))
            return


def _of_file(
    examples: Examples, batch_size: int, orders: Callable[[], Iterator[Any]]
) -> tf.data.Dataset:
    """Batches that are read from files, one by one, at the positions of each order."""

    def batches() -> Iterator[Any]:
        for order in orders():
            for start in range(0, len(order), batch_size):
                yield examples.gather(order[start : start + batch_size])

    signature = map_nest(_spec, examples.gather(np.arange(1)))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.map(_readied(examples)).prefetch(tf.data.AUTOTUNE)


def _spec(array: Any) -> Any:
    array = np.asarray(array)
    kind = tf.string if array.dtype.kind in "OUS" else array.dtype
    return tf.TensorSpec([None, *array.shape[1:]], kind)


def _readied(examples: Examples) -> Callable[..., Any]:
    """From a batch as it is stored to one that the model takes."""

    def of(x: Any, y: Any = None, weight: Any = None) -> Any:
        x = map_nest(ready, x, examples.scales)
        y = x if examples.target_is_x else y
        return keras.utils.pack_x_y_sample_weight(x, y, weight)

    return of


def evaluation_batches(examples: Examples | Stream, batch_size: int) -> Any:
    """A single pass over the examples, in their order, as Keras evaluates on: a
    ``tf.data.Dataset``, a ``keras.utils.PyDataset`` or an iterator.

    Args:
        examples: what is measured on.
        batch_size: of examples that have no batches of their own.

    Raises:
        ConfigError: they never end.
    """
    if isinstance(examples, Stream):
        source = examples.source
        if isinstance(source, tf.data.Dataset):
            if examples.is_endless:
                raise ConfigError(
                    "The examples that the model is measured on never end: omit repeat() there."
                )
            return source
        return source if isinstance(source, keras.utils.PyDataset) else source()
    positions = tf.data.Dataset.range(examples.n, output_type=tf.int32).batch(batch_size)
    if in_memory(examples):
        return positions.map(tensors_of(examples).gather).prefetch(2)
    return _of_file(examples, batch_size, lambda: iter([np.arange(examples.n)]))


def first_batch(examples: Examples | Stream, n: int) -> Any:
    """The first batch, of ``n`` examples where they have no batches of their own, as tensors ready
    for the model: ``(x, y, weight)``, None where there is none."""
    if isinstance(examples, Examples):
        positions = np.arange(min(n, examples.n))
        few = examples.take(positions).loaded
        return keras.utils.unpack_x_y_sample_weight(tensors_of(few).slice(0, len(positions)))
    x, y, weight = keras.utils.unpack_x_y_sample_weight(_first(examples))
    return tuple(
        None if part is None else map_nest(tf.convert_to_tensor, part) for part in (x, y, weight)
    )


def first_of(stream: Stream) -> Stream:
    """A stream of the first batch alone."""
    source = stream.source
    if isinstance(source, tf.data.Dataset):
        return replace(stream, source=source.take(1), n_batches=1, n=None)
    batch = _first(stream)
    return replace(stream, source=tf.data.Dataset.from_tensors(batch), n_batches=1, n=None)


def _first(stream: Stream) -> Any:
    source = stream.source
    if isinstance(source, keras.utils.PyDataset):
        return source[0]
    try:
        return next(iter(source if isinstance(source, tf.data.Dataset) else source()))
    except StopIteration:
        raise DataError("The data is a stream that has no batch.") from None


_cached: weakref.WeakKeyDictionary[Stream, Examples | None] = weakref.WeakKeyDictionary()


def cached(examples: Examples | Stream) -> Examples | Stream:
    """A stream's examples in memory, where they fit; they are read once in this process."""
    if isinstance(examples, Examples):
        return examples
    if examples not in _cached:
        _cached[examples] = _read(examples)
    return _cached[examples] or examples


def _read(stream: Stream) -> Examples | None:
    """All examples of a stream; None if they are too many, or do not fit together."""
    read: list[Any] = []
    n_bytes = 0
    for batch in evaluation_batches(stream, 1):
        read.append(keras.utils.unpack_x_y_sample_weight(batch))
        n_bytes += sum(
            np.asarray(leaf).nbytes
            for part in read[-1]
            if part is not None
            for leaf in leaves(part)
            if not isinstance(leaf, tf.RaggedTensor)
        )
        if n_bytes > MOST_CACHED_BYTES:
            return None
    if not read:
        return None
    try:
        x, y, weight = (
            None if parts[0] is None else map_nest(lambda *many: tf.concat(many, 0), *parts)
            for parts in zip(*read, strict=True)
        )
    except (tf.errors.InvalidArgumentError, ValueError):  # padded to different lengths
        return None
    return Examples(x, y, weight, map_nest(lambda _: 1.0, x))


@contextmanager
def stream_problems(passes: Passes, running: Callable[[], int]) -> Iterator[None]:
    """While open, what goes wrong with a stream's batches is one sentence.

    Args:
        passes: the batches.
        running: the number (from 1) of the epoch that runs.

    Raises:
        DataError: the batches end before the epoch does, or cannot be made.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise
    except (tf.errors.OpError, StopIteration, ValueError, TypeError) as error:
        epoch = running()
        if passes.problems:
            raise passes.problems[0] from error
        if isinstance(error, tf.errors.OutOfRangeError | StopIteration):
            raise DataError(
                f"The training data ended within epoch {epoch}, before its "
                f"{counted(passes.n_steps, 'step')}. Set trainer.steps_per_epoch to what a pass "
                "over it has."
            ) from error
        if epoch > 1:
            raise DataError(
                f"The training data, or a step on it, fails in epoch {epoch} as it did not before: "
                f"{reason_of(error)}. Each pass must give batches of the same shapes."
            ) from error
        raise
