"""A worker's side of the seam: ``prepare`` once, then ``run_trial`` after ``run_trial``.

A trial's config may hold requests of the coordinator, under the key ``orders`` (see
``besom.seam``): limits to check before training, a checkpoint to load or save, where the model
goes. TensorFlow is imported inside the functions: the process's threads are set first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import ConfigError
from besom.metrics import within_place
from besom.seam import UNEXAMINED, Report, TrialConfig, TrialResult
from besom.training import runtime
from besom.training.saving import save_model

log = logging.getLogger("besom")

#: What is measured once per trial, besides its history (``TrialResult.numbers``).
NUMBERS = ("n_params", "seconds_per_epoch", "model_bytes")

#: Measures a ``besom.training.trainer.Fitted`` once more; what it returns joins ``numbers``.
Measure = Callable[[Any], Mapping[str, float]]


#: ``TrialResult.per_example``, and why a metric is not in it (``besom.seam.UNEXAMINED``).
KeptOfTrial = tuple[dict[str, dict[str, Any]], dict[str, str]]


def prepare(config: TrialConfig) -> dict[str, Any]:
    """Import TensorFlow, load the data, and try a step of the config, so that what no trial could
    run is refused here.

    Returns:
        Plain facts: ``metrics`` (every name a history will have; callbacks may add more if
        ``open_ended`` is there), ``kinds`` (what those of the validation examples are),
        ``objective`` (the metric that the task suggests), ``numbers`` (every name in a result's
        ``numbers``), ``n_params``, ``unsavable`` (why no model can be saved; only there if so),
        ``comes_compiled`` (only there if so), ``folds`` (with folds only), and those of
        ``runtime.environment``.

    Raises:
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    runtime.start_worker()
    from besom.training.rehearsal import rehearse

    try:
        for name, other in TrialRequests.from_config(config).rehearse.items():
            try:
                rehearse(other, runtime.training_data(other), opens_test=True)
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from error
        data = runtime.training_data(config)
        tried = rehearse(config, data)
    finally:
        runtime.free_models()
    runtime.settle()
    return {
        "metrics": tried.metrics,
        "kinds": tried.kinds,
        **({"open_ended": True} if tried.open_ended else {}),
        "objective": tried.monitor,
        "numbers": list(NUMBERS),
        "n_params": tried.n_params,
        **({"unsavable": tried.unsavable} if tried.unsavable else {}),
        **({"folds": True} if data.whole is not None else {}),
        **({"comes_compiled": True} if tried.comes_compiled else {}),
        **runtime.environment(data),
    }


def prepare_another(config: TrialConfig) -> dict[str, Any]:
    """Import TensorFlow and load the data, in a worker besides the one that has tried the config.

    Returns:
        The facts of ``runtime.environment``.

    Raises:
        ConfigError, DataError: the data cannot be loaded.
    """
    runtime.start_worker()
    data = runtime.training_data(config)
    runtime.settle()
    return runtime.environment(data)


