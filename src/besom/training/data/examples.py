"""Examples in memory, and streams of them: what a model is trained and measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from besom.training.data.nests import Nest, leaves, map_nest

#: A memmap of more bytes is never copied, nor read as a whole.
LARGE_FILE_BYTES = 2**30

_N_SAMPLED = 256


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples in memory.

    Attributes:
        x: a nest of arrays (n, ...): uint8, int32, int64, float32, text, a ``tf.RaggedTensor``, or
            ``LazyRows`` of a large file. Leaves of uint8 and float32 reach the model as float32,
            times their scale; all others as they are.
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
    def in_memory(self) -> bool:
        """Whether all of ``x`` is in memory; else ``gather`` reads batches of it."""
        return not any(isinstance(leaf, LazyRows) for leaf in leaves(self.x))

    def gather(self, positions: Any) -> tuple[Any, ...]:
        """The examples at ``positions`` in memory, packed."""
        return self.take(positions).loaded.packed

    @property
    def loaded(self) -> Examples:
        """The same examples, all in memory."""
        load: Callable[[Any], Any] = lambda leaf: leaf[:] if isinstance(leaf, LazyRows) else leaf  # noqa: E731
        return replace(self, x=map_nest(load, self.x))

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
        is_endless: whether a pass is known never to end.
    """

    source: Any
    n_batches: int | None
    element_spec: Any
    n: int | None = None
    is_endless: bool = False


class LazyRows:
    """Rows of an array in a file that is too large to copy: read when they are asked for.

    Args:
        array: the ``np.memmap``, or what is indexed as one and has its own ``identity``.
        positions: which rows, in their order; None: all.
    """

    def __init__(self, array: Any, positions: Any = None) -> None:
        self.array = array
        self.positions = np.arange(len(array)) if positions is None else positions
        #: Floats are read as float32.
        self.dtype = np.dtype(np.float32) if array.dtype.kind == "f" else array.dtype

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of all the rows together."""
        return (len(self), *self.array.shape[1:])

    def __getitem__(self, index: Any) -> Any:
        """The rows at ``index``, an array in memory."""
        return np.asarray(self.array[self.positions[index]], self.dtype)

    @property
    def identity(self) -> str:
        """What changes with the file, in words."""
        if not isinstance(self.array, np.memmap):
            return str(self.array.identity)
        status = Path(str(self.array.filename)).stat()
        return f"{status.st_size} {status.st_mtime_ns} {self.shape}"

    def take(self, positions: Any) -> LazyRows:
        """Some of the rows; still not in memory."""
        return LazyRows(self.array, self.positions[positions])

    def sample(self) -> Any:
        """A few rows, evenly spaced, in memory."""
        return self[np.linspace(0, len(self) - 1, min(_N_SAMPLED, len(self))).astype(int)]


def is_large_file(leaf: Any) -> bool:
    """Whether it is a memmap too large to copy."""
    return isinstance(leaf, np.memmap) and leaf.nbytes > LARGE_FILE_BYTES


def length(leaf: Any) -> int:
    """How many rows an array or ``tf.RaggedTensor`` has."""
    return len(leaf.row_splits) - 1 if is_ragged(leaf) else len(leaf)


def is_ragged(leaf: Any) -> bool:
    """Whether it is a ``tf.RaggedTensor``."""
    return hasattr(leaf, "row_splits")


def take_rows(leaf: Any, positions: Any) -> Any:
    """The rows of an array or ``tf.RaggedTensor`` at ``positions``; None of None."""
    if leaf is None:
        return None
    if is_ragged(leaf):
        import tensorflow as tf

        return tf.gather(leaf, positions)
    if isinstance(leaf, LazyRows):
        return leaf.take(positions)
    return np.asarray(leaf)[positions]
