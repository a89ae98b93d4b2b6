"""The fingerprint of data: a few digits that change with whatever training depends on."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from besom.training.data.dataset import Dataset
from besom.training.data.examples import LazyRows, is_ragged
from besom.training.data.nests import named_leaves
from besom.training.data.task import Task


def fingerprint(dataset: Dataset, task: Task, *parts: Any) -> str:
    """Return 16 hex digits for what training depends on.

    Args:
        dataset: the training part, checked, before the split.
        task: what is to be learned from it.
        parts: positions of the examples held out: themselves, not the seed that chose them, so
            that the digits change when another version of the split chooses others; and whatever
            else the data depends on.
    """
    digest = hashlib.blake2b(digest_size=8)
    for nest in (dataset.x, dataset.y, dataset.sample_weight, *parts):
        for name, leaf in named_leaves(nest):
            if leaf is not None:
                digest.update(name.encode())
                update_digest(digest, leaf)
    digest.update(f"{task.num_classes} {dataset.scale!r}".encode())
    if task.kind != "classification":
        digest.update(f"{task.kind}".encode())
    return digest.hexdigest()


def update_digest(digest: Any, leaf: Any) -> None:
    """Take an array, a ``tf.RaggedTensor``, or the ``LazyRows`` of a file into a digest."""
    if is_ragged(leaf):
        update_digest(digest, leaf.row_splits)
        leaf = leaf.flat_values
    elif isinstance(leaf, LazyRows):
        digest.update(leaf.identity.encode())
        leaf = leaf.sample()
    array = np.asarray(leaf)
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    if array.dtype.kind == "O":
        digest.update("\0".join(map(repr, array.flat)).encode())
    else:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
