"""What the labels of one output are, and whether they are sound: by their task.

Knows no datasets. ``where`` begins every message, such as ``"digits (train)"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from besom.errors import DataError
from besom.training.data.array_checks import Array, first_not_finite

#: Above so many distinct whole numbers, whether they are classes or quantities must be said.
MOST_CLASSES_INFERRED = 1000

#: Kinds of which each example belongs to one class.
WITH_CLASSES = ("classification", "one-hot", "binary")

_CHOICES = "data.task=classification or data.task=regression"


def kind_of(
    y: Any, said: str | None, num_classes: int | None, where: str, suggested: str | None = None
) -> str:
    """Return the kind of labels that ``y`` holds; see ``besom.training.data.task.Task``.

    Args:
        y: (n, ...), for one output.
        said: what ``data.task`` says of it; None: nothing.
        num_classes: how many classes there are, where that was said: whole floats are class
            numbers then.
        where: the beginning of an error message.
        suggested: what the loss is for, where nothing is said; None: anything.

    Raises:
        DataError: no numbers, or not what was said, or it cannot be told.
    """
    if said == "none":
        return "none"
    y = _numbers(y, where)
    if said == "regression":
        return "regression"
    is_zeros_and_ones = _holds_zeros_and_ones(y)
    if said is None and suggested == "classification":
        return "classification"
    if y.size > len(y) and is_zeros_and_ones and said != "classification":
        one_hot = said is None and y.ndim == 2 and bool((y.sum(axis=1) == 1).all())
        return "one-hot" if one_hot else "multilabel"
    if said == "multilabel":
        raise DataError(
            f"{where}: data.task=multilabel expects rows of 0 and 1, but the labels have shape "
            f"{y.shape} and go from {y.min()} to {y.max()}."
        )
    if said is None and suggested == "regression":
        return "regression"
    if said is None and suggested == "binary" and y.size == len(y):
        if is_zeros_and_ones:
            return "binary"
        if y.dtype.kind != "f":
            raise DataError(
                f"{where}: trainer.loss=binary_crossentropy expects labels of 0 and 1, but they "
                f"go from {y.min()} to {y.max()}. For more classes use "
                "sparse_categorical_crossentropy."
            )
    if said == "classification":
        return _classes_as_said(y, where, is_zeros_and_ones)
    if y.dtype.kind == "f" and (num_classes is None or y.size > len(y)):
        is_binary = is_zeros_and_ones and y.size == len(y)
        return "binary" if is_binary else "regression"
    if num_classes is None and y.dtype.kind in "iu":
        n_distinct = len(np.unique(y))
        if n_distinct > MOST_CLASSES_INFERRED:
            raise DataError(
                f"{where}: the labels are {n_distinct:,} distinct whole numbers, which may be "
                f"classes or quantities. Set {_CHOICES}."
            )
    return "classification"


def _classes_as_said(y: Array, where: str, is_zeros_and_ones: bool) -> str:
    if y.size == len(y) or not is_zeros_and_ones:
        return "classification"
    if y.ndim == 2 and (y.sum(axis=1) == 1).all():
        return "one-hot"
    if y.ndim > 2:  # a mask: a class for each position
        return "classification"
    bad = int((y.sum(axis=1) != 1).argmax())
    raise DataError(
        f"{where}: data.task=classification expects class numbers, or rows with exactly one 1, but "
        f"row {bad} has {int(y[bad].sum())}. Set data.task=multilabel if several may apply."
    )


def cast_labels(y: Any, kind: str, where: str) -> Any:
    """Return ``y`` as training takes it: int64 class numbers, or float32.

    Args:
        y: (n, ...), for one output.
        kind: from ``kind_of``, of the training part.
        where: the beginning of an error message.

    Raises:
        DataError: the labels are not of this kind.
    """
    if kind == "none":
        return y
    y = _numbers(y, where)
    if kind == "classification":
        return _class_numbers(y, where)
    with np.errstate(over="ignore"):
        cast = y.astype(np.float32, copy=False)
    if (bad := first_not_finite(cast)) is not None:
        raise DataError(
            f"{where}: the label at position {bad} is {y[bad]}, expected finite numbers (as "
            "float32). Fix or remove it."
        )
    if kind != "regression" and not _holds_zeros_and_ones(y):
        raise DataError(
            f"{where}: the labels go from {y.min()} to {y.max()}, but those of the training part "
            "are 0 and 1."
        )
    if kind == "one-hot" and (y.ndim != 2 or (y.sum(axis=1) != 1).any()):
        raise DataError(
            f"{where}: the labels have shape {y.shape}, expected rows with exactly one 1, as in "
            "the training part."
        )
    return cast


def check_varied(y: Any, kind: str, where: str) -> None:
    """Refuse training labels that are all the same: there is nothing to learn.

    Raises:
        DataError: gives the one value.
    """
    if kind == "one-hot":
        y = y.argmax(axis=1)
    if kind == "none" or y.ndim > 2 or (y != y[:1]).any():
        return
    what = (
        "a classifier needs at least two classes"
        if kind in WITH_CLASSES
        else ("there is nothing to learn")
    )
    value = np.ravel(y[0])[0] if np.size(y[0]) == 1 else y[0]
    raise DataError(f"{where}: all {len(y)} labels are {value}; {what}.")


def _numbers(given: Any, where: str) -> Array:
    try:
        y: Array = np.asarray(given)
    except ValueError as error:
        raise DataError(
            f"{where}: the labels have different lengths, expected an array (n,) or (n, k). Pad "
            f"them, for example with keras.utils.pad_sequences ({error})."
        ) from error
    if y.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: the labels have dtype {y.dtype}, expected integers from 0 for classes, or "
            "floats for quantities. np.unique(y, return_inverse=True)[1] turns names into numbers."
        )
    if y.ndim == 0 or len(y) == 0:
        raise DataError(f"{where}: there are no labels.")
    if y.size == 0:
        raise DataError(f"{where}: the labels have shape {y.shape}, which holds none.")
    return y


def _holds_zeros_and_ones(y: Array) -> bool:
    return y.dtype.kind == "b" or bool(((y == 0) | (y == 1)).all())


def _class_numbers(y: Array, where: str) -> Array:
    """Class numbers from 0 as int64: (n,), or (n, ...) with one for each position."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    n = len(y)
    instead = "for quantities set data.task=regression"
    if y.dtype.kind == "f":
        # floor() of NaN or infinity is no error, and NaN is not equal to itself.
        wrong = ~(np.isfinite(y) & (np.floor(y) == y)).reshape(n, -1).all(axis=1)
        if wrong.any():
            first = int(wrong.argmax())
            raise DataError(
                f"{where}: labels of classes must be integers, but {int(wrong.sum())} of {n} are "
                f"not, for example {y[first]} at position {first}; {instead}."
            )
    if y.min() < 0:
        raise DataError(
            f"{where}: labels of classes must be integers from 0, but {y.min()} is at position "
            f"{_position(y, y.min())}; {instead}."
        )
    if y.max() >= max(MOST_CLASSES_INFERRED, y.size):
        raise DataError(
            f"{where}: the largest of {y.size} labels is {y.max()}; labels must be class numbers "
            f"from 0. Renumber them with np.unique(y, return_inverse=True)[1]; {instead}."
        )
    return y.astype(np.int64, copy=False)


def _position(y: Array, value: Any) -> int:
    return int((y.reshape(len(y), -1) == value).any(axis=1).argmax())


def check_in_range(y: Array, num_classes: int, where: str) -> None:
    """Refuse class numbers that training has no class for.

    Raises:
        DataError: a label is ``num_classes`` or more.
    """
    if y.max() >= num_classes:
        raise DataError(
            f"{where}: label {y.max()} at position {_position(y, y.max())}, but the training part "
            f"has {num_classes} classes, 0 to {num_classes - 1}."
        )
