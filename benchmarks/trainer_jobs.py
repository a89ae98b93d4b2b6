"""Jobs of ``trainer.py`` besides MNIST, on made-up data: what is trained on, and a model for it.

Each job is ``(n, batch_size) -> (examples or stream, task, what model.fit is given)``.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.training.data.examples import Examples, Stream
from besom.training.data.task import Task

layers = keras.layers


def regression(n: int, batch_size: int) -> Any:  # noqa: ARG001
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    y = (x @ rng.normal(size=8)).astype(np.float32)
    return Examples(x, y, None, 1.0), Task("regression", None, (1,)), {"x": x, "y": y}


def regression_model(input_shape: tuple[int, ...]) -> Any:
    hidden = [layers.Dense(64, activation="relu"), layers.Dense(64, activation="relu")]
    return keras.Sequential([keras.Input(input_shape), *hidden, layers.Dense(1)])


def text(n: int, batch_size: int) -> Any:  # noqa: ARG001
    rng = np.random.default_rng(0)
    x, y = rng.integers(1, 5000, (n, 200)), rng.integers(0, 2, n)
    return Examples(x, y, None, 1.0), Task("classification", 2, (2,)), {"x": x, "y": y}


def text_model(input_shape: tuple[int, ...]) -> Any:
    return keras.Sequential(
        [
            keras.Input(input_shape, dtype="int64"),
            layers.Embedding(5000, 16),
            layers.Conv1D(16, 5, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2, activation="softmax"),
        ]
    )


def two(n: int, batch_size: int) -> Any:  # noqa: ARG001
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(n, 8)).astype(np.float32) for name in ("left", "right")}
    y = {
        "sum": (x["left"] + x["right"]).sum(1, keepdims=True),
        "sign": (x["left"][:, 0] > 0).astype(np.int64),
    }
    task = Task(
        {"sum": "regression", "sign": "classification"},
        {"sum": None, "sign": 2},
        {"sum": (1,), "sign": (2,)},
    )
    return Examples(x, y, None, {"left": 1.0, "right": 1.0}), task, {"x": x, "y": y}


def two_model(input_shape: dict[str, tuple[int, ...]]) -> Any:
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
    hidden = layers.Dense(32, activation="relu")(layers.Concatenate()(list(inputs.values())))
    outputs = {
        "sum": layers.Dense(1, name="sum")(hidden),
        "sign": layers.Dense(2, activation="softmax", name="sign")(hidden),
    }
    return keras.Model(inputs, outputs)


def stream(n: int, batch_size: int) -> Any:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n)

    def scaled(x: Any, y: Any) -> Any:
        return tf.cast(x, tf.float32) / 255, y

    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(1000, seed=1).batch(batch_size)
    dataset = dataset.map(scaled, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    source = Stream(dataset, int(dataset.cardinality()), dataset.element_spec, n)
    return source, Task("classification", 10, (10,)), {"x": dataset}


def stream_model(input_shape: tuple[int, ...]) -> Any:
    hidden = [layers.Flatten(), layers.Dense(64, activation="relu")]
    return keras.Sequential(
        [keras.Input(input_shape), *hidden, layers.Dense(10, activation="softmax")]
    )
