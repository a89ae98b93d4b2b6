"""Leaves out TensorFlow's graph optimizers where they cost a run more than they bring it.

They rewrite each function before its first call: about 0.1 s a trial for the 512-256 network. In
its training steps they bring nothing (measured: the same within 2 %, batch 32 and 128, float32
and bfloat16); a convolutional network is measured some 10 % faster on validation images with them.
So they pay for long runs only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

#: Weights × images × epochs below which a run is brief: about a second of training on one core.
BRIEF = 1e10


def is_brief(n_params: int, n_images: int, epochs: int) -> bool:
    """Whether so little is computed that start-up matters; on a GPU the optimizers always run."""
    return n_params * n_images * epochs < BRIEF and not tf.config.list_physical_devices("GPU")


@contextmanager
def left_out(wanted: bool) -> Iterator[None]:
    """While open, functions called for the first time are not rewritten, if that is ``wanted``.

    A function must be called under the same setting every time, or it is prepared again.
    """
    if not wanted:
        yield
        return
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **before})
