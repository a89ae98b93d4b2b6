"""A small world to train in: data, configs, and the models, metrics and callbacks of a user."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from besom.training.data.dataset import Dataset, TrainingData
from besom.training.data.examples import Examples
from besom.training.data.task import Task
from user_project import some_long

#: Most promises hold with either engine; Keras's takes several times as long to trace.
ENGINES = pytest.mark.parametrize("engine", some_long(["compiled", "keras"], "compiled"))

N_TRAIN, N_VALIDATION, BATCH = 76, 30, 8  # ten steps an epoch, the last one of four images


def tiny_data(
    n_train: int = N_TRAIN, n_validation: int = N_VALIDATION, scale: float = 1 / 255
) -> TrainingData:
    """Images of 6×6 random bytes in four classes, which their first pixels tell."""
    x, y = _images(n_train + n_validation, seed=5)
    return of_arrays(x[:n_train], y[:n_train], x[n_train:], y[n_train:], 4, scale)


def of_arrays(
    x: Any, y: Any, x_held: Any, y_held: Any, num_classes: int, scale: float = 1.0
) -> TrainingData:
    """Training data for classification, from arrays."""
    return TrainingData(
        train=Examples(x, y, None, scale),
        validation=Examples(x_held, y_held, None, scale) if len(x_held) else None,
        task=Task("classification", num_classes, ()),
        num_classes=num_classes,
        fingerprint="0" * 16,
        name="tiny",
    )


def tiny_test() -> Dataset:
    """More of the same."""
    x, y = _images(25, seed=6)
    return Dataset(x=x, y=y, num_classes=4, scale=1 / 255, name="tiny")


def _images(n: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, 6, 6)).astype(np.uint8)
    return x, (x[:, 0, 0] // 64).astype(np.int64)


def config(**changes: Any) -> dict[str, Any]:
    """A config for the tiny data; ``trainer`` is merged, other keys are replaced."""
    trainer = {"epochs": 3, "batch_size": BATCH} | changes.pop("trainer", {})
    return {
        "model": {
            "_target_": "besom.training.models.mlp",
            "hidden_units": [16],
            "dropout": 0.0,
        },
        "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01},
        "trainer": trainer,
        "seed": 3,
        **changes,
    }


def onward(_epoch: int, _metrics: object) -> bool:
    """An ``on_epoch`` that never stops."""
    return False


def _network(
    input_shape: tuple[int, ...], num_classes: int, *hidden: Any, model: type = keras.Model
) -> Any:
    inputs = outputs = keras.Input(input_shape)
    for layer in (keras.layers.Flatten(), *hidden):
        outputs = layer(outputs)
    return model(inputs, keras.layers.Dense(num_classes, activation="softmax")(outputs))


def regularized(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """L2 on the weights of the hidden layer, L1 on what it says."""
    return _network(
        input_shape,
        num_classes,
        keras.layers.Dense(
            16, "relu", kernel_regularizer=keras.regularizers.L2(0.01), activity_regularizer="l1"
        ),
    )


def constrained(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """The norms of the hidden layer's weights stay below 0.5, its biases above 0."""
    return _network(
        input_shape,
        num_classes,
        keras.layers.Dense(
            16, "relu", kernel_constraint=keras.constraints.MaxNorm(0.5), bias_constraint="non_neg"
        ),
    )


