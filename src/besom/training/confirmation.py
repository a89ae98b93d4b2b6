"""A confirmation: trains like any trial, then measures the test images, once, at the very end.

The only way from a worker to the test images; ``besom confirm --on test`` alone names it, after
having logged the opening. Training never sees them: they are not passed to it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime, trial

#: Workers prepare as for any trial: that opens no test image.
prepare = trial.prepare


def run_confirmation(config: TrialConfig, report: Report) -> TrialResult:
    """Train one model after ``config`` and measure it on the test images.

    The history is that of ``besom.training.trial.run_trial``, bit for bit. ``numbers`` has, beside
    that one's, ``test_loss`` and ``test_<metric>`` for each metric, by the weights that count, and
    ``n_test``, the number of test images; none of these if ``report`` stopped the run.

    Raises:
        NoTestImages: the dataset has no test part; nothing was trained then.
        TrialDiverged: a metric became NaN or infinite while training.
        ConfigError, DataError: the config cannot be trained, or the data cannot be loaded.
    """
    runtime.start()
    from besom.training.trainer import evaluate, fit

    data = trial._data(config)
    test = _test(json.dumps(config["data"], sort_keys=True))
    stopped = False

    def watched(epoch: int, metrics: Mapping[str, float]) -> bool:
        nonlocal stopped
        stopped = report(epoch, metrics)
        return stopped

    fitted: Any = None
    try:
        fitted = fit(config, data, on_epoch=watched)
        numbers = {
            **trial.model_numbers(fitted.model),
            "seconds_per_epoch": fitted.seconds_per_epoch,
        }
        if not stopped:
            size = config.get("trainer", {}).get("evaluation_batch_size")
            measured = evaluate(fitted.model, test.x, test.y, test.scale, size)
            numbers |= {"n_test": len(test.y)}
            numbers |= {f"test_{name}": value for name, value in measured.items()}
        return TrialResult(
            history=fitted.history,
            numbers=numbers,
            best_epoch=fitted.best_epoch,
            stopped_early=fitted.stopped_early,
            n_validation=len(data.x_validation),
            environment={
                "data": trial._data_facts(data),
                "versions": runtime.versions(),
                "device": runtime.device(),
                "engine": fitted.engine,
                "engine_reason": fitted.engine_reason,
                "kernel": fitted.kernel,
            },
        )
    finally:
        fitted = None
        trial._forget()


@functools.lru_cache(maxsize=1)
def _test(node: str) -> Any:
    """The test part of this data, checked against its training part; opened once in a process."""
    from besom.training.data import load_test

    config = {"data": json.loads(node)}
    return load_test(config["data"], trial._data(config))
