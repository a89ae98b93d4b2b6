"""A cheaper mask for Keras's Dropout layers while an epoch is compiled.

Keras draws a 32-bit number for each unit, and drawing them is most of what dropout costs (of an
epoch of the 512-256 network at batch 128: a seventh; in bfloat16, which TensorFlow draws slowly, a
third). Here one 32-bit number makes two decisions, or four where 8 bits tell the rate exactly, as
for 0.25 and 0.5. What the layer promises is unchanged: every unit dropped independently, the rest
scaled so that the mean stays; the rate is exact to 2**-17. The layer's own seed generator feeds it,
so a seed still fixes every mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

#: The finest rates told apart.
_LEVELS = 2**16


@contextmanager
def cheap_dropout(model: Any) -> Iterator[None]:
    """While open, the model's plain Dropout layers trace the cheaper mask."""
    with ExitStack() as stack:
        for layer in model._flatten_layers():
            if _is_plain(layer):
                # Past Keras's attribute tracking: this is no part of the layer's state.
                object.__setattr__(layer, "call", _call(layer))
                stack.callback(object.__delattr__, layer, "call")
        yield


def _is_plain(layer: Any) -> bool:
    """This very class (a subclass may drop differently), each unit for itself, and some of them."""
    return (
        type(layer) is keras.layers.Dropout
        and layer.noise_shape is None
        and 0 < round(layer.rate * _LEVELS) < _LEVELS
    )


def _call(layer: Any) -> Callable[..., Any]:
    kind = tf.uint8 if (layer.rate * 256).is_integer() else tf.uint16
    levels = kind.max + 1
    dropped = round(layer.rate * levels)

    def call(inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        numbers = draw(tf.shape(inputs), kind, layer.seed_generator.next())
        kept = numbers >= tf.constant(dropped, kind)
        kept.set_shape(inputs.shape)
        scale = tf.constant(levels / (levels - dropped), inputs.dtype)
        return inputs * (tf.cast(kept, inputs.dtype) * scale)

    return call


def draw(shape: Any, kind: Any, seed: Any) -> Any:
    """Return uniform numbers, fixed by ``seed`` (two integers).

    Args:
        shape: a tensor.
        kind: ``tf.uint8`` or ``tf.uint16``; the numbers are uniform over all its values.
        seed: two integers.
    """
    n, per_word = tf.reduce_prod(shape), 4 // kind.size
    words = tf.random.stateless_uniform(
        [(n + per_word - 1) // per_word],
        tf.cast(seed, tf.int32),
        minval=None,
        maxval=None,
        dtype=tf.uint32,
    )
    return tf.reshape(tf.reshape(tf.bitcast(words, kind), [-1])[:n], shape)