def normalized(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """Batch and layer normalisation, after and before the activation."""
    return _network(
        input_shape,
        num_classes,
        keras.layers.Dense(16, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(12),
        keras.layers.LayerNormalization(),
        keras.layers.ReLU(),
    )


def embedded(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """An embedding of the bytes, whose gradients are sparse."""
    return _network(
        input_shape,
        num_classes,
        keras.layers.Rescaling(255.0),
        keras.layers.Embedding(256, 3),
        keras.layers.GlobalAveragePooling1D(),
    )


def partly_frozen(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """A hidden layer that is not trained."""
    return _network(input_shape, num_classes, keras.layers.Dense(16, "relu", trainable=False))


class OwnStep(keras.Model):
    """A model with a training step of its own."""

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def with_own_step(input_shape: tuple[int, ...], num_classes: int) -> Any:
    return _network(input_shape, num_classes, model=OwnStep)


class OwnTestStep(keras.Model):
    """A model whose test step keeps its metrics to itself."""

    def test_step(self, data: Any) -> Any:
        x, y = data
        self._loss_tracker.update_state(self._compute_loss(x, y, self(x, training=False)))
        return {"loss": self._loss_tracker.result()}


def with_own_test_step(input_shape: tuple[int, ...], num_classes: int) -> Any:
    return _network(input_shape, num_classes, model=OwnTestStep)


class OwnLoss(keras.Model):
    """A model that adds to its loss, in the way Keras documents."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_loss(*args, **kwargs) + 1.0


def with_own_loss(input_shape: tuple[int, ...], num_classes: int) -> Any:
    return _network(input_shape, num_classes, model=OwnLoss)


def not_a_model(input_shape: tuple[int, ...], num_classes: int) -> Any:
    return "a model"


def exploding(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """Its loss is infinite at once."""
    return _network(input_shape, num_classes, keras.layers.Rescaling(1e38), keras.layers.Dense(4))


class TimesSeen(keras.metrics.Metric):
    """How often each label was seen since the last reset: the largest count minus the smallest.

    With every image its own label, 0 means: each image equally often. ``n_seen`` counts them.
    """

    def __init__(self, n: int, name: str = "uneven") -> None:
        super().__init__(name=name)
        self.counts = self.add_variable((n,), "zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        n = self.counts.shape[0]
        self.counts.assign_add(keras.ops.sum(keras.ops.one_hot(y_true, n), axis=0))

    def result(self) -> Any:
        return keras.ops.max(self.counts) - keras.ops.min(self.counts)


class Seen(TimesSeen):
    """How many images were seen since the last reset."""

    def result(self) -> Any:
        return keras.ops.sum(self.counts)


class Steps(keras.metrics.Metric):
    """How many batches there were since the last reset."""

    def __init__(self, name: str = "steps") -> None:
        super().__init__(name=name)
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.count.assign_add(1.0)

    def result(self) -> Any:
        return keras.ops.convert_to_tensor(self.count)


class PerClass(keras.metrics.Metric):
    """A metric that is no single number."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None: ...

    def result(self) -> Any:
        return keras.ops.zeros((4,))


#: What the callbacks below were told, in order.
told: list[tuple[Any, ...]] = []


class Diary(keras.callbacks.Callback):
    """An epoch-level callback; halves the learning rate after each epoch."""

    def on_train_begin(self, logs: Any = None) -> None:
        told.append(("train begins", self.params["epochs"]))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        told.append(("epoch begins", epoch))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        assert all(type(value) is float for value in logs.values())
        told.append(("epoch ends", epoch, sorted(logs)))
        rate = self.model.optimizer.learning_rate
        rate.assign(rate / 2)

    def on_train_end(self, logs: Any = None) -> None:
        told.append(("train ends",))


class BatchDiary(keras.callbacks.Callback):
    """A batch-level callback."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        told.append(("batch ends", batch))


class StopAfterTwo(keras.callbacks.Callback):
    """A callback that ends the run itself."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.model.stop_training = True


def _shrink(model: Any, factor: float) -> None:
    for variable in model.trainable_variables:
        variable.assign(variable * factor)


class Shrink(keras.callbacks.Callback):
    """Changes the weights at the end of each epoch, as clipping, averaging and pruning do."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        _shrink(self.model, 0.7)


class ShrinkAtTheEnd(keras.callbacks.Callback):
    """Changes the weights when training has ended."""

    def on_train_end(self, logs: Any = None) -> None:
        _shrink(self.model, 0.5)


class HalveForValidation(keras.callbacks.Callback):
    """Puts other weights in while the model is measured."""

    def on_test_begin(self, logs: Any = None) -> None:
        self.kept = self.model.get_weights()
        _shrink(self.model, 0.5)

    def on_test_end(self, logs: Any = None) -> None:
        self.model.set_weights(self.kept)


class OwnFit(keras.Model):
    """A model that ends its training with a step of its own."""

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        history = super().fit(*args, **kwargs)
        _shrink(self, 0.5)
        return history


def with_own_fit(input_shape: tuple[int, ...], num_classes: int) -> Any:
    return _network(input_shape, num_classes, model=OwnFit)


class FinalAdam(keras.optimizers.Adam):
    """An optimizer whose last word comes after training."""

    def finalize_variable_values(self, var_list: Any) -> None:
        for variable in var_list:
            variable.assign(variable * 0.5)


class Unsavable(keras.layers.Layer):
    """A layer that trains and predicts well, and has no config to be saved by."""

    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.scale = scale

    def call(self, x: Any) -> Any:
        return self.scale(x)


def unsavable(input_shape: tuple[int, ...], num_classes: int) -> Any:
    return _network(input_shape, num_classes, Unsavable(lambda x: x * 2.0))


class OwnAdam(keras.optimizers.Adam):
    """A user's optimizer: Adam that moves the other way."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(-gradient, variable, learning_rate)


class Extremes(keras.metrics.Mean):
    """A metric whose result is a mapping: the mean of the highest score, and what it lacks of 1."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(keras.ops.max(y_pred, axis=-1))

    def result(self) -> Any:
        return {"highest": super().result(), "doubt": 1.0 - super().result()}


class NotInALoop(keras.metrics.Mean):
    """A metric that ``model.fit`` can run, and a loop within a graph cannot."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if "While" in type(tf.compat.v1.get_default_graph()).__name__:
            raise TypeError("this metric knows no loops")
        return super().update_state(keras.ops.max(y_pred, axis=-1))


class NeedsServer(keras.callbacks.Callback):
    """A callback that cannot be built."""

    def __init__(self) -> None:
        raise RuntimeError("no server at 10.0.0.1")


def narrow(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """One output too few."""
    return _network(input_shape, num_classes - 1)


def two_headed(input_shape: tuple[int, ...], num_classes: int) -> Any:
    model = _network(input_shape, num_classes)
    return keras.Model(model.inputs, [model.outputs[0], model.outputs[0]])


class BrokenStep(keras.Model):
    """A model whose training step has a bug."""

    def train_step(self, data: Any) -> Any:
        raise KeyError("loss")


def with_broken_step(input_shape: tuple[int, ...], num_classes: int) -> Any:
    return _network(input_shape, num_classes, model=BrokenStep)


def step_diary() -> keras.callbacks.Callback:
    """A callback whose hook for batches is its own, not its class's."""
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: told.append(("batch ends", batch))
    )
