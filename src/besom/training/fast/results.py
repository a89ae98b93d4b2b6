"""A model's metrics at the end of a compiled pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def results_then_reset(model: Any, at_end: Any = True) -> dict[str, Any]:
    """The metrics of the batches since the last reset, which is done after, not before: Keras's
    compiled metrics cannot be reset before they have seen their first batch."""
    results = {n: tf.identity(value) for n, value in _flat(model.get_metrics_result()).items()}
    with tf.control_dependencies(list(results.values())):
        if at_end is True:
            model.reset_metrics()
        else:
            tf.cond(at_end, model.reset_metrics, lambda: None)
    return results


def _flat(results: dict[str, Any]) -> dict[str, Any]:
    """A metric whose result is a mapping has a line of the history for each key, as in Keras."""
    flat: dict[str, Any] = {}
    for name, value in results.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def plain(results: dict[str, Any]) -> dict[str, Any]:
    """Numbers as ``model.fit`` hands them to callbacks: Python's; a metric may also be an array."""
    arrays = {name: np.asarray(value) for name, value in results.items()}
    return {name: array if array.ndim else array.item() for name, array in arrays.items()}
