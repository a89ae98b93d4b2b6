"""A worker's side of the seam: ``prepare`` once, then ``run_trial`` after ``run_trial``.

TensorFlow is imported inside the functions: the process's threads are set first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from besom.errors import ConfigError
from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime, warm
from besom.training.settings import TrainerSettings
from besom.training.trial_requests import OutOfBounds, TrialRequests

log = logging.getLogger("besom")

#: What a trial is known by once, beside its history (``TrialResult.numbers``).
NUMBERS = ("n_params", "seconds_per_epoch", "model_bytes")

#: Measures a ``besom.training.trainer.Fitted`` once more; what it returns joins ``numbers``.
Measure = Callable[[Any], Mapping[str, float]]


def prepare(config: TrialConfig) -> dict[str, Any]:
    """Import TensorFlow, load the data, and try a step of the config: what no trial could run is
    refused here.

    Returns:
        Plain facts: ``metrics`` (every name a history will have), ``numbers`` (every name in a
        result's ``numbers``), ``n_params``, ``unsavable`` (why no model can be saved; only there if
        so), and those of ``warm.environment``.

    Raises:
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    runtime.start_worker()
    from besom.training.rehearsal import rehearse

    try:
        for name, other in TrialRequests.from_config(config).rehearse.items():
            try:
                rehearse(other, warm.training_data(other), opens_test=True)
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from error
        data = warm.training_data(config)
        tried = rehearse(config, data)
    finally:
        warm.free_models()
    warm.settle()
    return {
        "metrics": tried.metrics,
        "numbers": list(NUMBERS),
        "n_params": tried.n_params,
        **({"unsavable": tried.unsavable} if tried.unsavable else {}),
        **warm.environment(data),
    }


def prepare_another(config: TrialConfig) -> dict[str, Any]:
    """Import TensorFlow and load the data, in a worker beside one that has tried the config.

    Returns:
        The facts of ``warm.environment``.

    Raises:
        ConfigError, DataError: the data cannot be loaded.
    """
    runtime.start_worker()
    data = warm.training_data(config)
    warm.settle()
    return warm.environment(data)


def run_trial(config: TrialConfig, report: Report) -> TrialResult:
    """Train one model after ``config``, reporting each epoch; see ``besom.seam``.

    The same config and seed give the same history, whatever the process ran before.

    Raises:
        TrialDiverged: a metric became NaN or infinite; that epoch is not reported.
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    return train(config, report)


def train(config: TrialConfig, report: Report, measure: Measure | None = None) -> TrialResult:
    """Train one model, follow the config's orders, and tell everything about it.

    Args:
        config: see ``besom.seam``.
        report: called after each epoch.
        measure: called once with what was trained, at the very end; not if ``report`` ended it.

    Raises:
        TrialDiverged, ConfigError, DataError: as ``run_trial``; and what ``measure`` raises.
    """
    runtime.start()
    from besom.training.trainer import fit

    data = warm.training_data(config)
    orders = TrialRequests.from_config(config)
    stopped = False

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
        nonlocal stopped
        stopped = report(epoch, metrics)
        return stopped

    fitted: Any = None
    try:
        fitted = fit(
            config,
            data,
            on_epoch=on_epoch,
            on_built=lambda model: orders.check(model_numbers(model)),
            resume_from=orders.resume_from,
            save_to=orders.save_to,
        )
        measured: Mapping[str, float] = {}
        if not stopped:
            settings = TrainerSettings.from_config(config.get("trainer", {}))
            if problem := orders.keep_model(fitted, settings):
                fitted.remarks["model"] = problem
            measured = measure(fitted) if measure is not None else {}
        for remark in fitted.remarks.values():
            log.warning(remark)
        return _told(fitted, data, measured)
    except OutOfBounds as out:
        return TrialResult(numbers=out.numbers)
    finally:
        fitted = None
        warm.free_models()


def _told(fitted: Any, data: Any, measured: Mapping[str, float]) -> TrialResult:
    return TrialResult(
        history=fitted.history,
        numbers={
            **model_numbers(fitted.model),
            "seconds_per_epoch": fitted.seconds_per_epoch,
            **measured,
        },
        best_epoch=fitted.best_epoch,
        stopped_early=fitted.stopped_early,
        n_validation=len(data.x_validation),
        correct=None if fitted.correct is None else np.packbits(fitted.correct).tobytes(),
        correct_by_epoch=fitted.correct_by_epoch,
        environment={
            **warm.environment(data),
            "engine": fitted.engine,
            "engine_reason": fitted.engine_reason,
            "kernel": fitted.kernel,
            "precision": fitted.precision,
            **({"remarks": fitted.remarks} if fitted.remarks else {}),
        },
    )


def model_numbers(model: Any) -> dict[str, float]:
    """What a built model is known by: ``n_params``, and ``model_bytes`` of float32 weights."""
    return {
        "n_params": model.count_params(),
        "model_bytes": sum(4 * int(np.prod(w.shape)) for w in model.weights),
    }
