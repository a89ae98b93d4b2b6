"""From a trial's history and numbers to the values of a study's objectives. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from besom.errors import ConfigError, did_you_mean
from besom.store.records import Objective

#: Numbers a trial has once, as opposed to metrics it has after each epoch.
TRIAL_NUMBERS = ("n_params", "seconds_per_epoch", "model_bytes", "seconds", "cpu_seconds")


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
