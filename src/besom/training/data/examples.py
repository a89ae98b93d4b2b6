"""Examples in memory, and streams of them: what a model is trained and measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from besom.training.data.nests import Nest, leaves, map_nest


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples in memory.

    Attributes:
        x: a nest of arrays (n, ...): uint8, other integers, float32, text, or a
            ``tf.RaggedTensor``. Leaves of uint8 and float32 reach the model as float32, times their
            scale; all others as they are.
        y: a nest of arrays (n, ...), or None.
        weight: sample weights (n,), a nest of them by output, or None.
        scales: the nest of ``x`` with a float for each leaf: what it is multiplied by in the graph.
        target_is_x: whether the labels are the inputs as the model gets them: an autoencoder's.
    """

    x: Nest
    y: Nest | None
    weight: Nest | None
    scales: Nest
    target_is_x: bool = False

    @property
    def n(self) -> int:
        """How many examples there are."""
        return length(leaves(self.x)[0])

    def __len__(self) -> int:
        return self.n

    def take(self, positions: Any) -> Examples:
        """The examples at ``positions``, in their order."""
        rows: Callable[[Any], Any] = lambda leaf: take_rows(leaf, positions)  # noqa: E731
        return replace(
            self,
            x=map_nest(rows, self.x),
            y=None if self.y is None else map_nest(rows, self.y),
            weight=None if self.weight is None else map_nest(rows, self.weight),
        )

    @property
    def packed(self) -> tuple[Any, ...]:
        """``(x,)``, ``(x, y)`` or ``(x, y, weight)``, as Keras packs a batch."""
        if self.y is None:
            return (self.x,)
        return (self.x, self.y) if self.weight is None else (self.x, self.y, self.weight)


@dataclass(frozen=True, eq=False)
class Stream:
    """Examples that come in batches, and are never copied into memory.

    Attributes:
        source: a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, or a function that returns a
            new iterator of batches each time.
        n_batches: how many batches a pass has; None: not known, or endless.
        element_spec: a nest of ``tf.TensorSpec``, the batch's dimension None.
        n: how many examples a pass has, where that is known.
    """

    source: Any
    n_batches: int | None
    element_spec: Any
    n: int | None = None


def length(leaf: Any) -> int:
    """How many rows an array or ``tf.RaggedTensor`` has."""
    return int(leaf.nrows()) if is_ragged(leaf) else len(leaf)


def is_ragged(leaf: Any) -> bool:
    """Whether it is a ``tf.RaggedTensor``."""
    return hasattr(leaf, "row_splits")


def take_rows(leaf: Any, positions: Any) -> Any:
    """The rows of an array or ``tf.RaggedTensor`` at ``positions``."""
    if is_ragged(leaf):
        import tensorflow as tf

        return tf.gather(leaf, positions)
    return np.asarray(leaf)[positions]
