"""The jobs of people who tune Keras models, in small: their data, and their model functions."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.training.data.dataset import TrainingData
from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import map_nest
from besom.training.data.task import Task

layers = keras.layers

N, N_HELD = 104, 24
RNG = np.random.default_rng(7)
NUMBERS = RNG.normal(size=(N, 5)).astype(np.float32)
SERIES = RNG.normal(size=(N, 6, 3)).astype(np.float32)
IMAGES = RNG.integers(0, 17, (N, 4, 4)).astype(np.uint8)
WORDS = RNG.choice(["good day", "bad day"], (N, 1)).astype(object)
WEIGHT = RNG.uniform(0.5, 1.5, N).astype(np.float32)


def data(x: Any, y: Any, task: Task, weight: Any = None, scale: float = 1.0) -> TrainingData:
    """Training data of arrays, whose last examples are held out."""
    examples = Examples(x, y, weight, map_nest(lambda _: scale, x))
    kept, held = np.arange(N - N_HELD), np.arange(N - N_HELD, N)
    parts = examples.take(kept), examples.take(held)
    return TrainingData(*parts, task, task.num_classes, "0" * 16, "job")


def regression() -> TrainingData:
    return data(NUMBERS, NUMBERS @ np.arange(5, dtype=np.float32), Task("regression", None, (1,)))


def table(weight: Any = None) -> TrainingData:
    x = {
        "age": NUMBERS[:, :1],
        "size": NUMBERS[:, 1:3],
        "town": RNG.choice(["Oslo", "Rome"], (N, 1)).astype(object),
    }
    return data(x, (NUMBERS[:, 0] > 0.5).astype(np.float32), Task("binary", 2, (1,)), weight)


def text() -> TrainingData:
    y = np.array([int("good" in words) for words in WORDS[:, 0]])
    return data(WORDS, y, Task("classification", 2, (2,)))


THREE = Task(
    {"kind": "classification", "size": "regression", "tags": "multilabel"},
    {"kind": 2, "size": None, "tags": 3},
    {"kind": (2,), "size": (1,), "tags": (3,)},
)


def three(weight: Any = None) -> TrainingData:
    y = {
        "kind": (SERIES[:, -1, 0] > 0).astype(np.int64),
        "size": SERIES[:, -1, 1:2],
        "tags": (SERIES[:, -1] > 0).astype(np.float32),
    }
    return data(SERIES, y, THREE, weight)


def unlabelled() -> TrainingData:
    return data(IMAGES, None, Task("none"), scale=1 / 16)


def one_hot() -> TrainingData:
    y = np.eye(3, dtype=np.float32)[NUMBERS[:, :3].argmax(1)]
    return data(NUMBERS, y, Task("one-hot", 3, (3,)))


def stream(endless: bool = False, **kinds: Any) -> TrainingData:
    """Regression by batches of 16 from ``tf.data``; ``train`` or ``validation`` replaces one."""
    whole = regression()

    def batches(part: Examples) -> Stream:
        dataset = tf.data.Dataset.from_tensor_slices((part.x, part.y)).batch(16)
        n = int(dataset.cardinality())
        if endless:
            return Stream(dataset.repeat(), None, dataset.element_spec, is_endless=True)
        return Stream(dataset, n, dataset.element_spec, part.n)

    train = kinds.get("train") or batches(whole.train)
    validation = kinds.get("validation") or whole.validation
    return TrainingData(train, validation, whole.task, None, "0" * 16, "stream")


class Batches(keras.utils.PyDataset):
    """Five batches of the regression."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> Any:
        part = regression().train
        return part.x[16 * i :][:16], part.y[16 * i :][:16]


def generated() -> Any:
    """The same as a generator function."""
    yield from (Batches()[i] for i in range(5))


class SecondPass:
    """The same, whose second pass and those after it are cut off, or have narrower examples."""

    def __init__(self, n_batches: int = 5, width: int = 5) -> None:
        self.n_batches, self.width, self.n_passes = n_batches, width, 0

    def __call__(self) -> Any:
        self.n_passes += 1
        first = self.n_passes == 1
        for x, y in itertools.islice(generated(), 5 if first else self.n_batches):
            yield x[:, : 5 if first else self.width], y


SPEC = (tf.TensorSpec((None, 5), tf.float32), tf.TensorSpec((None,), tf.float32))


# Model functions


def number(input_shape: Any, training_x: Any) -> Any:
    """Adapted to the training examples."""
    normalization = layers.Normalization()
    normalization.adapt(training_x)
    hidden = layers.Dense(8, "relu")
    return keras.Sequential([keras.Input(input_shape), normalization, hidden, layers.Dense(1)])


def plain_number(input_shape: Any) -> Any:
    return keras.Sequential([keras.Input(input_shape), layers.Dense(8, "relu"), layers.Dense(1)])


def compiled_number(input_shape: Any) -> Any:
    model = plain_number(input_shape)
    model.compile("sgd", "huber", metrics=["mse"])
    return model


