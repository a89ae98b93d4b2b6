"""What a dataset is made of, and what it must satisfy before anything trains on it.

Opens nothing: ``besom.training.data`` does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from besom.errors import DataError
from besom.training.data.array_checks import Array, checked_pair

Split = Literal["train", "test"]


class NoTestImages(DataError):
    """The dataset has no test part; its training part may be sound."""


#: A sentence names so many classes, and counts the rest.
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class Dataset:
    """One part, training or test, of a dataset for classification.

    Attributes:
        x: (n, *input_shape) images or features, uint8 or float32, finite. Other integers and
            floats are accepted and cast, see ``besom.training.data.array_checks.checked_images``.
        y: (n,) int64 labels, 0 to num_classes - 1. Shape (n, 1) and integer-valued floats are
            accepted and cast.
        num_classes: how many classes there are in all, the same for both parts; at least 2.
        scale: what ``x`` is multiplied by inside the compiled graph: 1/255 for uint8 pictures,
            1.0 for what is scaled already.
        name: for people to read.
    """

    x: Array
    y: Array
    num_classes: int
    scale: float
    name: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.x.shape[1:]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training images and the validation images held out from them.

    Attributes:
        x_train: (n_train, *input_shape) uint8 or float32, in the dataset's order.
        y_train: (n_train,) int64.
        x_validation: (n_validation, *input_shape), of the same dtype; may be empty.
        y_validation: (n_validation,) int64.
        num_classes: labels are 0 to num_classes - 1.
        scale: what the images are multiplied by inside the graph.
        fingerprint: 16 hex digits that change with any value, shape or dtype of the images and
            labels, with the scale, and with which of them are held out.
        name: for people to read.
    """

    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    num_classes: int
    scale: float
    fingerprint: str
    name: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.x_train.shape[1:]


def label_gaps(data: TrainingData) -> str:
    """One sentence on classes that no example has; empty where each has one.

    Labels that begin with 1, or that leave some out, give the model outputs it never needs.
    """
    counts = np.bincount(data.y_train, minlength=data.num_classes)
    counts += np.bincount(data.y_validation, minlength=data.num_classes)
    empty, used = np.flatnonzero(counts == 0), np.flatnonzero(counts)
    if not len(empty):
        return ""
    named = [str(label) for label in empty[:_MOST_NAMED]]
    named += [f"{len(empty) - _MOST_NAMED} more"] if len(empty) > _MOST_NAMED else []
    which = ", ".join(named[:-1]) + f" and {named[-1]}" if len(named) > 1 else named[0]
    classes = f"class {which} has" if len(empty) == 1 else f"classes {which} have"
    return (
        f"the labels of {data.name} run from {used[0]} to {used[-1]}: {classes} no example; the "
        f"model has {data.num_classes} outputs"
    )


def checked_dataset(dataset: Dataset, where: str) -> Dataset:
    """Return the dataset with its arrays cast to their proper dtypes and shapes.

    Raises:
        DataError: see ``besom.training.data.array_checks``; also a scale or number of classes that
            is none, or a label beyond the classes.
    """
    x, y = checked_pair(dataset.x, dataset.y, where)
    if not isinstance(dataset.num_classes, int | np.integer) or dataset.num_classes < 1:
        raise DataError(f"{where}: num_classes={dataset.num_classes!r}, expected an integer.")
    scale = dataset.scale
    if not isinstance(scale, int | float | np.floating) or not math.isfinite(scale) or scale == 0:
        raise DataError(f"{where}: scale={scale!r}, expected a finite number other than 0.")
    check_labels_in_range(y, dataset.num_classes, where)
    return dataclasses.replace(
        dataset, x=x, y=y, num_classes=int(dataset.num_classes), scale=float(scale)
    )


def check_labels_in_range(y: Array, num_classes: int, where: str) -> None:
    """Refuse labels that training has no class for.

    Raises:
        DataError: a label is ``num_classes`` or more.
    """
    if y.max() >= num_classes:
        raise DataError(
            f"{where}: label {y.max()} at position {int(y.argmax())}, but the training part has "
            f"{num_classes} classes, 0 to {num_classes - 1}."
        )


def fingerprint(dataset: Dataset, held: Array) -> str:
    """Return 16 hex digits for what training depends on.

    Args:
        dataset: the training part, before the split.
        held: positions of the images held out: themselves, not the seed that chose them, so the
            digits tell when another version of the split would choose others.
    """
    digest = hashlib.blake2b(digest_size=8)
    for array in (dataset.x, dataset.y, held.astype(np.int64)):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    digest.update(f"{dataset.num_classes} {dataset.scale!r}".encode())
    return digest.hexdigest()
