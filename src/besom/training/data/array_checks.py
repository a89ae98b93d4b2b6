"""What examples and labels must be before a model is trained on them: dtypes, shapes, values.

Knows no files and no datasets. ``where`` begins every message and names the part that is meant,
such as ``"digits (train)"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from besom.errors import DataError

Array = npt.NDArray[Any]

#: Above this many classes, more classes than examples means that the labels are not class numbers.
_MANY_CLASSES = 1000


class MissingArrays(DataError):
    """A sound file or folder that does not hold what was asked for."""


def check_fits_memory(n_bytes: int, what: str) -> None:
    """Refuse an array by what its file says of it, before any memory is taken.

    Args:
        n_bytes: what the file says the array takes.
        what: the beginning of the message, such as ``x_train in mnist.npz``.

    Raises:
        DataError: it takes more than this machine has free.
    """
    free = psutil.virtual_memory().available
    if n_bytes > free:
        raise DataError(
            f"{what} takes {n_bytes / 1e9:,.1f} GB, and this machine has {free / 1e9:,.1f} GB free."
        )


def checked_examples(x: Array, where: str) -> Array:
    """Return ``x`` as uint8 or float32, without a copy where it already is one of them.

    Booleans, and integers that all lie in 0..255, become uint8; other integers and all floats
    become float32.

    Args:
        x: (n, ...) numbers; at least two dimensions, none of them empty.
        where: the beginning of an error message.

    Raises:
        DataError: a dtype that holds no numbers, a missing or empty dimension, NaN or infinity.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: the examples have dtype {x.dtype}, expected integers or floats "
            "(uint8 or float32 are kept as they are)."
        )
    if x.ndim < 2:
        raise DataError(
            f"{where}: the examples have shape {x.shape}, expected (n, features), "
            "(n, height, width) or (n, height, width, channels)."
        )
    if x.size == 0:
        raise DataError(f"{where}: there are no examples in an array of shape {x.shape}.")
    if x.dtype.kind == "f":
        return _finite_float32(x, where)
    if x.dtype.kind == "b":
        return x.view(np.uint8)
    if x.dtype == np.uint8:
        return x
    return x.astype(np.uint8 if fits_a_byte(x) else np.float32)


def fits_a_byte(x: Array) -> bool:
    """Whether all values of a non-empty integer array lie in 0..255."""
    return bool(x.min() >= 0 and x.max() <= 255)


def _finite_float32(x: Array, where: str) -> Array:
    """Cast to float32 and refuse what is not finite, also where only the cast overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = x.astype(np.float32, copy=False)
        # NaN and infinities show in the minimum and maximum, without a mask as large as x.
        finite = np.isfinite(x.min()) and np.isfinite(x.max())
    if not finite:
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        raise DataError(
            f"{where}: {int(bad.sum())} of {len(x)} examples hold NaN or infinite values (as "
            f"float32), the first is example {int(bad.argmax())}. Fix or remove them."
        )
    return x


def checked_labels(y: Array, where: str) -> Array:
    """Return ``y`` as int64 of shape (n,): class numbers from 0.

    Args:
        y: (n,) or (n, 1) integers, or floats and booleans with integer values.
        where: the beginning of an error message.

    Raises:
        DataError: other shapes (one-hot rows among them), no labels, labels that are not
            integers, negative ones, or ones so large that they cannot be class numbers.
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = " Turn one-hot rows into class numbers with y.argmax(axis=1)." if y.ndim == 2 else ""
        raise DataError(f"{where}: the labels have shape {y.shape}, expected (n,) or (n, 1).{hint}")
    if len(y) == 0:
        raise DataError(f"{where}: there are no labels.")
    if y.dtype.kind not in "biuf":
        raise DataError(f"{where}: the labels have dtype {y.dtype}, expected integers from 0.")
    if y.dtype.kind == "f":
        # floor() of NaN or infinity is no error, and NaN is not equal to itself.
        wrong = ~(np.isfinite(y) & (np.floor(y) == y))
        if wrong.any():
            raise DataError(
                f"{where}: labels must be integers, but {int(wrong.sum())} of {len(y)} are not, "
                f"for example {y[wrong.argmax()]} at position {int(wrong.argmax())}."
            )
    if y.min() < 0:
        raise DataError(
            f"{where}: labels must be integers from 0, but {y.min()} is at position "
            f"{int(y.argmin())}."
        )
    if y.max() >= max(_MANY_CLASSES, len(y)):
        raise DataError(
            f"{where}: the largest of {len(y)} labels is {y.max()}; labels must be class "
            "numbers from 0. Renumber them with np.unique(y, return_inverse=True)[1]."
        )
    return y.astype(np.int64, copy=False)


def checked_pair(x: Array, y: Array, where: str) -> tuple[Array, Array]:
    """Check examples and labels as above, and that there are as many of each.

    Raises:
        DataError: as ``checked_examples`` and ``checked_labels``, or the lengths differ.
    """
    x, y = checked_examples(x, where), checked_labels(y, where)
    if len(x) != len(y):
        raise DataError(f"{where}: {len(x)} examples but {len(y)} labels; expected one label each.")
    return x, y
