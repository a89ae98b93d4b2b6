"""A dry run's side of the seam: builds a model and measures a few steps, without training it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime, trial

#: Steps measured after one that warms up; the median counts.
N_STEPS = 3

#: Workers prepare as for any trial.
prepare = trial.prepare


def probe(config: TrialConfig, report: Report) -> TrialResult:  # noqa: ARG001
    """Build the model of ``config`` and measure what a step takes.

    Returns:
        A result whose ``numbers`` are n_params, model_bytes (float32 weights), seconds_per_step
        (one batch, forward and backward), steps_per_epoch and memory_bytes (resident, the whole
        process).

    Raises:
        ConfigError: the model cannot be built, or does not fit the data.
        DataError: the data cannot be loaded.
    """
    runtime.start()
    from besom.training.build import build_model, seed_everything
    from besom.training.settings import TrainerSettings

    data = trial._data(config)
    settings = TrainerSettings.from_config(config.get("trainer", {}))
    seed_everything(config.get("seed", 0))
    model: Any = None
    try:
        model = build_model(config, settings, data)
        size = min(settings.batch_size, len(data.x_train))
        x = np.asarray(data.x_train[:size], np.float32) * np.float32(data.scale)
        y = data.y_train[:size]
        seconds = []
        for _ in range(N_STEPS + 1):
            began = time.perf_counter()
            model.train_on_batch(x, y)
            seconds.append(time.perf_counter() - began)
        return TrialResult(
            numbers={
                "n_params": model.count_params(),
                "model_bytes": sum(4 * int(np.prod(w.shape)) for w in model.weights),
                "seconds_per_step": statistics.median(seconds[1:]),
                "steps_per_epoch": -(-len(data.x_train) // settings.batch_size),
                "memory_bytes": _resident_bytes(),
            }
        )
    finally:
        model = None
        trial._forget()


def _resident_bytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import psutil

        return float(psutil.Process().memory_info().rss)
    import resource

    return float(pages * resource.getpagesize())
