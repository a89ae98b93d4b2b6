"""The engine that calls ``model.fit``, for what the compiled engine cannot run.

Keras hands out an epoch's metrics, not the predictions. What is kept of each validation example is
recorded in the pass that measures them (``Recorder``): a second pass would cost as much as the
first.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import ConfigError
from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import map_nest
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
from besom.training.epochs.recompiling import Recompiled, recompiling_noticed
from besom.training.epochs.rows import Kept, Rows
from besom.training.epochs.weights import Weights, averages_in, held, keeps_averages, trainable
from besom.training.fast.keras_private import replaced


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


class Measuring:
    """What an epoch is measured by: taken within Keras's validation, as soon as it begins.

    Callbacks are called in their order, and may swap other weights in for validation and out again
    after it. So the weights are taken after all of the user's callbacks have been called at the
    start of validation, and before any is called at its end or at the epoch's.

    Attributes:
        seconds: of each epoch, its validation included.
        epoch: the number (from 1) of the one that runs.
    """

    def __init__(self, job: Job, recorder: Recorder | None) -> None:
        self._job, self._recorder = job, recorder
        self._may_change = job.weights_may_change
        self._swap = ExitStack()
        self._raw: Weights | None = None
        self._weights: Weights | None = None
        self._rows: Kept | None = None
        self._began = time.perf_counter()
        self.epoch = 1
        self.seconds: list[float] = []

    @property
    def _averages(self) -> bool:
        """Asked each time: the model may be compiled anew, with another optimizer."""
        return keeps_averages(self._job.model)

    def epoch_begins(self, epoch: int) -> None:
        """Nothing has been measured of this epoch yet."""
        self.epoch = epoch
        self._weights = self._rows = None
        self._began = time.perf_counter()

    def test_will_begin(self) -> None:
        """Validation begins, and no callback has been called yet."""
        if self._averages:
            self._raw = trainable(self._job.model)

    def test_begins(self) -> None:
        """The model now holds what will be measured; averages too, if no callback put them in."""
        model = self._job.model
        raw, self._raw = self._raw, None
        if raw is not None and all(map(np.array_equal, raw, trainable(model))):
            self._swap.enter_context(averages_in(model))
        if self._may_change:
            self._weights = model.get_weights()
        if self._recorder:
            self._recorder.restart()

    def test_ended(self) -> None:
        """Validation has ended, and no callback has been called yet."""
        if self._recorder:
            self._rows = self._recorder.rows()
        self._swap.close()

    def epoch_will_end(self, logs: dict[str, Any]) -> None:
        """The epoch has ended, and no callback has been called yet: the test part comes last."""
        job, model = self._job, self._job.model
        if self._may_change and self._weights is None:  # there was no validation
            with averages_in(model):
                self._weights = model.get_weights()
        if (test := job.judged.get("test_")) is not None:
            with held(model, self._weights):
                measured = evaluate(model, test, job.evaluation_batch_size)
            logs |= {f"test_{name}": value for name, value in measured.items()}

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:
        """Report to the run's watch, after all callbacks."""
        self.seconds.append(time.perf_counter() - self._began)
        self._job.watch.epoch_ended(epoch, logs, self._rows, self._weights)


class Before(keras.callbacks.Callback):  # type: ignore[misc]
    """Is called before the user's callbacks."""

    def __init__(self, measuring: Measuring) -> None:
        super().__init__()
        self._measuring = measuring

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """The epoch begins."""
        self._measuring.epoch_begins(epoch + 1)

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Validation begins."""
        self._measuring.test_will_begin()

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Validation has ended."""
        self._measuring.test_ended()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """The epoch has ended."""
        self._measuring.epoch_will_end(logs)


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


def examined(model: Any, part: Examples | Stream, batch_size: int, rows: Rows) -> Kept | None:
    """Return what is kept of each example, from a pass over them; None if nothing is."""
    kept: dict[str, list[Any]] = {}
    for batch in evaluation_batches(cached(part), batch_size):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        predictions = map_nest(tf.convert_to_tensor, model.predict_on_batch(x))
        for name, row in rows.of(y, predictions, weight).items():
            kept.setdefault(name, []).append(np.asarray(row))
    return {name: np.concatenate(parts) for name, parts in kept.items()} or None


def evaluate(model: Any, part: Examples | Stream, batch_size: int) -> dict[str, Any]:
    """Return ``model.evaluate``'s loss and metrics by name."""
    measured: dict[str, Any] = model.evaluate(
        evaluation_batches(cached(part), batch_size), verbose=0, return_dict=True
    )
    return measured


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


class Recorder:
    """What is kept of the examples that the model's test step saw since the last ``restart``.

    Args:
        n: the validation examples, in their order.
        rows: what is kept of each.
    """

    def __init__(self, n: int, rows: Rows) -> None:
        self._n, self._rows = n, rows
        # Floats: every device can write single ones of them.
        self._kept = {name: tf.Variable(tf.zeros([n]), trainable=False) for name in rows.dtypes}
        self._there: set[str] = set()
        self._n_seen = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._testing = False

    def restart(self) -> None:
        """Start again: what follows is the validation examples, from the first."""
        self._n_seen.assign(0)

    def rows(self) -> Kept | None:
        """Return what is kept of each example.

        None unless each was seen exactly once: a model's own test step may bypass this.
        """
        if int(self._n_seen.numpy()) != self._n:
            return None
        return {
            name: self._kept[name].numpy() > 0.5
            if self._rows.dtypes[name] == tf.bool
            else self._kept[name].numpy()
            for name in self._there
        } or None

    @contextmanager
    def attached_to(self, model: Any) -> Iterator[None]:
        """While open, the model's test step is recorded; its training step is not."""
        test_step, compute_metrics = model.test_step, model.compute_metrics

        def step(*args: Any, **kwargs: Any) -> Any:
            self._testing = True
            try:
                return test_step(*args, **kwargs)
            finally:
                self._testing = False

        def metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if self._testing:
                self._record(y, y_pred, sample_weight)
            return compute_metrics(x, y, y_pred, sample_weight)

        try:
            with replaced(model, test_step=step, compute_metrics=metrics):
                yield
        finally:
            model.test_function = None  # it was compiled with what has just been taken away

    def _record(self, y: Any, predictions: Any, weight: Any) -> None:
        rows = self._rows.of(y, predictions, weight)
        if not rows:
            return
        self._there.update(rows)
        n = tf.shape(next(iter(rows.values())))[0]
        # Wrapped around: other examples must not fail here, and ``rows`` discards them.
        places = (self._n_seen + tf.range(n)) % self._n
        for name, row in rows.items():
            self._kept[name].scatter_nd_update(places[:, None], tf.cast(row, tf.float32))
        self._n_seen.assign_add(n)
