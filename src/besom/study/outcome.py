"""How a trial has ended whose function returned: complete, stopped, out of limits or undefined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from besom.store.records import Objective, Outcome
from besom.study.constraints import Limits, broken, undefined
from besom.study.objective import objective_values
from besom.study.running_trial import RunningTrial


@dataclass(frozen=True)
class TrialEnd:
    """What a trial came to.

    Attributes:
        outcome: how it ended.
        reason: one line for the leaderboard; empty where nothing needs saying.
        values: one an objective, all finite; None unless it is complete.
    """

    outcome: Outcome
    reason: str
    values: list[float] | None = None


def verdict_on(
    flight: RunningTrial,
    history: Mapping[str, Sequence[float]],
    numbers: Mapping[str, float],
    objectives: Sequence[Objective],
    limits: Limits,
) -> TrialEnd:
    """Judge a trial by what it measured.

    Args:
        flight: the trial; it says whether and why it was stopped.
        history: metric name to its value after each epoch.
        numbers: everything else that was measured once.
        objectives: what the study optimises.
        limits: ``sweep.constraints``.

    Raises:
        ConfigError: the trial has no such metric or number as an objective asks for.
    """
    if unknown := undefined(limits, numbers):
        return TrialEnd(Outcome.DIVERGED, "; ".join(unknown))
    if exceeded := broken(limits, numbers):
        return TrialEnd(Outcome.INFEASIBLE, "; ".join(exceeded))
    if flight.stopped is not None:
        return TrialEnd(flight.stopped, flight.reason)
    values = objective_values(objectives, history, numbers)
    pairs = zip(objectives, values, strict=True)
    if bad := [f"{o.metric} is {value}" for o, value in pairs if not math.isfinite(value)]:
        return TrialEnd(Outcome.DIVERGED, "; ".join(bad))
    return TrialEnd(Outcome.COMPLETE, flight.reason, values)
