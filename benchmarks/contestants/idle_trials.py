"""Trial functions that train nothing, for besom's workers to import."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from typing import Any

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
    last = _score(config)
    history = {name: [last - 2.0**-epoch for epoch in range(EPOCHS)] for name in METRICS}
    return TrialResult(
        history=history,
        best_epoch=EPOCHS,
        numbers={"n_params": 535_818, "seconds_per_epoch": 1.234567, "model_bytes": 2_143_272},
        n_validation=N_VALIDATION,
        correct=random.randbytes(N_VALIDATION // 8),
        environment={
            "data": {"name": "mnist", "fingerprint": "0123456789abcdef", "num_classes": 10},
            "engine": "compiled",
            "engine_reason": "the model, its loss and its metrics allow it",
            "kernel": "ResourceApplyAdam",
        },
    )
