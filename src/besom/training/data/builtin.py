"""Datasets: what ``data=...`` names, and the two functions that open one.

A dataset is a function, anywhere importable, that returns one part of it as a ``Dataset``::

    def spirals(split: Literal["train", "test"], turns: float = 2.0) -> Dataset:
        x, y = ...
        return Dataset(x=x, y=y, num_classes=3, scale=1.0, name="spirals")

A config names it with ``_target_`` and gives its other parameters. ``load_training`` opens the
training part and holds the validation examples out; ``load_test`` alone opens the test part, so
that whoever does not call it cannot have seen a test example. A function that has no test part
raises ``NoTestImages`` when it is asked for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from besom.errors import DataError
from besom.targets import instantiate
from besom.training.data import keras_cache
from besom.training.data.dataset import (
    Dataset,
    NoTestImages,
    Split,
    TrainingData,
    check_labels_in_range,
    checked_dataset,
    fingerprint,
    label_gaps,
)
from besom.training.data.readers import read_part
from besom.training.data.split import checked_seed, n_held_out, stratified_split
from besom.training.data.task import Task

__all__ = [
    "Dataset",
    "NoTestImages",
    "Split",
    "TrainingData",
    "digits",
    "fashion_mnist",
    "label_gaps",
    "load_test",
    "load_training",
    "mnist",
    "npz",
]

#: What ``load_training`` holds out where the config does not say.
DEFAULT_VALIDATION_SPLIT = 0.1

_N_DIGITS_TEST = 360
_DIGITS_TEST_SEED = 20_000
_FOR_LOADING = ("validation_split", "split_seed")


def load_training(data: Mapping[str, Any]) -> TrainingData:
    """Load the training part and hold validation examples out, stratified by class.

    Args:
        data: the config node: ``_target_``, ``validation_split`` (a share below 1 or a number of
            examples; default 0.1), ``split_seed`` (default 0; it seeds nothing but the split), and
            the parameters of the target.

    Returns:
        The same arrays and fingerprint for the same config and files, on every machine.

    Raises:
        ConfigError: the target or one of its parameters is unknown.
        DataError: a file is missing or damaged, the arrays cannot be trained on, or the split
            cannot be made.
    """
    dataset = _part(data, "train")
    classes = np.unique(dataset.y)
    if len(classes) < 2:
        raise DataError(
            f"{dataset.name} (train): all {len(dataset.y)} labels are {classes[0]}; "
            "a classifier needs at least two classes."
        )
    seed = checked_seed(data.get("split_seed", 0))
    wanted = data.get("validation_split", DEFAULT_VALIDATION_SPLIT)
    n_held = n_held_out(wanted, len(dataset.y))
    kept, held = stratified_split(dataset.y, n_held, seed)
    examples = dataset.examples
    return TrainingData(
        # With nothing held out the arrays are handed on, not copied.
        train=examples.take(kept) if n_held else examples,
        validation=examples.take(held) if n_held else None,
        task=Task("classification", dataset.num_classes, ()),
        num_classes=dataset.num_classes,
        fingerprint=fingerprint(dataset, held),
        name=dataset.name,
        split="stratified by class",
    )


def load_test(data: Mapping[str, Any], training: TrainingData | None = None) -> Dataset:
    """Load the test part. Nothing else in besom asks a dataset for it.

    Args:
        data: the config node, as for ``load_training``.
        training: what was trained on; if given, the test part must fit it.

    Raises:
        NoTestImages: the dataset has no test part.
        ConfigError, DataError: as ``load_training``; a label that training has no class for;
            another example shape or scale than in training.
    """
    test = _part(data, "test")
    if training is None:
        return test
    where = f"{test.name} (test)"
    if test.input_shape != training.input_shape:
        raise DataError(
            f"{where}: examples of shape {test.input_shape}, but those trained on have "
            f"{training.input_shape}."
        )
    check_labels_in_range(test.y, training.num_classes, where)
    if test.scale != training.scale:
        raise DataError(f"{where}: scale {test.scale}, but training used {training.scale}.")
    return test


def _part(data: Mapping[str, Any], split: Split) -> Dataset:
    """Call the target and check what it returns."""
    node = {key: value for key, value in data.items() if key not in _FOR_LOADING}
    dataset = instantiate(node, split)
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"data._target_={data['_target_']} returned {type(dataset).__name__}, "
            "expected besom.training.data.Dataset."
        )
    return checked_dataset(dataset, f"{dataset.name} ({split})")


def digits(split: Split) -> Dataset:
    """Return scikit-learn's handwritten digits: real, small, and installed with it.

    1,797 examples (8, 8), uint8 from 0 to 16, 10 classes (E. Alpaydin, C. Kaynak, 1998, UCI
    "Optical Recognition of Handwritten Digits"). They come in one part, so 360 of them, stratified
    and always the same, are set aside as the test part here.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    y = source.target.astype(np.int64)
    train, test = stratified_split(y, _N_DIGITS_TEST, _DIGITS_TEST_SEED)
    chosen = train if split == "train" else test
    return Dataset(
        x=source.images[chosen].astype(np.uint8),
        y=y[chosen],
        num_classes=10,
        scale=1 / 16,
        name="digits",
    )


def mnist(split: Split, path: str | None = None) -> Dataset:
    """Return MNIST: (28, 28) uint8 handwritten digits, 60,000 for training and 10,000 for the test.

    Args:
        split: the part.
        path: a Keras-style ``.npz``, or a folder of the IDX files, raw or gzipped; None: through
            ``keras.datasets``, from its cache or by a download into it.

    Raises:
        DataError: the files are missing or damaged, or cannot be downloaded.
    """
    return read_part(path, split, "mnist") if path is not None else _from_keras("mnist", split)


def fashion_mnist(split: Split, path: str | None = None) -> Dataset:
    """Return Fashion-MNIST: (28, 28) uint8 clothes in 10 classes, in MNIST's sizes and formats.

    Args:
        split: the part.
        path: as for ``mnist``.

    Raises:
        DataError: as for ``mnist``.
    """
    name = "fashion_mnist"
    return read_part(path, split, name) if path is not None else _from_keras(name, split)


def npz(split: Split, path: str, scale: float | None = None) -> Dataset:
    """Return your own arrays ``x_train``, ``y_train`` and, for the test, ``x_test``, ``y_test``.

    Args:
        split: the part.
        path: the ``.npz`` file, or a folder of IDX files named as MNIST's.
        scale: what examples are multiplied by; None: 1/255 for integers from 0 to 255, else 1.

    Raises:
        NoTestImages: the test part is asked for and not there.
        DataError: the file is missing or damaged, or lacks an array.
    """
    if path in (None, "???"):
        raise DataError("data=npz needs data.path=FILE: an .npz with x_train and y_train.")
    return read_part(path, split, scale=scale)


def _from_keras(name: str, split: Split) -> Dataset:
    cached = keras_cache.fetch(name)
    try:
        return read_part(cached, split, name)
    except DataError as error:
        raise DataError(
            f"{error} This is Keras's cached copy: delete it to download it again."
        ) from error
