"""Which arithmetic a model's matrix products use: float32, or bfloat16 where that is faster.

In bfloat16 (Keras's ``mixed_bfloat16``) only the products and what lies between them are; weights,
the optimizer's state, the output layer, loss and metrics stay float32.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

#: Images a step from which bfloat16 pays on a processor that has it: below, casting the weights
#: costs what the products gain (docs/log.md has the numbers).
_LEAST_BATCH = 64


def resolve(precision: str, batch_size: int) -> str:
    """Return ``float32`` or ``bfloat16`` for ``trainer.precision``, which may be ``auto``."""
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    else:
        fast = batch_size >= _LEAST_BATCH and bool(processor_flags() & {"avx512_bf16", "amx_bf16"})
    return "bfloat16" if fast else "float32"


@contextmanager
def policy(precision: str) -> Iterator[None]:
    """Build layers under Keras's policy for ``float32`` or ``bfloat16``."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@functools.cache
def processor_flags() -> frozenset[str]:
    """The processor's features as Linux names them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())
