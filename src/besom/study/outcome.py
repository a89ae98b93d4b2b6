"""How a trial has ended: complete, stopped, out of limits, without a value, or failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from besom.executors.base import Failed, FailureKind
from besom.store.records import Objective, Outcome
from besom.study.constraints import Limits, broken, undefined
from besom.study.objective import objective_values
from besom.study.running_trial import RunningTrial


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended.

    Attributes:
        outcome: as it is stored.
        reason: one line for the leaderboard; empty where nothing needs saying.
        values: one per objective, all finite; None unless it is complete.
        detail: everything known about a failure.
    """

    outcome: Outcome
    reason: str
    values: list[float] | None = None
    detail: str = ""


def stored_outcome(kind: FailureKind) -> Outcome:
    """What a failure is stored as. Out of memory is an error whose reason says so."""
    return Outcome.ERROR if kind is FailureKind.OUT_OF_MEMORY else Outcome(kind.value)


def end_of_failed(event: Failed) -> TrialEnd:
    """How a trial ended that has no result."""
    return TrialEnd(stored_outcome(event.kind), event.reason, detail=event.detail)


def end_of_finished(
    running: RunningTrial,
    history: Mapping[str, Sequence[float]],
    numbers: Mapping[str, float],
    objectives: Sequence[Objective],
    limits: Limits,
) -> TrialEnd:
    """How a trial ended whose function returned.

    Args:
        running: the trial; it says whether and why it was stopped.
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
    if running.stopped is not None:
        return TrialEnd(running.stopped, running.reason)
    values = objective_values(objectives, history, numbers)
    pairs = zip(objectives, values, strict=True)
    if bad := [f"{o.metric} is {value}" for o, value in pairs if not math.isfinite(value)]:
        return TrialEnd(Outcome.DIVERGED, "; ".join(bad))
    return TrialEnd(Outcome.COMPLETE, running.reason, values)
