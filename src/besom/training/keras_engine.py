"""The other engine: ``model.fit``, for what the compiled engine must not or need not run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.training.job import EpochsRun, Job, Judged, classified_right
from besom.training.orders import epoch_order
from besom.training.recorder import Recorder


def fit(job: Job) -> EpochsRun:
    """Run the job's epochs with ``model.fit``, on the compiled engine's batches in its order."""
    model, settings, judged = job.model, job.settings, job.judged
    run = EpochsRun()
    began = 0.0

    def epoch_begins(_epoch: int, _logs: Any) -> None:
        nonlocal began
        began = time.perf_counter()

    def epoch_ended(epoch: int, logs: Any) -> None:
        logs = dict(logs)
        correct = recorder.take() if recorder else None
        if "test_" in judged:
            measured = model.evaluate(
                _batches(judged["test_"], job.evaluation_batch_size), verbose=0, return_dict=True
            )
            logs |= {f"test_{name}": value for name, value in measured.items()}
            if recorder:
                recorder.take()  # the test images' are nobody's business
        run.seconds.append(time.perf_counter() - began)
        job.watch.epoch_ended(epoch + 1, logs, correct)

    judge = keras.callbacks.LambdaCallback(on_epoch_begin=epoch_begins, on_epoch_end=epoch_ended)
    validation = judged.get("val_")
    recorder = None
    if validation is not None and not tf.distribute.has_strategy():  # replicas see parts
        recorder = Recorder(len(validation.y))
    with recorder.listening(model) if recorder else nullcontext():
        model.fit(
            _training_batches(job),
            steps_per_epoch=-(-len(job.data.x_train) // settings.batch_size),
            epochs=settings.epochs,
            validation_data=validation and _batches(validation, job.evaluation_batch_size),
            callbacks=[*job.callbacks, judge],
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )
    job.watch.restore()
    run.correct = _correct(job)
    return run


def _correct(job: Job) -> np.ndarray[Any, Any] | None:
    """Whether each validation image is classified right by the weights as they are now."""
    validation = job.judged.get("val_")
    if validation is None:
        return None
    return classified(job.model, validation, job.evaluation_batch_size)


def classified(model: Any, judged: Judged, batch_size: int) -> np.ndarray[Any, Any] | None:
    """Return whether each image is classified right, bool, shape (n,); None for no classifier."""
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
