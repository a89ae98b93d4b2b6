"""A table's columns as one vector for each example, by Keras's ``FeatureSpace``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.text.counting import counted, listed
from besom.training.data.array_checks import Array, check_fits_memory

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class ColumnFeatures:
    """How a table's columns are encoded, before anything of them is known.

    Attributes:
        kinds: for each column ``number`` (normalised), ``integer category`` or ``text category``
            (one-hot, with a place for what training has not seen).
        encode: whether a model is given the encoded vectors; else it gets the columns.
    """

    kinds: Mapping[str, str]
    encode: bool = True

    @property
    def identity(self) -> Array:
        """What a fingerprint takes in."""
        return np.array(
            [f"{name}: {kind}" for name, kind in self.kinds.items()] + [str(self.encode)]
        )

    @property
    def in_words(self) -> str:
        """How many columns are encoded in which way, in a phrase."""
        n_numbers = sum(kind == "number" for kind in self.kinds.values())
        n_categories = len(self.kinds) - n_numbers
        words = [
            f"{counted(n, 'column')} {how}"
            for n, how in ((n_numbers, "normalised"), (n_categories, "one-hot"))
            if n
        ]
        return listed(words)

    def adapted(self, x: Mapping[str, Array]) -> EncodedColumns:
        """Learn means, variances and categories from these columns, the training part's."""
        import keras
        import tensorflow as tf

        space = keras.utils.FeatureSpace
        made = {
            "number": space.float_normalized,
            "integer category": lambda: space.integer_categorical(output_mode="one_hot"),
            "text category": lambda: space.string_categorical(output_mode="one_hot"),
        }
        features = space(
            features={name: made[kind]() for name, kind in self.kinds.items()},
            output_mode="concat",
        )
        with tf.device("CPU"):
            features.adapt(tf.data.Dataset.from_tensor_slices(dict(x)).batch(_ROWS_AT_ONCE))
        return EncodedColumns(features, self.encode)


@dataclass(frozen=True, eq=False)
class EncodedColumns:
    """An adapted ``FeatureSpace``, that encodes columns and travels with exported models.

    Attributes:
        feature_space: the ``keras.utils.FeatureSpace``.
        is_applied: whether models are given what it encodes.
    """

    feature_space: Any
    is_applied: bool

    def encode(self, x: Mapping[str, Array]) -> Array:
        """The columns as vectors, (n, width) float32.

        Raises:
            DataError: they would not fit into memory.
        """
        n = len(next(iter(x.values())))
        width = int(self.feature_space.get_encoded_features().shape[-1])
        check_fits_memory(4 * n * width, f"{n:,} rows, encoded as vectors of {width:,} numbers,")
        vectors = np.empty((n, width), np.float32)
        for start in range(0, n, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            vectors[rows] = self._encoded({name: column[rows] for name, column in x.items()})
        return vectors

    def _encoded(self, x: Mapping[str, Array]) -> Any:
        import tensorflow as tf

        with tf.device("CPU"):  # where text is
            return np.asarray(
                self.feature_space(
                    {
                        name: tf.constant(v.tolist() if v.dtype.kind == "O" else v)
                        for name, v in x.items()
                    }
                )
            )

    @contextmanager
    def raw_model(self, model: Any) -> Iterator[Any]:
        """While open, the same model, but it takes the columns: a dict of arrays (n,) or (n, 1)."""
        import keras

        from besom.training.fast.keras_private import uses_forgotten

        encoded = self.feature_space.get_encoded_features()
        with uses_forgotten(encoded):
            yield keras.Model(self.feature_space.get_inputs(), model(encoded), name=model.name)
