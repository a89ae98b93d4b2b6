"""Examples as tensors, kept as they were stored, and made ready for the model in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.training.data.nests import Nest, is_nest, leaves, map_nest


class Tensors:
    """Examples in memory as tensors, whose batches are what ``model.fit`` would pass on.

    Args:
        x: a nest of arrays (n, ...), or of ``tf.RaggedTensor``.
        y: a nest of labels (n, ...), or None.
        scale: what the inputs are multiplied by: a nest of floats as ``x`` is one, or one for all.
        weight: sample weights (n,), or a nest of such by output, or None.
        target_is_x: whether the model is to give back its input, scaled: an autoencoder's labels.
    """

    def __init__(
        self,
        x: Nest,
        y: Nest | None = None,
        scale: Nest = 1.0,
        weight: Nest | None = None,
        *,
        target_is_x: bool = False,
    ) -> None:
        scales = scales_of(x, scale)
        self._x, self._y, self._weight = _tensors(x), _tensors(y), _tensors(weight)
        self._scales, self._target_is_x = scales, target_is_x
        self.n = int(leaves(self._x)[0].shape[0])

    def gather(self, indices: Any) -> Any:
        """Return the batch of the examples ``indices``: ``x``, ``(x, y)`` or ``(x, y, weight)``."""
        return self._batch(lambda leaf: tf.gather(leaf, indices))

    def slice(self, start: Any, stop: Any) -> Any:
        """Return the batch of the examples from ``start`` to before ``stop``."""
        return self._batch(lambda leaf: leaf[start:stop])

    def _batch(self, part: Any) -> Any:
        x = map_nest(lambda leaf, scale: ready(part(leaf), scale), self._x, self._scales)
        y = x if self._target_is_x else None if self._y is None else map_nest(part, self._y)
        weight = None if self._weight is None else map_nest(part, self._weight)
        return keras.utils.pack_x_y_sample_weight(x, y, weight)


def scales_of(x: Nest, scale: Nest) -> Nest:
    """The factors by input, whether they are given so or as one for all."""
    if isinstance(scale, Mapping | list | tuple):
        return scale
    return map_nest(lambda _: scale, x)


def ready(leaf: Any, scale: float) -> Any:
    """An input as the model takes it: bytes and floats as scaled float32, all else as it is."""
    if not (leaf.dtype.is_floating or leaf.dtype in (tf.uint8, tf.bool)):
        return leaf
    leaf = tf.cast(leaf, tf.float32)
    return leaf if scale == 1.0 else leaf * tf.constant(scale, tf.float32)


def _tensors(nest: Nest | None) -> Nest | None:
    return None if nest is None else map_nest(_tensor, _tuples(nest))


def _tensor(leaf: Any) -> Any:
    if isinstance(leaf, tf.RaggedTensor | tf.Tensor):
        return leaf
    array = np.asarray(leaf)
    if array.dtype.kind == "f" and array.dtype != np.float32:
        array = array.astype(np.float32)
    return tf.convert_to_tensor(array)


def _tuples(nest: Nest) -> Nest:
    """Keras passes lists of arrays on as tuples."""
    if not is_nest(nest):
        return nest
    if isinstance(nest, Mapping):
        return {key: _tuples(part) for key, part in nest.items()}
    return tuple(_tuples(part) for part in nest)
