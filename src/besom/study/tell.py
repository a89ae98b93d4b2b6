"""How a trial ended, and how that is stored: first what it was, then, durably, that it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from besom.executors.base import Failed, FailureKind, Finished
from besom.seam import TrialResult
from besom.store.optuna_private import as_stored, store_intermediate_value
from besom.store.paths import StudyPaths
from besom.store.predictions import EpochBits, KeptExamples, keep
from besom.store.records import Objective, Outcome, TrialRecord
from besom.store.stored_records import ATTRIBUTE, from_frozen, kept_of, to_attribute
from besom.study.objective import Limits, best_epoch, broken, excesses, objective_values, undefined
from besom.study.plan import SweepPlan
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
    """What a failure is stored as; the reasons tell more."""
    if kind is FailureKind.OUT_OF_MEMORY:
        return Outcome.ERROR
    lost = kind in (FailureKind.NODE_LOST, FailureKind.NOT_BEGUN)
    return Outcome.WORKER_DIED if lost else Outcome(kind.value)


def numbers_of(event: Finished) -> dict[str, float]:
    """Everything that is known once of what has run, its cost too."""
    cost = {"seconds": event.usage.seconds, "cpu_seconds": event.usage.cpu_seconds}
    return {**event.result.numbers, **cost}


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


#: What Optuna is told. A diverged trial is pruned, not failed: TPE learns from pruned trials, and
#: forgets failed ones. A duplicate has whatever its original has.
_STATES = {
    Outcome.COMPLETE: TrialState.COMPLETE,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.PRUNED,
    Outcome.INFEASIBLE: TrialState.PRUNED,
}


def tell(
    study: optuna.Study,
    plan: SweepPlan,
    running: RunningTrial,
    event: Finished | Failed,
    environment: str,
) -> TrialRecord:
    """Store how a trial ended, and return its record as stored.

    Args:
        study: the study it belongs to.
        plan: the sweep.
        running: the trial.
        event: how its worker says it ended.
        environment: the identity of the software and data it ran with.

    Raises:
        ConfigError: the trial has no such metric or number as an objective asks for.
    """
    objectives, limits, usage = plan.objectives, plan.sweep.constraints, event.usage
    result, numbers = TrialResult(), dict[str, float]()
    if isinstance(event, Finished):
        result, numbers = event.result, numbers_of(event)
    for name, excess in excesses(limits, numbers).items():
        running.trial.set_constraint(name, excess)
    if isinstance(event, Finished):
        end = end_of_finished(running, result.history, numbers, objectives, limits)
    else:
        end = TrialEnd(stored_outcome(event.kind), event.reason, detail=event.detail)
    history = result.history or running.history
    facts = {
        **kept_of(result),
        "history": finite_epochs(history),
        "best_epoch": result.best_epoch or best_epoch(objectives[0], history),
        "correct_by_epoch": _epochs_chosen_from(objectives, end.outcome, result),
        "per_example": _per_example(objectives, end.outcome, result, plan.paths, running.number),
        "environment": {"id": environment, **_particulars(result.environment)},
    }
    record = TrialRecord(
        number=running.number,
        outcome=end.outcome,
        params=running.params,
        reason=end.reason,
        detail=end.detail,
        config=running.config,
        seed=running.config["seed"],
        seconds=usage.seconds,
        cpu_seconds=usage.cpu_seconds,
        worker=event.worker,
        continues=running.continues,
        audited_at=running.audited_at,
        **facts,
    )
    state = _STATES.get(end.outcome, TrialState.FAIL)
    return _store(study, running.trial, record, state, end.values, plan.paths)


def tell_duplicate(
    study: optuna.Study, objective: Objective, running: RunningTrial, original: TrialRecord
) -> TrialRecord:
    """Store that a trial's config has run before: its ending is reused, nothing is trained.

    Args:
        study: the study of both.
        objective: its first one.
        running: the trial.
        original: the one that ran.
    """
    record = TrialRecord(
        number=running.number,
        outcome=Outcome.DUPLICATE,
        params=running.params,
        reason=f"same config as trial {original.number} ({original.outcome}), which is reused",
        config=running.config,
        seed=running.config["seed"],
        numbers=original.numbers,
        best_epoch=original.best_epoch,
        environment=original.environment,
        duplicate_of=original.number,
    )
    for key, value in original.constraints.items():
        running.trial.set_constraint(key, value)
    state = _STATES[original.outcome]
    measured = original.history.get(objective.metric)
    if state is TrialState.PRUNED and measured:
        # By this samplers rank what was stopped; without it, it is the worst of all.
        store_intermediate_value(running.trial, len(measured), measured[-1])
    values = list(original.values) if original.values is not None else None
    return _store(study, running.trial, record, state, values)


def _store(
    study: optuna.Study,
    trial: Trial,
    record: TrialRecord,
    state: TrialState,
    values: list[float] | None,
    paths: StudyPaths | None = None,
) -> TrialRecord:
    trial.set_user_attr(ATTRIBUTE, to_attribute(record))
    if state is TrialState.COMPLETE:
        study.tell(trial, values)
    else:
        study.tell(trial, state=state)
    return from_frozen(as_stored(trial), None if paths is None else paths.root)


def _epochs_chosen_from(
    objectives: Sequence[Objective], outcome: Outcome, result: TrialResult
) -> EpochBits | None:
    """Every epoch's predictions, where the trial's score is the best of several epochs' shares."""
    chosen = (
        outcome is Outcome.COMPLETE
        and len(objectives) == 1
        and objectives[0].epoch == "best"
        and not objectives[0].is_loss
        and len(result.history.get(objectives[0].metric, ())) > 1
    )
    return EpochBits.pack(result.correct_by_epoch) if chosen and result.correct_by_epoch else None


def _per_example(
    objectives: Sequence[Objective],
    outcome: Outcome,
    result: TrialResult,
    paths: StudyPaths,
    number: int,
) -> KeptExamples:
    """What is kept of each example by the objectives' metrics, written before the trial is told.

    A file that cannot be written costs the errors and ties, not the trial.
    """
    metrics = {o.metric: o for o in objectives if o.metric in result.per_example}
    if outcome is not Outcome.COMPLETE or not metrics:
        return KeptExamples()
    picked = [
        metric
        for metric, objective in metrics.items()
        if objective.epoch == "best" and len(result.history.get(metric, ())) > 1
    ]
    given = {metric: result.per_example[metric] for metric in metrics}
    try:
        return keep(given, paths.prediction(number), picked)
    except OSError as error:
        result.environment.setdefault("remarks", {})["predictions"] = (
            f"{paths.predictions} cannot be written: {error.strerror or error}. Trials count, but "
            "have no error (±) and no ties."
        )
        return KeptExamples()


def finite_epochs(history: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The epochs before the first one with a value that is not finite: those are measurements."""
    epochs = range(max(map(len, history.values()), default=0))
    bad = (i for i in epochs for v in history.values() if i < len(v) and not math.isfinite(v[i]))
    n_good = next(bad, None)
    return {name: [float(value) for value in values[:n_good]] for name, values in history.items()}


def _particulars(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What is particular to this trial; the rest is stored once, with the study."""
    return {k: v for k, v in environment.items() if k not in ("data", "versions", "device")}
