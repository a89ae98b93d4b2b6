"""What the inputs must be before a model is trained on them: dtypes, shapes, values.

Knows no files and no datasets. ``where`` begins every message and names the part that is meant,
such as ``"digits (train)"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from besom.errors import DataError
from besom.training.data.examples import LazyRows, is_large_file, is_ragged

Array = npt.NDArray[Any]

#: The factor on images of bytes.
IMAGE_SCALE = 1 / 255


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


def checked_input(x: Any, scale: float | None, where: str, least_ndim: int) -> tuple[Any, float]:
    """Return one input as training takes it, and what it is multiplied by in the graph.

    Where a scale is said, booleans and integers that all lie in 0..255 become uint8, other integers
    and all floats float32. Without one, uint8 of image shape is scaled by 1/255; floats become
    float32, booleans uint8, and integers and text are left as they are.

    Args:
        x: (n, ...) numbers or text, or a ``tf.RaggedTensor``.
        scale: what the user says; None: nothing.
        where: the beginning of an error message.
        least_ndim: the dimensions that numbers must have, that of the examples included.

    Returns:
        An array, without a copy where it is as it should be already, a ``LazyRows`` of a large
        file, or the ``tf.RaggedTensor``; and its scale.

    Raises:
        DataError: a dtype that is neither, a missing or empty dimension, NaN or infinity, a scale
            for what is no number.
    """
    if isinstance(x, LazyRows):
        return x, _usual_scale(x) if scale is None else scale
    if is_ragged(x):
        return x, 1.0 if scale is None else scale
    x = _as_array(x, where)
    if x.dtype.kind in "OSU":
        _check_text(x, scale, where)
        return x, 1.0
    if x.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: the examples have dtype {x.dtype}, expected integers or floats "
            "(uint8 or float32 are kept as they are), or text."
        )
    if x.ndim < least_ndim:
        raise DataError(
            f"{where}: the examples have shape {x.shape}, expected (n, features), "
            "(n, height, width) or (n, height, width, channels)."
        )
    if x.size == 0:
        raise DataError(f"{where}: there are no examples in an array of shape {x.shape}.")
    if is_large_file(x):
        return _large_file(x, scale, where)
    if scale is None and x.dtype == np.uint8:
        scale = _usual_scale(x)
    if x.dtype.kind == "f":
        return _finite_float32(x, where), 1.0 if scale is None else scale
    if x.dtype.kind == "b":
        return x.view(np.uint8), 1.0 if scale is None else scale
    if scale is None:
        return _as_indices(x), 1.0
    if x.dtype == np.uint8:
        return x, scale
    return x.astype(np.uint8 if fits_a_byte(x) else np.float32), scale


def _as_array(x: Any, where: str) -> Array:
    lengths = (
        f"{where}: the examples have different lengths, expected an array. Pad them, for example "
        "with keras.utils.pad_sequences, or give a tf.RaggedTensor (tf.ragged.constant)."
    )
    try:
        array: Array = np.asanyarray(x) if isinstance(x, np.memmap) else np.asarray(x)
    except ValueError as error:
        raise DataError(lengths) from error
    if array.dtype.kind == "O" and array.size and isinstance(array.flat[0], list | np.ndarray):
        raise DataError(lengths)
    return array


def _check_text(x: Array, scale: float | None, where: str) -> None:
    if x.size == 0:
        raise DataError(f"{where}: there are no examples in an array of shape {x.shape}.")
    if x.dtype.kind == "O":
        kinds = {type(value) for value in x.flat}
        if not kinds <= {str, np.str_} and not kinds <= {bytes, np.bytes_}:
            mixed = " and ".join(sorted(kind.__name__ for kind in kinds))
            raise DataError(
                f"{where}: the examples have dtype object and hold {mixed}, expected integers or "
                "floats, or text alone. Convert them, and fill in what is missing."
            )
    if scale not in (None, 1):
        raise DataError(f"{where}: scale={scale!r} for text, expected none.")


def _as_indices(x: Array) -> Array:
    """Integers in a width that TensorFlow gathers and looks up: int32 or int64; uint8 stays."""
    if x.dtype in (np.uint8, np.int32, np.int64):
        return x.astype(x.dtype.newbyteorder("="), copy=False)
    return x.astype(np.int32 if x.dtype.itemsize < 4 else np.int64)


def _large_file(x: Any, scale: float | None, where: str) -> tuple[LazyRows, float]:
    if x.dtype.kind not in "fiu":
        raise DataError(f"{where}: a file of dtype {x.dtype}, expected integers or floats.")
    rows = LazyRows(x)
    if x.dtype.kind == "f":
        _finite_float32(rows.sample(), where)
    return rows, _usual_scale(x) if scale is None else scale


def _usual_scale(x: Any) -> float:
    return IMAGE_SCALE if x.dtype == np.uint8 and len(x.shape) in (3, 4) else 1.0


def fits_a_byte(x: Array) -> bool:
    """Whether all values of a non-empty integer array lie in 0..255."""
    return bool(x.min() >= 0 and x.max() <= 255)


def first_not_finite(x: Array) -> int | None:
    """The position of the first row that holds NaN or infinity; None if there is none."""
    # NaN and infinities show in the minimum and maximum, without a mask as large as x.
    if np.isfinite(x.min()) and np.isfinite(x.max()):
        return None
    return int((~np.isfinite(x)).reshape(len(x), -1).any(axis=1).argmax())


def _finite_float32(x: Array, where: str) -> Array:
    """Cast to float32 and refuse what is not finite, also where only the cast overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = x.astype(np.float32, copy=False)
    if (first := first_not_finite(x)) is not None:
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        raise DataError(
            f"{where}: {int(bad.sum())} of {len(x)} examples hold NaN or infinite values (as "
            f"float32), the first is example {first}. Fix or remove them."
        )
    return x
