"""Synthetic studies that look like real ones: what tests of reporting read instead of training.

``make_study`` plays a sweep over an imagined network: a learning rate with a best place, lists of
sampled length, a parameter that only one optimizer has, pruning at the median, a few failures.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from besom.store.records import Objective, Origin, Outcome, StudyRecord, TrialRecord

VAL_ACCURACY = Objective("val_accuracy", "maximize")
VAL_LOSS = Objective("val_loss", "minimize", "last")
N_PARAMS = Objective("n_params", "minimize")

ACTIVATIONS = ("relu", "tanh", "gelu", "silu")
SPACE: dict[str, BaseDistribution] = {
    "model.hidden_units.length": IntDistribution(1, 4),
    **{f"model.hidden_units.{i}": IntDistribution(32, 1024, log=True) for i in range(4)},
    "model.activation": CategoricalDistribution(ACTIVATIONS),
    "model.dropout": FloatDistribution(0.0, 0.5),
    "optimizer": CategoricalDistribution(("adam", "sgd")),
    "optimizer.learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "optimizer.momentum": FloatDistribution(0.0, 0.99),
}
BASE_PARAMS: dict[str, Any] = {
    "model.hidden_units": [512, 256],
    "model.activation": "relu",
    "model.dropout": 0.2,
    "optimizer": "adam",
    "optimizer.learning_rate": 1e-3,
}
_REASONS = {
    Outcome.DIVERGED: "val_loss is nan at epoch 3",
    Outcome.ERROR: "ValueError: the model has no layers",
    Outcome.WORKER_DIED: "the worker was killed (signal 9), probably out of memory",
    Outcome.TIMEOUT: "ran longer than 60 s",
    Outcome.PRUNED: "stopped at epoch 3: below the median",
}


def make_study(
    n_trials: int = 60,
    *,
    name: str = "mnist_mlp",
    seed: int = 0,
    objectives: Sequence[Objective] = (VAL_ACCURACY,),
    n_epochs: int = 10,
    pruned: float = 0.3,
    failed: float = 0.05,
    baseline: bool = True,
) -> StudyRecord:
    """A finished study of ``n_trials``.

    Args:
        n_trials: trials in all; trial 0 is the base config if ``baseline``.
        name: the study's name.
        seed: equal seeds give equal studies.
        objectives: history metrics (``val_accuracy``, ``val_loss``) or ``n_params``.
        n_epochs: epochs of a complete trial.
        pruned, failed: shares of the trials after the first few, each from 0 to 1.
        baseline: whether trial 0 is the base config.
    """
    random = np.random.default_rng(seed)
    trials: list[TrialRecord] = []
    for number in range(n_trials):
        base = baseline and number == 0
        # Later trials look closer to the good region, as a model-based sampler's do.
        params = dict(BASE_PARAMS) if base else sample_params(random, number / max(n_trials, 1))
        outcome = _outcome(random, number, pruned, failed)
        trials.append(
            make_trial(
                number,
                params,
                outcome,
                objectives=objectives,
                n_epochs=n_epochs,
                random=random,
                baseline=base,
            )
        )
    return StudyRecord(name=name, objectives=tuple(objectives), trials=tuple(trials))


def make_trial(
    number: int,
    params: dict[str, Any],
    outcome: Outcome = Outcome.COMPLETE,
    *,
    objectives: Sequence[Objective] = (VAL_ACCURACY,),
    n_epochs: int = 10,
    random: np.random.Generator | None = None,
    baseline: bool = False,
) -> TrialRecord:
    """One trial of ``params`` (see ``BASE_PARAMS``), its history and values made up from them."""
    random = random or np.random.default_rng(number)
    full = n_epochs
    if outcome is Outcome.PRUNED or outcome.failed:
        full = int(random.integers(1, max(n_epochs // 2, 2)))
    history = _history(params, n_epochs, random)
    if outcome is Outcome.PRUNED:
        history["val_accuracy"] = [v - 0.004 for v in history["val_accuracy"]]
    history = {metric: values[:full] for metric, values in history.items()}
    best = int(np.argmax(history["val_accuracy"])) + 1
    n_params = _n_params(params["model.hidden_units"])
    values = None
    if outcome in (Outcome.COMPLETE, Outcome.DUPLICATE):
        values = tuple(_value(o, history, n_params) for o in objectives)
    raw = _raw(params)
    seconds = 2.0 + full * (0.5 + n_params / 4e5)
    return TrialRecord(
        number=number,
        outcome=outcome,
        values=values,
        params=params,
        reason=_REASONS.get(outcome, ""),
        config={"model": {"dropout": params["model.dropout"]}, "seed": 0},
        history=history,
        best_epoch=best if outcome is Outcome.COMPLETE else None,
        numbers={"n_params": float(n_params), "seconds_per_epoch": seconds / full},
        seconds=seconds,
        cpu_seconds=1.7 * seconds,
        started=1.7e9 + 30.0 * number,
        finished=1.7e9 + 30.0 * number + seconds,
        worker=number % 2,
        baseline=baseline,
        origin=Origin.BASELINE if baseline else Origin.SAMPLED,
        distributions={name: SPACE[name] for name in raw},
        raw_params=raw,
    )


def sample_params(random: np.random.Generator, progress: float = 0.0) -> dict[str, Any]:
    """Params from the space; the nearer ``progress`` is to 1, the nearer to where it is good."""
    narrow = 1 - 0.75 * progress
    length = int(random.integers(1, 5))
    optimizer = "adam" if random.random() < 0.55 + 0.35 * progress else "sgd"
    centre, low, high = (-3.0, -4.0, -1.0) if optimizer == "adam" else (-1.5, -4.0, -1.0)
    exponent = float(np.clip(random.normal(centre, 0.9 * narrow), low, high))
    params: dict[str, Any] = {
        "model.hidden_units": [round(2 ** random.uniform(5, 10)) for _ in range(length)],
        "model.activation": str(random.choice(ACTIVATIONS, p=[0.25, 0.2, 0.3, 0.25])),
        "model.dropout": float(np.clip(random.normal(0.2, 0.2 * narrow), 0.0, 0.5)),
        "optimizer": optimizer,
        "optimizer.learning_rate": 10**exponent,
    }
    if optimizer == "sgd":
        params["optimizer.momentum"] = float(random.uniform(0.0, 0.99))
    return params


def _outcome(random: np.random.Generator, number: int, pruned: float, failed: float) -> Outcome:
    draw = random.random()
    if number and draw < failed:
        kinds = (Outcome.DIVERGED, Outcome.ERROR, Outcome.WORKER_DIED, Outcome.TIMEOUT)
        return kinds[int(random.choice(4, p=[0.55, 0.15, 0.15, 0.15]))]
    if number >= 5 and draw < failed + pruned:
        return Outcome.PRUNED
    return Outcome.COMPLETE


def _history(
    params: dict[str, Any], n_epochs: int, random: np.random.Generator
) -> dict[str, list[float]]:
    """An accuracy that climbs to what the params deserve, and a loss that goes with it."""
    exponent = math.log10(params["optimizer.learning_rate"])
    off = exponent - (-3.0 if params["optimizer"] == "adam" else -1.2)
    units = sum(params["model.hidden_units"])
    miss = 0.017 + 0.012 * off**2 + (0.05 * (off - 1) ** 2 if off > 1 else 0.0)
    miss += 0.03 * (params["model.dropout"] - 0.2) ** 2 + 0.003 * abs(math.log10(units / 900))
    miss += {"relu": 0.0, "tanh": 0.003, "gelu": -0.0008, "silu": 0.0005}[
        params["model.activation"]
    ]
    miss *= float(np.exp(random.normal(0, 0.06)))
    top = 1 - min(miss, 0.88)
    pace = 0.9 + 0.4 * abs(off)
    epochs = np.arange(1, n_epochs + 1)
    accuracy = top - 0.11 * np.exp(-epochs / pace) + random.normal(0, 0.0009, n_epochs)
    accuracy = np.clip(accuracy, 0.05, 0.9995)
    training = np.clip(top + 0.012 - 0.16 * np.exp(-epochs / pace), 0.05, 0.9999)
    loss = 3.3 * (1 - accuracy) * (1 + 0.015 * np.maximum(epochs - 6, 0))
    return {
        "loss": (3.3 * (1 - training)).tolist(),
        "accuracy": training.tolist(),
        "val_loss": loss.tolist(),
        "val_accuracy": accuracy.tolist(),
    }


def _n_params(units: Sequence[int]) -> int:
    sizes = [784, *units, 10]
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def _value(objective: Objective, history: dict[str, list[float]], n_params: int) -> float:
    if objective.metric == "n_params":
        return float(n_params)
    values = history[objective.metric]
    if objective.epoch == "last":
        return values[-1]
    return max(values) if objective.sign > 0 else min(values)


def _raw(params: dict[str, Any]) -> dict[str, Any]:
    """Optuna's side of ``params``: lists spread out."""
    raw: dict[str, Any] = {}
    for path, value in params.items():
        if isinstance(value, list):
            raw[f"{path}.length"] = len(value)
            raw |= {f"{path}.{i}": v for i, v in enumerate(value)}
        else:
            raw[path] = value
    return raw
