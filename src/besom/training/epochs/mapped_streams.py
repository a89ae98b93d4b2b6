"""A stream with a function of each of its batches, whatever kind of stream it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from besom.training.data.examples import Stream


def mapped(part: Stream, function: Callable[..., Any]) -> Stream:
    """The stream with ``function(x, y, weight)`` of each batch, with as many as there are."""

    def of(batch: Any) -> Any:
        return function(*batch) if isinstance(batch, tuple) else function(batch)

    source = part.source
    if isinstance(source, tf.data.Dataset):
        changed = source.map(lambda *batch: function(*batch), num_parallel_calls=tf.data.AUTOTUNE)
        return replace(part, source=changed, element_spec=changed.element_spec)
    if isinstance(source, keras.utils.PyDataset):
        return replace(part, source=_MappedDataset(source, of))
    return replace(part, source=lambda: map(of, source()))


class _MappedDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """A user's ``PyDataset`` with a function of each of its batches."""

    def __init__(self, inner: Any, function: Callable[[Any], Any]) -> None:
        super().__init__(
            workers=inner.workers,
            use_multiprocessing=False,
            max_queue_size=inner.max_queue_size,
        )
        self._inner, self._function = inner, function

    def __len__(self) -> int:
        return len(self._inner)

    def __getitem__(self, index: int) -> Any:
        return self._function(self._inner[index])

    @property
    def num_batches(self) -> Any:
        return self._inner.num_batches

    def on_epoch_begin(self) -> None:
        self._inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._inner.on_epoch_end()