def of_table(input_shape: Any, names: Any = None) -> Any:
    inputs = {
        name: keras.Input(shape, name=name, dtype="string" if name == "town" else "float32")
        for name, shape in input_shape.items()
        if names is None or name in names
    }
    lookup = layers.StringLookup(vocabulary=["Oslo", "Rome"], output_mode="one_hot")
    parts = [lookup(each) if name == "town" else each for name, each in inputs.items()]
    hidden = layers.Dense(8, "relu")(layers.Concatenate()(parts))
    return keras.Model(inputs, layers.Dense(1, "sigmoid")(hidden))


def of_pair(input_shape: Any) -> Any:
    inputs = [keras.Input(shape) for shape in input_shape]
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))


def of_text(input_shape: Any, num_classes: int, training_x: Any) -> Any:
    inputs = keras.Input(input_shape, dtype="string")
    vectorize = layers.TextVectorization(output_sequence_length=3)
    vectorize.adapt(training_x)
    tokens = layers.Embedding(vectorize.vocabulary_size(), 4)(vectorize(inputs))
    hidden = layers.GlobalMaxPooling1D()(layers.Conv1D(4, 2, activation="relu")(tokens))
    return keras.Model(inputs, layers.Dense(num_classes, "softmax")(hidden))


def three_headed(input_shape: Any, as_list: bool = False) -> Any:
    inputs = keras.Input(input_shape)
    hidden = layers.GRU(6)(inputs)
    heads = {
        "kind": layers.Dense(2, "softmax", name="kind")(hidden),
        "size": layers.Dense(1, name="size")(hidden),
        "tags": layers.Dense(3, "sigmoid", name="tags")(hidden),
    }
    return keras.Model(inputs, list(heads.values()) if as_list else heads)


def scores(input_shape: Any, num_classes: int) -> Any:
    """Logits: an output without an activation."""
    return keras.Sequential([keras.Input(input_shape), layers.Dense(num_classes)])


def autoencoder(input_shape: Any) -> Any:
    inputs = keras.Input(input_shape)
    hidden = layers.Dense(4, "relu")(layers.Flatten()(inputs))
    outputs = layers.Dense(int(np.prod(input_shape)))(hidden)
    return keras.Model(inputs, layers.Reshape(input_shape)(outputs))


@keras.saving.register_keras_serializable()
class Reconstruction(layers.Layer):
    """Adds the distance of its two inputs to the loss."""

    def call(self, pair: Any) -> Any:
        given, made = pair
        self.add_loss(keras.ops.mean((given - made) ** 2))
        return made


def with_its_loss(input_shape: Any) -> Any:
    inputs = keras.Input(input_shape)
    flat = layers.Flatten()(inputs)
    hidden = layers.Dense(4, "relu")(flat)
    made = layers.Dense(int(np.prod(input_shape)))(hidden)
    return keras.Model(inputs, Reconstruction()([flat, made]))


@keras.saving.register_keras_serializable()
class Vae(keras.Model):
    """A variational autoencoder, as the Keras guides write one: ``model.fit(x)`` passes x."""

    def __init__(self, size: int = 16, **more: Any) -> None:
        super().__init__(**more)
        self.size = size
        self.encoder = keras.Sequential([layers.Flatten(), layers.Dense(4)])
        self.decoder = keras.Sequential([layers.Dense(size, "sigmoid")])
        self.noise = keras.random.SeedGenerator(0)
        self.total = keras.metrics.Mean(name="loss")
        self.recon = keras.metrics.Mean(name="recon")

    def get_config(self) -> Any:
        return {**super().get_config(), "size": self.size}

    @property
    def metrics(self) -> Any:
        return [self.total, self.recon]

    def call(self, x: Any) -> Any:
        return self.decoder(keras.ops.split(self.encoder(x), 2, -1)[0])

    def losses_of(self, x: Any) -> Any:
        assert not isinstance(x, tuple)
        mean, spread = keras.ops.split(self.encoder(x), 2, -1)
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.noise)
        made = self.decoder(mean + keras.ops.exp(spread / 2) * noise)
        flat = keras.ops.reshape(x, (-1, self.size))
        recon = keras.ops.mean(keras.ops.sum((flat - made) ** 2, -1))
        kl = keras.ops.sum(1 + spread - mean**2 - keras.ops.exp(spread), -1)
        return recon - keras.ops.mean(kl) / 2, recon

    def measured(self, total: Any, recon: Any) -> Any:
        self.total.update_state(total)
        self.recon.update_state(recon)
        return {metric.name: metric.result() for metric in self.metrics}

    def train_step(self, x: Any) -> Any:
        with tf.GradientTape() as tape:
            total, recon = self.losses_of(x)
        gradients = tape.gradient(total, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return self.measured(total, recon)

    def test_step(self, x: Any) -> Any:
        return self.measured(*self.losses_of(x))


def vae(input_shape: Any) -> Any:
    return Vae(int(np.prod(input_shape)))


# Callbacks


class LogsRate(keras.callbacks.Callback):
    """Puts a metric of its own into the logs."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["val_mine"] = 10.0 - epoch


class LogsOnce(keras.callbacks.Callback):
    """Puts a metric into the logs of the second epoch alone."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            logs["late"] = 1.0


class Freezes(keras.callbacks.Callback):
    """Compiles the model anew after the first epoch, with an optimizer that does nothing."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 0:
            self.model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
