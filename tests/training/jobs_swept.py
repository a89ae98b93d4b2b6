"""The jobs of ``jobs_world`` as their users have them: data functions, and a look at memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.training.data import Dataset

N = 240
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(N, 5)).astype(np.float32)
SERIES = RNG.normal(size=(N, 6, 3)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (N, 4, 4)).astype(np.uint8)
WORDS = RNG.choice(["good", "bad"], N).astype(object) + RNG.choice([" day", " night"], N)

#: A stream of 400 MB.
STREAMED, SHAPE = 2048, (128, 128, 3)


def _part(split: str, *arrays: Any) -> list[Any]:
    rows = slice(0, 180) if split == "train" else slice(180, N)
    return [array[rows] for array in arrays]


def table(split: str) -> Dataset:
    """Inputs by name, and few of the positive class."""
    town = np.where(NUMBERS[:, :1] > 0, "Oslo", "Rome").astype(object)
    bought = (NUMBERS[:, 0] + NUMBERS[:, 1] > 1).astype(np.float32)
    age, size, town, bought = _part(split, NUMBERS[:, :1], NUMBERS[:, 1:3], town, bought)
    return Dataset(x={"age": age, "size": size, "town": town}, y=bought, name="table")


def quantities(split: str) -> Any:
    """Nothing but the arrays."""
    return tuple(_part(split, NUMBERS * 100, NUMBERS @ np.arange(5, dtype=np.float32)))


def texts(split: str) -> Dataset:
    """Each example is one string; one label in ten is wrong."""
    labels = np.array([("good" in words) ^ (i % 10 == 0) for i, words in enumerate(WORDS)])
    x, y = _part(split, WORDS, labels.astype(int))
    return Dataset(x=x[:, None], y=y, name="texts")


def three(split: str) -> Dataset:
    """A class, a number and tags of each series."""
    last = SERIES[:, -1]
    x, kind, size, tags = _part(
        split, SERIES, (last[:, 0] > 0).astype(int), last[:, 1:2], (last > 0).astype(np.float32)
    )
    return Dataset(x=x, y={"kind": kind, "size": size, "tags": tags}, name="three")


def unlabelled(split: str) -> Dataset:
    return Dataset(x=_part(split, IMAGES)[0], name="unlabelled")


def stream(split: str) -> Dataset:
    """Augmented on the way, and too large to be kept."""
    NotesMemory.before = NotesMemory.before or peak_mib()

    def example(i: Any) -> Any:
        noise = tf.random.stateless_uniform(SHAPE, (i, 0))
        return noise + tf.cast(i % 2, tf.float32) / 500, i % 2

    def augmented(image: Any, label: Any) -> Any:
        return tf.image.random_flip_left_right(image), label

    train = tf.data.Dataset.range(STREAMED).shuffle(STREAMED).map(example).map(augmented)
    held = tf.data.Dataset.range(STREAMED, STREAMED + 128).map(example)
    if split == "test":
        return Dataset(held.skip(64).batch(32), num_classes=2)
    return Dataset(
        train.batch(32), num_classes=2, x_validation=held.take(64).batch(32), name="stream"
    )


TOKENS = RNG.integers(1, 30, (N, 12))
ABOUT = (TOKENS < 5).sum(1) > 1


def save_tokens(path: Path) -> None:
    """An archive of token ids, padded at the end, with whether some words are in each text."""
    x = np.where(np.arange(12) < RNG.integers(6, 13, (N, 1)), TOKENS, 0)
    (x, x_test), (y, y_test) = ((a[:180], a[180:]) for a in (x, ABOUT.astype(int)))
    np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)


def of_tokens(input_shape: Any, num_classes: int) -> Any:
    """Padding is masked, and does not count in the mean over a text's words."""
    words = keras.layers.Embedding(30, 4, mask_zero=True)
    pooled = keras.layers.GlobalAveragePooling1D()
    head = keras.layers.Dense(num_classes, "softmax")
    return keras.Sequential([keras.Input(input_shape, dtype="int32"), words, pooled, head])


def mapped(split: str) -> Dataset:
    """Whole numbers to come close to, of rows in a file."""
    path = Path(f"{split}.rows")
    if not path.is_file():
        _part(split, NUMBERS)[0].tofile(path)
    x = np.memmap(path, np.float32, "r").reshape(-1, 5)
    return Dataset(x=x, y=np.rint(10 * x[:, 0]).astype(int), name="mapped")


def generated(split: str) -> Dataset:
    """A function that gives batches."""
    (x,) = _part(split, NUMBERS)
    y = x.sum(1)

    def batches() -> Any:
        for start in range(0, 128, 32):
            yield x[start : start + 32], y[start : start + 32]

    if split == "test":
        return Dataset(x, y, name="generated")
    return Dataset(batches, x_validation=x[128:], y_validation=y[128:], name="generated")


def pipeline(split: str) -> Any:
    """A ``tf.data`` function of unknown length, alone."""
    x, y = _part(split, NUMBERS, NUMBERS.sum(1) > 0)
    held, kept = (x[:40], y[:40].astype(int)), (x[40:], y[40:].astype(int))
    source = tf.data.Dataset.from_tensor_slices(kept).filter(lambda x, _: x[0] < 9)
    if split == "test":
        return source.batch(32)
    return Dataset(
        source.shuffle(200).batch(32),
        num_classes=2,
        x_validation=tf.data.Dataset.from_tensor_slices(held).batch(32),
        name="pipeline",
    )


def augmenting(input_shape: Any, num_classes: int, training_x: Any) -> Any:
    """Adapted to the stream, and with augmentation in the model as well."""
    scaled = keras.layers.Normalization()
    scaled.adapt(training_x)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.AveragePooling2D(32),
            scaled,
            keras.layers.RandomFlip(),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes, "softmax"),
        ]
    )


def peak_mib() -> float:
    """The most memory that this process has had at once."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


class NotesMemory(keras.callbacks.Callback):
    """Notes by how many MiB its process has grown at most since its data was first asked for."""

    before = 0.0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with Path("grown.txt").open("a") as file:
            file.write(f"{peak_mib() - NotesMemory.before}\n")
