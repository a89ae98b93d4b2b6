"""Trial functions that train nothing, for besom's workers to import."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from besom.seam import Report, TrialConfig, TrialResult

SLEEP_S = 0.1
#: What a real trial of sweeps/mnist_mlp.yaml gives back.
EPOCHS, N_VALIDATION = 10, 5000
METRICS = ("accuracy", "loss", "val_accuracy", "val_loss")


def score(params: Mapping[str, Any]) -> float:
    """A value that a sampler can learn from: best at a dropout of 0.2 and a rate of 1e-3."""
    rate = math.log10(params["learning_rate"])
    return 1.0 - (params["dropout"] - 0.2) ** 2 - 0.01 * (rate + 3.0) ** 2


def _score(config: TrialConfig) -> float:
    return score({**config["model"], "learning_rate": config["optimizer"]["learning_rate"]})


def sleep(config: TrialConfig, report: Report) -> TrialResult:  # noqa: ARG001
    """Sleep, and say from when to when."""
    began = time.time()
    time.sleep(SLEEP_S)
    numbers = {"began": began, "ended": time.time()}
    return TrialResult(history={"val_accuracy": [_score(config)]}, best_epoch=1, numbers=numbers)


def noop(config: TrialConfig, report: Report) -> TrialResult:  # noqa: ARG001
    """Nothing but a value."""
    return TrialResult(history={"val_accuracy": [_score(config)]}, best_epoch=1)


def like_training(config: TrialConfig, report: Report) -> TrialResult:  # noqa: ARG001
    """All that a real trial leaves behind, without its work."""
    right = _right_by_epoch(0.985 * _score(config))
    accuracy = right.mean(axis=1)
    history = {
        name: (accuracy if "accuracy" in name else 1.0 - accuracy).tolist() for name in METRICS
    }
    correct = [row.tobytes() for row in np.packbits(right, axis=1)]
    best = int(accuracy.argmax())
    return TrialResult(
        history=history,
        best_epoch=best + 1,
        numbers={"n_params": 535_818, "seconds_per_epoch": 1.234567, "model_bytes": 2_143_272},
        n_validation=N_VALIDATION,
        correct=correct[best],
        correct_by_epoch=correct,
        environment={
            "data": {"name": "mnist", "fingerprint": "0123456789abcdef", "num_classes": 10},
            "n_classes_unjudged": 0,
            "engine": "compiled",
            "engine_reason": "the model, its loss and its metrics allow it",
            "kernel": "ResourceApplyAdam",
        },
    )


def _right_by_epoch(final: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which images are right after each epoch, of shape ``(EPOCHS, N_VALIDATION)``.

    Like a network's: the accuracy climbs to about ``final``, the same images are hard for every
    trial, and two epochs, like two good trials, disagree on some 1 % of them.
    """
    difficulty = np.random.default_rng(0).random(N_VALIDATION)
    own = np.random.default_rng().random((EPOCHS, N_VALIDATION))
    level = final - 0.1 * 0.5 ** np.arange(EPOCHS)
    return 0.98 * difficulty + 0.02 * own < level[:, None]