def run_trial(config: TrialConfig, report: Report) -> TrialResult:
    """Train one model after ``config``, reporting each epoch; see ``besom.seam``.

    The same config and seed give the same history, whatever the process ran before.

    Raises:
        TrialDiverged: a metric became NaN or infinite; that epoch is not reported.
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    return train(config, report)


def train(
    config: TrialConfig, report: Report, measure: Measure | None = None, data: Any = None
) -> TrialResult:
    """Train one model, follow the config's requests, and return everything about it.

    Args:
        config: see ``besom.seam``.
        report: called after each epoch.
        measure: called once with what was trained, at the very end; not if ``report`` ended it.
        data: a ``besom.training.data.TrainingData`` in place of the config's.

    Raises:
        TrialDiverged, ConfigError, DataError: as ``run_trial``; and what ``measure`` raises.
    """
    runtime.start()
    from besom.training.trainer import fit

    data = runtime.training_data(config) if data is None else data
    requests = TrialRequests.from_config(config)
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
            on_built=lambda model: requests.check(model_numbers(model)),
            keep={within_place(metric) for metric in requests.per_example},
            resume_from=requests.resume_from,
            save_to=requests.save_to,
        )
        measured: Mapping[str, float] = {}
        if not stopped:
            if problem := requests.keep_model(fitted, data):
                fitted.remarks["model"] = problem
            if problem := requests.keep_mistakes(fitted):
                fitted.remarks["mistakes"] = problem
            measured = measure(fitted) if measure is not None else {}
        for remark in fitted.remarks.values():
            log.warning(remark)
        kept = ({}, {}) if stopped else _kept_of(fitted, requests)
        return _result_of(fitted, data, measured, kept)
    except OutOfBounds as out:
        return TrialResult(numbers=out.numbers)
    finally:
        fitted = None
        runtime.free_models()


def _kept_of(fitted: Any, requests: TrialRequests) -> KeptOfTrial:
    """What is known of each validation example by the metrics asked for."""
    from besom.training.epochs.job import EVALUATION_BATCH_SIZE
    from besom.training.kept_examples import Examined, kept_of_trial

    history, data = fitted.history, fitted.data
    metrics = [m for m in requests.per_example if m.startswith("val_") and m in history]
    if data.validation is None or not metrics:
        return {}, {}
    examined = Examined(
        data.validation,
        fitted.rows,
        fitted.keeping,
        data.units,
        fitted.rows_by_epoch,
        fitted.correct_by_epoch,
        fitted.compiled_later,
    )
    wanted = {metric: history[metric] for metric in metrics}
    size = EVALUATION_BATCH_SIZE
    return kept_of_trial(fitted.model, examined, wanted, fitted.best_epoch - 1, size)


def _result_of(
    fitted: Any, data: Any, measured: Mapping[str, float], kept: KeptOfTrial
) -> TrialResult:
    return TrialResult(
        history=fitted.history,
        numbers={
            **model_numbers(fitted.model),
            "seconds_per_epoch": fitted.seconds_per_epoch,
            **measured,
        },
        best_epoch=fitted.best_epoch,
        stopped_early=fitted.stopped_early,
        n_validation=data.n_validation,
        correct=None if fitted.correct is None else np.packbits(fitted.correct).tobytes(),
        correct_by_epoch=fitted.correct_by_epoch,
        per_example=kept[0],
        environment={
            **runtime.environment(data),
            "engine": fitted.engine,
            "engine_reason": fitted.engine_reason,
            "kernel": fitted.kernel,
            "precision": fitted.precision,
            **({"remarks": fitted.remarks} if fitted.remarks else {}),
            **({UNEXAMINED: kept[1]} if kept[1] else {}),
        },
    )


def model_numbers(model: Any) -> dict[str, float]:
    """What a built model is known by: ``n_params``, and ``model_bytes`` of float32 weights."""
    return {
        "n_params": model.count_params(),
        "model_bytes": sum(4 * int(np.prod(w.shape)) for w in model.weights),
    }


class OutOfBounds(Exception):
    """A number known before training violates a constraint: there is no point in training.

    Args:
        numbers: what is known of the model.
    """

    def __init__(self, numbers: dict[str, float]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


@dataclass(frozen=True)
class TrialRequests:
    """What the coordinator asks of one trial; nothing where the config has no ``orders``.

    Attributes:
        constraints: number to its ``min`` and ``max``.
        resume_from, save_to: checkpoints, see ``besom.training.saving``.
        model_path: where the trained model goes, if it is better than ``better_than`` (None: in
            any case) by the monitored metric; None: nowhere.
        mistakes_path: the same of what it gets wrong, and ``mistakes_better_than``.
        per_example: metrics of which each validation example's part is wanted.
        rehearse: configs that ``prepare`` tries besides its own, by name.
    """

    constraints: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    resume_from: Path | None = None
    save_to: Path | None = None
    model_path: Path | None = None
    better_than: float | None = None
    mistakes_path: Path | None = None
    mistakes_better_than: float | None = None
    per_example: tuple[str, ...] = ()
    rehearse: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrialRequests:
        """Read the requests of a trial's config."""
        orders = config.get("orders", {})
        checkpoint, model = orders.get("checkpoint", {}), orders.get("save_model", {})
        mistakes = orders.get("mistakes", {})
        return cls(
            constraints=orders.get("constraints", {}),
            resume_from=_path(checkpoint.get("load")),
            save_to=_path(checkpoint.get("save")),
            model_path=_path(model.get("path")),
            better_than=model.get("better_than"),
            mistakes_path=_path(mistakes.get("path")),
            mistakes_better_than=mistakes.get("better_than"),
            per_example=tuple(orders.get("per_example", ())),
            rehearse=orders.get("rehearse", {}),
        )

    def check(self, numbers: dict[str, float]) -> None:
        """Refuse to train what is out of bounds already.

        Raises:
            OutOfBounds: a number is outside its limits.
        """
        for name, bounds in self.constraints.items():
            if name not in numbers:
                continue
            low, high = bounds.get("min"), bounds.get("max")
            value = numbers[name]
            if (low is not None and value < low) or (high is not None and value > high):
                raise OutOfBounds(numbers)

    def keep_model(self, fitted: Any, data: Any) -> str | None:
        """Save the trained model as ``.keras``, if it is good enough.

        Args:
            fitted: a ``besom.training.trainer.Fitted``.
            data: the ``besom.training.data.TrainingData`` it was trained on.

        Returns:
            Why it cannot be saved, for the user; None if it was saved or not asked for.
        """
        if self.model_path is None or not _is_better(fitted, self.better_than):
            return None
        problem = save_model(fitted.model, self.model_path, data)
        if problem is None:
            return None
        return f"{problem} Trials count without it. sweep.keep_models=0 turns saving off."

    def keep_mistakes(self, fitted: Any) -> str | None:
        """Write what the trained model gets wrong, if it is good enough; see ``keep_model``."""
        if self.mistakes_path is None or not _is_better(fitted, self.mistakes_better_than):
            return None
        from besom.training.epochs.job import EVALUATION_BATCH_SIZE
        from besom.training.mistakes_found import write_mistakes

        return write_mistakes(fitted, self.mistakes_path, EVALUATION_BATCH_SIZE)


def _is_better(fitted: Any, than: float | None) -> bool:
    """Whether a ``besom.training.trainer.Fitted`` is, by the monitored metric; of None: always."""
    monitor, maximize = fitted.monitor
    values = fitted.history.get(monitor)
    if not values or than is None:
        return True
    sign = 1.0 if maximize else -1.0
    return bool(sign * values[fitted.best_epoch - 1] > sign * than)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
