"""A worker's side of the seam: ``prepare`` once, then ``run_trial`` after ``run_trial``.

TensorFlow is imported inside the functions: the process's threads are set first.
"""

from __future__ import annotations

import functools
import gc
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime
from besom.training.requests import Orders, OutOfBounds

#: What a trial is known by once, beside its history (``TrialResult.numbers``).
NUMBERS = ("n_params", "seconds_per_epoch", "model_bytes")


def prepare(config: TrialConfig) -> dict[str, Any]:
    """Import TensorFlow, load the data, and check the config by building its model once.

    Returns:
        Plain facts: ``data`` (name, fingerprint, n_train, n_validation, input_shape, num_classes),
        ``metrics`` (every name a history will have), ``numbers`` (every name in a result's
        ``numbers``), ``n_params``, ``versions`` and ``device``.

    Raises:
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    runtime.start()
    from besom.training.build import build_callbacks, build_model, seed_everything
    from besom.training.settings import TrainerSettings
    from besom.training.trainer import check_monitor, metric_names

    data = _data(config)
    settings = TrainerSettings.from_config(config.get("trainer", {}))
    seed_everything(config.get("seed", 0))
    try:
        model = build_model(config, settings, data)
        build_callbacks(settings)
        names = metric_names(model, data)
        check_monitor(settings, names)
        n_params = model.count_params()
    finally:
        _forget()
    # What is alive now stays: each trial's collection would look through all of TensorFlow (0.2 s).
    gc.freeze()
    return {
        "data": _data_facts(data),
        "metrics": names,
        "numbers": list(NUMBERS),
        "n_params": n_params,
        "versions": runtime.versions(),
        "device": runtime.device(),
    }


def run_trial(config: TrialConfig, report: Report) -> TrialResult:
    """Train one model after ``config``, reporting each epoch; see ``besom.seam``.

    The same config and seed give the same history, whatever the process ran before.

    Raises:
        TrialDiverged: a metric became NaN or infinite; that epoch is not reported.
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    runtime.start()
    from besom.training.trainer import fit

    data = _data(config)
    orders = Orders.from_config(config)
    stopped = False

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
        nonlocal stopped
        stopped = report(epoch, metrics)
        return stopped

    try:
        fitted = fit(
            config,
            data,
            on_epoch=on_epoch,
            on_built=lambda model: orders.check(model_numbers(model)),
            resume_from=orders.resume_from,
            save_to=orders.save_to,
        )
        if not stopped:
            orders.keep_model(fitted, config["trainer"])
        return TrialResult(
            history=fitted.history,
            numbers={
                **model_numbers(fitted.model),
                "seconds_per_epoch": fitted.seconds_per_epoch,
            },
            best_epoch=fitted.best_epoch,
            stopped_early=fitted.stopped_early,
            n_validation=len(data.x_validation),
            correct=None if fitted.correct is None else np.packbits(fitted.correct).tobytes(),
            environment={
                "data": _data_facts(data),
                "versions": runtime.versions(),
                "device": runtime.device(),
                "engine": fitted.engine,
                "engine_reason": fitted.engine_reason,
                "kernel": fitted.kernel,
                "precision": fitted.precision,
            },
        )
    except OutOfBounds as out:
        return TrialResult(numbers=out.numbers)
    finally:
        fitted = None  # type: ignore[assignment]
        _forget()


def model_numbers(model: Any) -> dict[str, float]:
    """What a built model is known by: ``n_params``, and ``model_bytes`` of float32 weights."""
    return {
        "n_params": model.count_params(),
        "model_bytes": sum(4 * int(np.prod(w.shape)) for w in model.weights),
    }


def _data(config: TrialConfig) -> Any:
    """The config's data, loaded once in this process."""
    return _load(json.dumps(config["data"], sort_keys=True))


@functools.lru_cache(maxsize=1)
def _load(node: str) -> Any:
    from besom.training.data import load_training

    return load_training(json.loads(node))


def _data_facts(data: Any) -> dict[str, Any]:
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "n_train": len(data.x_train),
        "n_validation": len(data.x_validation),
        "input_shape": list(data.x_train.shape[1:]),
        "num_classes": data.num_classes,
    }


def _forget() -> None:
    """Free what a trial leaves behind: a worker runs hundreds of them."""
    import keras

    keras.backend.clear_session(free_memory=False)
    gc.collect()
