"""The datasets that come with besom: what ``data=digits`` and so on name."""

from __future__ import annotations

import numpy as np

from besom.errors import DataError
from besom.training.data.dataset import Dataset, Split
from besom.training.data.reading import keras_cache
from besom.training.data.reading.readers import read_part
from besom.training.data.splits.split import stratified_split

_N_DIGITS_TEST = 360
_DIGITS_TEST_SEED = 20_000


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
        scale: what examples are multiplied by; None: 1/255 for images of uint8, all else is left as
            it is.

    Raises:
        NoTestExamples: the test part is asked for and not there.
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
