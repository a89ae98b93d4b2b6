"""The other engine: ``model.fit``, for what the compiled engine must not or need not run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import ConfigError
from besom.training.orders import epoch_order
from besom.training.settings import TrainerSettings
from besom.training.watch import Watch

#: A model that has its own of these runs its own loop or step, which only ``model.fit`` honours.
_OWN_LOOP = (
    "fit",
    "train_step",
    "make_train_function",
    "evaluate",
    "test_step",
    "make_test_function",
)
_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def choose(settings: TrainerSettings, model: Any, callbacks: list[Any]) -> tuple[str, str]:
    """Return the engine for this run, ``compiled`` or ``keras``, and the reason.

    Raises:
        ConfigError: ``trainer.engine=compiled`` where it cannot be.
    """
    if settings.engine == "keras":
        return "keras", "trainer.engine=keras"
    against = obstacle(model, callbacks)
    if against is None:
        return "compiled", "each epoch is one compiled function"
    if settings.engine == "compiled":
        raise ConfigError(
            f"trainer.engine=compiled cannot run this: {against}. Use trainer.engine=auto."
        )
    return "keras", against


def obstacle(model: Any, callbacks: list[Any]) -> str | None:
    """Return why the compiled engine must leave this run to ``model.fit``, None if it need not."""
    for name in _OWN_LOOP:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            return f"the model {type(model).__name__} overrides {name}"
    if model.run_eagerly:
        return "the model runs eagerly"
    if tf.distribute.has_strategy():
        return "a tf.distribute strategy is in use"
    for callback in callbacks:
        for name in _BATCH_HOOKS:
            if getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name):
                return f"the callback {type(callback).__name__} wants {name}"
    return None


def fit(
    model: Any,
    data: Any,
    settings: TrainerSettings,
    seed: int,
    callbacks: list[Any],
    watch: Watch,
    test: Any | None,
    judged_size: int,
) -> list[float]:
    """Train with ``model.fit``, on the same batches in the same order as the compiled engine.

    Returns:
        The seconds of each epoch.
    """
    seconds: list[float] = []
    began = 0.0

    def epoch_begins(_epoch: int, _logs: Any) -> None:
        nonlocal began
        began = time.perf_counter()

    def epoch_ended(epoch: int, logs: Any) -> None:
        logs = dict(logs)
        if test is not None:
            batches = _judged_batches(test.x, test.y, test.scale, judged_size)
            measured = model.evaluate(batches, verbose=0, return_dict=True)
            logs |= {f"test_{name}": value for name, value in measured.items()}
        seconds.append(time.perf_counter() - began)
        watch.epoch_ended(epoch + 1, logs)

    judge = keras.callbacks.LambdaCallback(on_epoch_begin=epoch_begins, on_epoch_end=epoch_ended)
    has_validation = len(data.x_validation) > 0
    model.fit(
        _training_batches(data, settings.batch_size, seed),
        steps_per_epoch=-(-len(data.x_train) // settings.batch_size),
        epochs=settings.epochs,
        validation_data=_judged_batches(
            data.x_validation, data.y_validation, data.scale, judged_size
        )
        if has_validation
        else None,
        callbacks=[*callbacks, judge],
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    )
    return seconds


def correct(model: Any, data: Any, judged_size: int) -> np.ndarray[Any, Any] | None:
    """Return whether each validation image is classified right; None if it cannot be told."""
    if not len(data.x_validation):
        return None
    batches = _judged_batches(data.x_validation, data.y_validation, data.scale, judged_size)
    predictions = model.predict(batches, verbose=0)
    if not isinstance(predictions, np.ndarray) or predictions.shape[1:] != (data.num_classes,):
        return None
    right: np.ndarray[Any, Any] = predictions.argmax(-1) == data.y_validation
    return right


def _training_batches(data: Any, batch_size: int, seed: int) -> Any:
    """An endless dataset of scaled batches: epoch after epoch, each in its own order."""
    n = len(data.x_train)
    x, y = tf.convert_to_tensor(data.x_train), tf.convert_to_tensor(data.y_train)

    def orders() -> Iterator[np.ndarray[Any, Any]]:
        epoch = 0
        while True:
            epoch += 1
            yield epoch_order(seed, epoch, n)

    def gather(indices: Any) -> tuple[Any, Any]:
        return tf.cast(tf.gather(x, indices), tf.float32) * data.scale, tf.gather(y, indices)

    dataset = tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec([n], tf.int32))
    dataset = dataset.flat_map(
        lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    )
    return dataset.map(gather).prefetch(tf.data.AUTOTUNE)


def _judged_batches(x: Any, y: Any, scale: float, size: int) -> Any:
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(size)
    return dataset.map(lambda x, y: (tf.cast(x, tf.float32) * scale, y)).prefetch(2)
