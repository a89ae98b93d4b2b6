"""The engine that calls ``model.fit``, for what the compiled engine cannot run.

Keras hands out an epoch's metrics, not the predictions. Which validation examples are classified
right is recorded in the pass that measures them (``Recorder``): a second pass would cost as much
as the first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.training.epochs.job import EpochsRun, Job, Judged, classified_right, epoch_order
from besom.training.epochs.weights import Weights, averages_in, held, keeps_averages, trainable
from besom.training.fast.keras_private import replaced


def fit(job: Job) -> EpochsRun:
    """Run the job's epochs with ``model.fit``, on the compiled engine's batches in its order."""
    model, settings, judged = job.model, job.settings, job.judged
    validation = judged.get("val_")
    recorder = None
    if validation is not None and not tf.distribute.has_strategy():  # replicas see parts
        recorder = Recorder(len(validation.y))
    measuring = Measuring(job, recorder)
    with recorder.attached_to(model) if recorder else nullcontext():
        model.fit(
            _training_batches(job),
            steps_per_epoch=-(-len(job.data.x_train) // settings.batch_size),
            epochs=settings.epochs,
            validation_data=validation and _batches(validation, job.evaluation_batch_size),
            callbacks=[_Before(measuring), *job.callbacks, _After(measuring)],
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )
    job.watch.restore()
    correct = job.watch.correct
    if correct is None and validation is not None:
        correct = classified(model, validation, job.evaluation_batch_size)
    return EpochsRun(seconds=measuring.seconds, correct=correct)


class Measuring:
    """What an epoch is measured by: taken within Keras's validation, as soon as it begins.

    Callbacks are called in their order, and may swap other weights in for validation and out again
    after it. So the weights are taken after all of the user's callbacks have been called at the
    start of validation, and before any is called at its end or at the epoch's.

    Attributes:
        seconds: of each epoch, its validation included.
    """

    def __init__(self, job: Job, recorder: Recorder | None) -> None:
        self._job, self._recorder = job, recorder
        self._may_change, self._averages = job.weights_may_change, keeps_averages(job.model)
        self._swap = ExitStack()
        self._raw: Weights = []
        self._weights: Weights | None = None
        self._correct: np.ndarray[Any, Any] | None = None
        self._began = 0.0
        self.seconds: list[float] = []

    def epoch_begins(self) -> None:
        """Nothing has been measured of this epoch yet."""
        self._weights = self._correct = None
        self._began = time.perf_counter()

    def test_will_begin(self) -> None:
        """Validation begins, and no callback has been called yet."""
        if self._averages:
            self._raw = trainable(self._job.model)

    def test_begins(self) -> None:
        """The model now holds what will be measured; averages too, if no callback put them in."""
        model = self._job.model
        if self._averages and all(map(np.array_equal, self._raw, trainable(model))):
            self._swap.enter_context(averages_in(model))
        if self._may_change:
            self._weights = model.get_weights()
        if self._recorder:
            self._recorder.restart()

    def test_ended(self) -> None:
        """Validation has ended, and no callback has been called yet."""
        if self._recorder:
            self._correct = self._recorder.right()
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
        self._job.watch.epoch_ended(epoch, logs, self._correct, self._weights)


class _Before(keras.callbacks.Callback):  # type: ignore[misc]
    """Is called before the user's callbacks."""

    def __init__(self, measuring: Measuring) -> None:
        super().__init__()
        self._measuring = measuring

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._measuring.epoch_begins()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._measuring.test_will_begin()

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self._measuring.test_ended()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._measuring.epoch_will_end(logs)


class _After(keras.callbacks.Callback):  # type: ignore[misc]
    """Is called after the user's callbacks."""

    def __init__(self, measuring: Measuring) -> None:
        super().__init__()
        self._measuring = measuring

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._measuring.test_begins()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._measuring.epoch_ended(epoch + 1, dict(logs))


def classified(model: Any, judged: Judged, batch_size: int) -> np.ndarray[Any, Any] | None:
    """Return whether each example is classified right, bool, shape (n,); None for no classifier."""
    predictions = model.predict(_batches(judged, batch_size), verbose=0)
    if not isinstance(predictions, np.ndarray):
        return None
    right: np.ndarray[Any, Any] | None = classified_right(predictions, judged.y, np)
    return right


def evaluate(model: Any, judged: Judged, batch_size: int) -> dict[str, Any]:
    """Return ``model.evaluate``'s loss and metrics by name."""
    measured: dict[str, Any] = model.evaluate(
        _batches(judged, batch_size), verbose=0, return_dict=True
    )
    return measured


def _training_batches(job: Job) -> Any:
    """An endless dataset of scaled batches: epoch after epoch, each in its own order."""
    data, batch_size, n = job.data, job.settings.batch_size, len(job.data.x_train)
    x, y = tf.convert_to_tensor(data.x_train), tf.convert_to_tensor(data.y_train)

    def orders() -> Iterator[np.ndarray[Any, Any]]:
        epoch = 0
        while True:
            epoch += 1
            yield epoch_order(job.seed, epoch, n)

    def gather(indices: Any) -> tuple[Any, Any]:
        return tf.cast(tf.gather(x, indices), tf.float32) * data.scale, tf.gather(y, indices)

    dataset = tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec([n], tf.int32))
    dataset = dataset.flat_map(
        lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    )
    return dataset.map(gather).prefetch(tf.data.AUTOTUNE)


def _batches(judged: Judged, size: int) -> Any:
    dataset = tf.data.Dataset.from_tensor_slices((judged.x, judged.y)).batch(size)
    return dataset.map(lambda x, y: (tf.cast(x, tf.float32) * judged.scale, y)).prefetch(2)


class Recorder:
    """Which examples the model's test step got right since the last ``restart``.

    Args:
        n_images: the validation examples, in their order.
    """

    def __init__(self, n_images: int) -> None:
        self._n_images = n_images
        # Floats: every device can write single ones of them.
        self._right = tf.Variable(tf.zeros([n_images]), trainable=False)
        self._n_seen = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._testing = False

    def restart(self) -> None:
        """Start again: what follows is the validation examples, from the first."""
        self._n_seen.assign(0)

    def right(self) -> np.ndarray[Any, Any] | None:
        """Return whether each example was right, bool.

        None unless each was seen exactly once: a model's own test step may bypass this.
        """
        whole = int(self._n_seen.numpy()) == self._n_images
        return self._right.numpy() > 0.5 if whole else None

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
                self._record(y, y_pred)
            return compute_metrics(x, y, y_pred, sample_weight)

        try:
            with replaced(model, test_step=step, compute_metrics=metrics):
                yield
        finally:
            model.test_function = None  # it was compiled with what has just been taken away

    def _record(self, y: Any, predictions: Any) -> None:
        if not (tf.is_tensor(y) and tf.is_tensor(predictions)):
            return
        right = classified_right(predictions, y, tf.experimental.numpy)
        if right is None:
            return
        n = tf.shape(right)[0]
        # Wrapped around: other examples must not fail here, and ``right`` discards them.
        places = (self._n_seen + tf.range(n)) % self._n_images
        self._right.scatter_nd_update(places[:, None], tf.cast(right, tf.float32))
        self._n_seen.assign_add(n)
