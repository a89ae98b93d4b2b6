"""What a loss says of the labels: quantities, 0 and 1, or class numbers. It outranks the labels.

Keras's own losses are known by name. One of the user's is tried on a few numbers: a loss of
quantities is least where the prediction is the label.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from besom.targets import TARGET, instantiate

#: Losses of quantities: with one of these, whole labels are numbers to come close to.
OF_NUMBERS = {
    *("meansquarederror", "mse", "meanabsoluteerror", "mae", "huber", "logcosh", "poisson"),
    *("meanabsolutepercentageerror", "mape", "meansquaredlogarithmicerror", "msle"),
    *("cosinesimilarity", "tversky", "dice"),
}

_SUGGESTED = {
    **dict.fromkeys(OF_NUMBERS, "regression"),
    **dict.fromkeys(("binarycrossentropy", "binaryfocalcrossentropy"), "binary"),
    "sparsecategoricalcrossentropy": "classification",
}

#: Losses that Keras has, and that say nothing of the labels.
_OF_KERAS = ("keras.", "tensorflow.keras.", "tf.keras.")


def bare_name(node: Any) -> str:
    """``CategoricalAccuracy`` and ``categorical_accuracy`` as one: a name in small letters."""
    name = str(node.get(TARGET)) if isinstance(node, Mapping) else str(node)
    return name.rpartition(".")[2].replace("_", "").lower()


def suggested_task(loss: Any) -> Any:
    """What kind of labels ``trainer.loss`` is for: ``regression``, ``binary``, ``classification``.

    Args:
        loss: a name, a node, or a mapping or list of such by output.

    Returns:
        The kind, None where the loss does not say; a dict or list where the loss is one.
    """
    if isinstance(loss, Mapping) and TARGET not in loss:
        return {name: suggested_task(each) for name, each in loss.items()}
    if isinstance(loss, list | tuple):
        return [suggested_task(each) for each in loss]
    if loss is None or (known := _SUGGESTED.get(bare_name(loss))):
        return None if loss is None else known
    if isinstance(loss, str) or str(loss[TARGET]).startswith(_OF_KERAS):
        return None
    return "regression" if _is_of_numbers(json.dumps(loss, sort_keys=True, default=str)) else None


@functools.lru_cache(maxsize=64)
def _is_of_numbers(node: str) -> bool:
    """Whether a loss of the user's own is least where the prediction is the label."""
    import keras

    labels = np.array([[3.0], [7.0], [12.0]], np.float32)
    try:
        loss = keras.losses.get(instantiate(json.loads(node)))
        at, *off = (float(np.mean(loss(labels, labels + far))) for far in (0.0, -1.0, 1.0))
    except Exception:  # what is wrong with it is said where the model is compiled
        return False
    return at < min(off)
