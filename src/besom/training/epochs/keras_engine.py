"""The engine that calls ``model.fit``, for what the compiled engine cannot run."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import ConfigError
from besom.training.data.examples import Examples, Stream
from besom.training.epochs.batches import (
    Passes,
    cached,
    evaluation_batches,
    in_memory,
    stream_problems,
    tensors_of,
    training_passes,
)
from besom.training.epochs.job import EpochsRun, Job
from besom.training.epochs.measuring import Before, Measuring, Recorder, examined
from besom.training.epochs.recompiling import Recompiled, recompiling_noticed
from besom.training.epochs.rows import Kept


def fit(job: Job) -> EpochsRun:
    """Run the job's epochs with ``model.fit``, on the compiled engine's batches in its order."""
    model, settings, size = job.model, job.settings, job.evaluation_batch_size
    validation, recorder = recorded_validation(job)
    measuring = Measuring(job, recorder)
    passes = training_batches(job)
    with (
        recorder.attached_to(model) if recorder else nullcontext(),
        recompiling_noticed(model) as recompiled,
        _stream_problems(passes, measuring, job.data.train),
        _recompiled_in_time(recompiled),
    ):
        model.fit(
            passes.source,
            steps_per_epoch=passes.n_steps if passes.goes_on else None,
            epochs=settings.epochs,
            validation_data=validation_batches(validation, size),
            callbacks=[Before(measuring), *job.callbacks, _After(measuring, recompiled)],
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )
    return EpochsRun(seconds=measuring.seconds, rows=restored_rows(job, validation))


def recorded_validation(job: Job) -> tuple[Examples | Stream | None, Recorder | None]:
    """What the run is measured on after each epoch, and what records its examples, if it can."""
    validation = job.judged.get("val_")
    if validation is None:
        return None, None
    validation = cached(validation)
    # Replicas see parts, and of a stream it is not known how many examples there are.
    if not validation.n or tf.distribute.has_strategy():
        return validation, None
    return validation, Recorder(validation.n, job.rows)


def restored_rows(job: Job, validation: Examples | Stream | None) -> Kept | None:
    """Put the weights that count into the model; return what is kept of each example by them."""
    job.watch.restore()
    rows = job.watch.rows
    if rows is None and validation is not None:
        rows = examined(job.model, validation, job.evaluation_batch_size, job.rows)
    return rows


def training_batches(job: Job) -> Passes:
    """What ``model.fit`` trains on."""
    train, settings = job.data.train, job.settings
    if in_memory(train):
        return Passes(_shuffled(job), -(-len(job.order(1)) // settings.batch_size), goes_on=True)
    return training_passes(train, settings.batch_size, settings.steps_per_epoch, job.order)


def validation_batches(validation: Examples | Stream | None, size: int) -> Any:
    """What ``model.fit`` measures on after each epoch, anew each time."""
    if validation is None:
        return None
    batches = evaluation_batches(validation, size)
    if not isinstance(batches, tf.data.Dataset | keras.utils.PyDataset):
        raise ConfigError(
            "The validation data is a generator of more than can be kept in memory, or of batches "
            "of different shapes: give a keras.utils.PyDataset or a tf.data.Dataset instead."
        )
    return batches


@contextmanager
def _recompiled_in_time(recompiled: Recompiled) -> Iterator[None]:
    """While open, a callback that compiles the model where Keras cannot go on is refused."""
    try:
        yield
    except TypeError as error:
        if recompiled.since_last() and "NoneType" in str(error):
            raise ConfigError(
                "A callback compiles the model within an epoch, which Keras cannot go on from: "
                "compile it in on_epoch_begin or on_epoch_end."
            ) from error
        raise


@contextmanager
def _stream_problems(passes: Passes, measuring: Measuring, train: Any) -> Iterator[None]:
    """While open, what goes wrong with a stream's batches is one sentence."""
    if in_memory(train):
        yield
        return
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Your input ran out of data", UserWarning)
            with stream_problems(passes, lambda: measuring.epoch):
                yield
    except UserWarning as ended:
        with stream_problems(passes, lambda: measuring.epoch):
            raise StopIteration from ended


class _After(keras.callbacks.Callback):  # type: ignore[misc]
    """Is called after the user's callbacks."""

    def __init__(self, measuring: Measuring, recompiled: Recompiled) -> None:
        super().__init__()
        self._measuring, self._recompiled = measuring, recompiled

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self._recompiled.since_last():  # model.fit makes its function only once
            self.model.make_train_function()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._measuring.test_begins()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._measuring.epoch_ended(epoch + 1, dict(logs))


def _shuffled(job: Job) -> Any:
    """An endless dataset of batches: epoch after epoch, each in its own order."""
    tensors, batch_size = tensors_of(job.data.train), job.settings.batch_size

    def orders() -> Iterator[np.ndarray[Any, Any]]:
        return map(job.order, itertools.count(1))

    signature = tf.TensorSpec([len(job.order(1))], tf.int32)
    dataset = tf.data.Dataset.from_generator(orders, output_signature=signature)
    dataset = dataset.flat_map(
        lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    )
    return dataset.map(tensors.gather).prefetch(tf.data.AUTOTUNE)
