"""What a study optimises and within which limits, and what a trial's history and numbers are worth
by them. Pure.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from besom.config.schema import ObjectiveSchema, SweepNode
from besom.equality import is_real
from besom.errors import ConfigError, did_you_mean
from besom.store.records import Objective
from besom.text.values import given_text

#: Numbers a trial has once, as opposed to metrics it has after each epoch.
TRIAL_NUMBERS = ("n_params", "seconds_per_epoch", "model_bytes", "seconds", "cpu_seconds")


_DIRECTIONS = ("maximize", "minimize")
_EPOCHS = ("best", "last")


def objectives_of(sweep: SweepNode) -> tuple[Objective, ...]:
    """What a sweep optimises: the list ``objectives``, if it has any, else the one ``objective``.

    Raises:
        ConfigError: an objective that makes no sense, or a metric that is named twice.
    """
    named = [(f"sweep.objectives[{i}]", node) for i, node in enumerate(sweep.objectives)]
    objectives = tuple(
        _objective(path, node) for path, node in named or [("sweep.objective", sweep.objective)]
    )
    metrics = [o.metric for o in objectives]
    if len(set(metrics)) < len(metrics):
        raise ConfigError(f"sweep.objectives names a metric twice: {', '.join(metrics)}.")
    return objectives


def _objective(path: str, node: ObjectiveSchema) -> Objective:
    for key, known in (("direction", _DIRECTIONS), ("epoch", _EPOCHS)):
        value = getattr(node, key)
        if value not in known:
            raise ConfigError(
                f"{path}.{key} is {given_text(value)}." + did_you_mean(str(value), known)
            )
    return Objective(**vars(node))


def check_metric(
    objective: Objective, metrics: Sequence[str], numbers: Sequence[str], hint: str = ""
) -> None:
    """Refuse an objective that no trial will report.

    Args:
        objective: what is optimised.
        metrics, numbers: the names that trials report.
        hint: a sentence for the end of the message, on how trials declare what they report.

    Raises:
        ConfigError: lists near names.
    """
    known = [*metrics, *numbers]
    if known and objective.metric not in known:
        raise ConfigError(
            f"sweep.objective.metric is {objective.metric!r}, which no trial reports."
            + did_you_mean(objective.metric, known)
            + hint
        )


def last_value(objective: Objective, history: Mapping[str, Sequence[float]]) -> float | None:
    """The metric after the last epoch so far; None if the history does not have it."""
    values = history.get(objective.metric)
    return float(values[-1]) if values else None


def best_epoch(objective: Objective, history: Mapping[str, Sequence[float]]) -> int | None:
    """The epoch (from 1) that counts: the first best one, or the last."""
    values = history.get(objective.metric)
    if not values:
        return None
    if objective.epoch == "last":
        return len(values)
    signed = [objective.sign * value for value in values]
    return signed.index(max(signed)) + 1


def objective_values(
    objectives: Sequence[Objective],
    history: Mapping[str, Sequence[float]],
    numbers: Mapping[str, float],
) -> list[float]:
    """One value per objective.

    There is one model, so all objectives that count the best epoch share that of the first one.

    Raises:
        ConfigError: a trial has no such metric or number.
    """
    values = []
    bests = (best_epoch(o, history) for o in objectives if o.epoch == "best")
    best = next((epoch for epoch in bests if epoch is not None), None)
    for objective in objectives:
        if measured := history.get(objective.metric):
            epoch = best if objective.epoch == "best" else None
            values.append(float(measured[-1 if epoch is None else epoch - 1]))
        elif objective.metric in numbers:
            values.append(float(numbers[objective.metric]))
        else:
            check_metric(objective, list(history), list(numbers) or ["n_params"])
            raise ConfigError(f"No trial reported {objective.metric!r}: its history is empty.")
    return values


#: A number of a trial to its ``min``, its ``max``, or both.
Limits = Mapping[str, Mapping[str, float]]

#: Of a double; Python's ints go on.
_LARGEST = sys.float_info.max


def check_constraints(limits: Mapping[str, Any]) -> None:
    """Check the bounds of each constraint in ``sweep.constraints``.

    Raises:
        ConfigError: names the constraint.
    """
    for name, bounds in limits.items():
        path = f"sweep.constraints.{name}"
        if not isinstance(bounds, Mapping) or not bounds or set(bounds) - {"min", "max"}:
            raise ConfigError(
                f"{path} is {given_text(bounds)}, expected {{max: NUMBER}}, min, or both."
            )
        for key, value in bounds.items():
            if not is_real(value) or not -_LARGEST <= value <= _LARGEST:
                raise ConfigError(f"{path}.{key} is {given_text(value)}, expected a finite number.")
        if bounds.get("min", -math.inf) > bounds.get("max", math.inf):
            raise ConfigError(
                f"{path} has min {bounds['min']} above max {bounds['max']}, which no trial can "
                "meet. Give min at most max."
            )


def excesses(limits: Limits, numbers: Mapping[str, float]) -> dict[str, float]:
    """By how much each limit is exceeded, in Optuna's sense: above 0 it is broken.

    A number that is missing or NaN breaks nothing: the trial failed before it was measured.
    """
    return {
        name: _excess(bounds, float(numbers[name])) if _is_known(name, numbers) else 0.0
        for name, bounds in limits.items()
    }


def undefined(limits: Limits, numbers: Mapping[str, float]) -> list[str]:
    """Which limited numbers are NaN, in words: they neither keep nor break a limit."""
    return [f"{name} is nan" for name in limits if math.isnan(numbers.get(name, 0.0))]


def _is_known(name: str, numbers: Mapping[str, float]) -> bool:
    return name in numbers and not math.isnan(numbers[name])


def _excess(bounds: Mapping[str, float], value: float) -> float:
    over = value - float(bounds["max"]) if "max" in bounds else float("-inf")
    under = float(bounds["min"]) - value if "min" in bounds else float("-inf")
    return max(over, under)


def broken(limits: Limits, numbers: Mapping[str, float]) -> list[str]:
    """Which limits are exceeded, in words: ``n_params is 812 (max 500)``."""
    lines = []
    for name, excess in excesses(limits, numbers).items():
        if excess > 0:
            bounds = limits[name]
            said = ", ".join(f"{key} {bounds[key]:g}" for key in ("min", "max") if key in bounds)
            lines.append(f"{name} is {numbers[name]:g} ({said})")
    return lines
