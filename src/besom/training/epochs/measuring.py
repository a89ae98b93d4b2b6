"""What is measured of an epoch within ``model.fit``: metrics, the weights, and each example.

Keras hands out an epoch's metrics, not the predictions. What is kept of each validation example is
recorded in the pass that measures them (``Recorder``): a second pass would cost as much as the
first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import map_nest
from besom.training.epochs.batches import cached, evaluation_batches
from besom.training.epochs.job import Job
from besom.training.epochs.rows import Kept, Rows
from besom.training.epochs.weights import Weights, averages_in, held, keeps_averages, trainable
from besom.training.fast.keras_private import replaced


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
