"""Leaves out TensorFlow's graph optimizers where they cost a run more than they save.

They rewrite each function before its first call: about 0.1 s per trial for the 512-256 network. In
its training steps they save nothing (measured: the same within 2 %, batch 32 and 128, float32
and bfloat16); a convolutional network is evaluated some 10 % faster with them.
So they pay where an epoch is long. What decides is an epoch's work and not how many there are: a
run that is stopped and continued, or given more epochs, must round as it did before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

#: Weights × examples below which an epoch is brief: about a tenth of a second on one core.
BRIEF = 2e9


def is_brief(n_params: int, n_images: int) -> bool:
    """Whether an epoch is so short that start-up matters; on a GPU the optimizers always run."""
    return n_params * n_images < BRIEF and not tf.config.list_physical_devices("GPU")


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
