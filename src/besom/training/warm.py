"""What a warm worker keeps from trial to trial, and what it lets go of.

Kept is what trials share: the data, read once. Everything of a model goes, since one worker builds
hundreds of them.
"""

from __future__ import annotations

import functools
import gc
import json
from typing import Any

import numpy as np

from besom.seam import TrialConfig
from besom.training import runtime


def training_data(config: TrialConfig) -> Any:
    """Return the config's ``besom.training.data.TrainingData``, loaded once in this process.

    Raises:
        ConfigError, DataError: as ``besom.training.data.load_training``.
    """
    return _load(json.dumps(config["data"], sort_keys=True))


@functools.lru_cache(maxsize=1)
def _load(node: str) -> Any:
    from besom.training.data.builtin import load_training

    return load_training(json.loads(node))


def environment(data: Any) -> dict[str, Any]:
    """Return what every run of this process depends on.

    Args:
        data: from ``training_data``.

    Returns:
        ``data`` (name, fingerprint, n_train, n_validation, input_shape, input_scale, which is the
        factor on the images, num_classes, and label_gaps where a class has no example),
        ``versions``, ``device``, and ``n_classes_unjudged``: how many classes no validation image
        shows; 0 without such images.
    """
    from besom.training.data.dataset import label_gaps

    gaps = label_gaps(data)
    return {
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "n_train": len(data.x_train),
            "n_validation": len(data.x_validation),
            "input_shape": list(data.x_train.shape[1:]),
            "input_scale": data.scale,
            "num_classes": data.num_classes,
            **({"label_gaps": gaps} if gaps else {}),
        },
        "n_classes_unjudged": _n_classes_unjudged(data),
        "versions": runtime.versions(),
        "device": runtime.device(),
    }


def _n_classes_unjudged(data: Any) -> int:
    labels = data.y_validation
    if not len(labels):
        return 0
    return int((np.bincount(labels, minlength=data.num_classes) == 0).sum())


def free_models() -> None:
    """Free what trials leave behind; nobody may hold a model any more."""
    import keras

    keras.backend.clear_session(free_memory=False)
    gc.collect()


def settle() -> None:
    """Let what is alive now stay: each collection would look through all of TensorFlow (0.2 s)."""
    gc.freeze()
