"""One part of a dataset from a path: a NumPy ``.npz`` archive or a folder of IDX files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from besom.errors import DataError
from besom.regular import oddity
from besom.training.data.array_checks import Array, MissingArrays, checked_labels, fits_a_byte
from besom.training.data.dataset import Dataset, NoTestImages, Split
from besom.training.data.idx import read_idx_images, read_idx_labels
from besom.training.data.npz_archive import read_arrays


def read_part(
    path: str | Path, split: Split, name: str | None = None, scale: float | None = None
) -> Dataset:
    """Read images and labels of one part; of the other part, nothing when ``split`` is train.

    Args:
        path: a file or folder. In text, ``~`` and environment variables are expanded; a relative
            path starts at the current folder.
        split: the part.
        name: the dataset's name; None: the file's, without its suffix.
        scale: what images are multiplied by; None: 1/255 for integers from 0 to 255, else 1.

    Raises:
        NoTestImages: the test part is asked for and not there.
        DataError: the path is missing, or not of one of these formats, or damaged.
    """
    location = path if isinstance(path, Path) else _expanded(path)
    name = name or location.stem
    x, y = _pair(location, split)
    # Both parts are described by the training part: its labels say how many classes there are,
    # and wide integers, read again for the test, whether these are pixels.
    y_train = y if split == "train" else _labels(location, "train")
    num_classes = int(checked_labels(y_train, f"{name} (train)").max()) + 1
    if scale is None:
        is_wide = x.dtype.kind in "iu" and x.dtype != np.uint8
        reread = is_wide and split == "test"
        scale = _natural_scale(_pair(location, "train")[0] if reread else x)
    return Dataset(x=x, y=y, num_classes=num_classes, scale=scale, name=name)


def _expanded(path: object) -> Path:
    if not isinstance(path, str):
        raise DataError(f"data.path={path!r}: expected the path of an .npz file or a folder.")
    # Path.expanduser() raises for an unknown ~user, where this leaves it to be reported below.
    expanded = Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111
    if not path or not expanded.exists():
        raise DataError(
            f"data.path={path} does not exist (looked for {expanded.absolute()}). Expected an "
            ".npz file or a folder of IDX files."
        )
    if not expanded.is_dir() and (odd := oddity(expanded)):
        raise DataError(
            f"data.path={path} is {odd}, expected an .npz file or a folder of IDX files."
        )
    return expanded


def _pair(path: Path, split: Split) -> tuple[Array, Array]:
    try:
        if path.is_dir():
            return read_idx_images(path, split), read_idx_labels(path, split)
        x, y = read_arrays(path, [f"x_{split}", f"y_{split}"])
    except MissingArrays as error:
        if split == "test":
            raise NoTestImages(str(error)) from error
        raise
    return x, y


def _labels(path: Path, split: Split) -> Array:
    return read_idx_labels(path, split) if path.is_dir() else read_arrays(path, [f"y_{split}"])[0]


def _natural_scale(x: Array) -> float:
    is_picture = x.dtype.kind in "iu" and x.size > 0 and fits_a_byte(x)
    return 1 / 255 if is_picture else 1.0
