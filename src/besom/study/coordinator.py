"""The ask → run → tell loop: keeps every worker busy, prunes, retries, and stores what happens."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from besom.executors.base import (
    Epoch,
    Event,
    Executor,
    Failed,
    FailureKind,
    Finished,
    Ready,
    Started,
    Usage,
)
from besom.records import (
    ATTRIBUTE,
    BASELINE,
    Outcome,
    StudyRecord,
    TrialRecord,
    from_frozen,
    to_attribute,
)
from besom.seam import TrialConfig, TrialResult
from besom.study.budget import Budget
from besom.study.objective import best_epoch, last_value, objective_values
from besom.study.plan import SweepPlan
from besom.study.strategy import mix_seed
from besom.study.watcher import Watcher

#: How often a trial is given to a fresh worker after its worker died.
RETRIES = 1
TICK_S = 0.5


class Ending(StrEnum):
    """How a sweep ended."""

    DONE = "done"
    BUDGET = "budget"
    INTERRUPTED = "interrupted"
    BROKEN = "broken"


@dataclass
class InFlight:
    """A trial between ask and tell."""

    trial: Trial
    params: dict[str, Any]
    config: TrialConfig
    history: dict[str, list[float]] = field(default_factory=dict)
    deaths: int = 0
    stopped: Outcome | None = None
    reason: str = ""
    interrupted: bool = False


class Coordinator:
    """Drives one study to its budget on one executor.

    Args:
        plan: the sweep.
        study: the Optuna study, with its sampler and pruner, open for writing.
        executor: started, its workers ready or getting ready.
        records: the trials of earlier runs; those still running are run again first, in place.
        environment: the identity of the software and data that this run's values depend on.
        watcher: told of everything.
    """

    def __init__(
        self,
        plan: SweepPlan,
        study: optuna.Study,
        executor: Executor,
        records: StudyRecord,
        environment: str,
        watcher: Watcher,
    ) -> None:
        self._plan, self._study, self._executor = plan, study, executor
        self._watcher, self._environment = watcher, environment
        self._record = records
        self._trials = {trial.number: trial for trial in records.trials}
        self._budget = Budget(
            plan.sweep,
            plan.objectives[0],
            [t for t in records.trials if t.outcome is not Outcome.RUNNING],
        )
        self._waiting: deque[InFlight] = deque()
        self._running: dict[int, InFlight] = {}
        self._stop_reason: str | None = None
        self._ending = Ending.DONE
        self._prunes = len(plan.objectives) == 1 and not isinstance(
            study.pruner, optuna.pruners.NopPruner
        )
        self._handlers: dict[type, Callable[[Any], None]] = {
            Ready: lambda _: None,
            Started: self._on_started,
            Epoch: self._on_epoch,
            Finished: self._on_finished,
            Failed: self._on_failed,
        }

    def record(self) -> StudyRecord:
        """The study as it stands."""
        trials = tuple(self._trials[number] for number in sorted(self._trials))
        return StudyRecord(
            self._record.name,
            self._record.objectives,
            trials,
            self._record.config,
            self._record.facts,
        )

    def interrupt(self, reason: str = "interrupted") -> None:
        """Stop: no new trials, running ones end with their epoch and are kept for a resume."""
        self._stop(reason, Ending.INTERRUPTED)

    def run(self) -> Ending:
        """Run until the budget is spent, the sweep is interrupted, or it is plainly broken.

        Raises:
            BesomError: the storage cannot be written, or workers cannot be prepared.
        """
        self._recover()
        while True:
            self._feed()
            if not self._running and (self._stop_reason or not self._more()):
                return self._ending
            for event in self._executor.events(timeout_s=TICK_S):
                self._handlers[type(event)](event)
            self._watcher.idle()
            self._check_budget()

    def _more(self) -> bool:
        return bool(self._waiting) or self._budget.remaining_trials > len(self._running)

    def _feed(self) -> None:
        """Give every idle worker a trial, as soon as it is idle: there are no batches."""
        while self._stop_reason is None and self._executor.idle and self._more():
            flight = self._waiting.popleft() if self._waiting else self._ask()
            number = flight.trial.number
            self._running[number] = flight
            self._executor.submit(number, flight.config, self._plan.sweep["trial_timeout_s"])

    def _ask(self) -> InFlight:
        return self._prepare(self._study.ask())

    def _recover(self) -> None:
        """Trials that were running when the last coordinator died run again, in place."""
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._waiting.append(self._prepare(Trial(self._study, frozen._trial_id)))

    def _prepare(self, trial: Trial) -> InFlight:
        seed = int(self._plan.config["seed"])
        if self._plan.sweep["vary_seed"] and trial.number:
            seed = mix_seed(seed, trial.number)
        if trial.user_attrs.get(BASELINE):
            if trial.storage.get_trial(trial._trial_id).system_attrs.get("fixed_params"):
                self._plan.space.suggest(trial)  # the sampler learns from it where it can
            return InFlight(trial, self._plan.baseline_params(), {**self._plan.base, "seed": seed})
        sample = self._plan.space.suggest(trial)
        return InFlight(trial, sample.params, self._plan.trial_config(sample, seed))

    def _on_started(self, event: Started) -> None:
        self._watcher.started(event.trial, event.worker)

    def _on_epoch(self, event: Epoch) -> None:
        flight = self._running[event.trial]
        for name, value in event.metrics.items():
            flight.history.setdefault(name, []).append(float(value))
        self._executor.answer(event.trial, stop=self._judge(flight, event))
        self._watcher.epoch(event.trial, event.worker, event.epoch, event.metrics)

    def _judge(self, flight: InFlight, event: Epoch) -> bool:
        """Whether the trial stops after this epoch."""
        objective = self._plan.objectives[0]
        value = last_value(objective, flight.history)
        if value is not None and not math.isfinite(value):
            flight.stopped = Outcome.DIVERGED
            flight.reason = f"{objective.metric} is {value} at epoch {event.epoch}"
            return True
        if value is not None and self._prunes:
            trial = flight.trial
            trial.storage.set_trial_intermediate_value(trial._trial_id, event.epoch, value)
            if trial.should_prune():
                flight.stopped = Outcome.PRUNED
                flight.reason = f"pruned at epoch {event.epoch}: {objective.metric} {value:.4g}"
                return True
        flight.interrupted = self._stop_reason is not None
        return flight.interrupted

    def _on_finished(self, event: Finished) -> None:
        flight = self._running.pop(event.trial)
        if flight.interrupted and event.result.epochs < flight.config["trainer"].get("epochs", 0):
            return  # left as running in the storage: a resume runs it again
        usage, result = event.usage, event.result
        if flight.stopped is Outcome.DIVERGED:
            self._tell(flight, Outcome.DIVERGED, event.worker, usage, result)
        elif flight.stopped is Outcome.PRUNED:
            self._tell(flight, Outcome.PRUNED, event.worker, usage, result)
        else:
            self._tell_complete(flight, event)

    def _tell_complete(self, flight: InFlight, event: Finished) -> None:
        result = event.result
        numbers = {
            **result.numbers,
            "seconds": event.usage.seconds,
            "cpu_seconds": event.usage.cpu_seconds,
        }
        values = objective_values(self._plan.objectives, result.history, numbers)
        bad = [
            f"{objective.metric} is {value}"
            for objective, value in zip(self._plan.objectives, values, strict=True)
            if not math.isfinite(value)
        ]
        if bad:
            flight.reason = "; ".join(bad)
            self._tell(flight, Outcome.DIVERGED, event.worker, event.usage, result)
        else:
            self._tell(flight, Outcome.COMPLETE, event.worker, event.usage, result, values)

    def _on_failed(self, event: Failed) -> None:
        flight = self._running.pop(event.trial)
        if event.kind is FailureKind.WORKER_DIED and flight.deaths < RETRIES:
            flight.deaths += 1
            flight.history.clear()
            self._waiting.append(flight)
            self._watcher.retried(event.trial, event.reason)
            return
        flight.reason = event.reason
        outcome = Outcome(event.kind.value)
        result = TrialResult(history=flight.history)
        self._tell(flight, outcome, event.worker, event.usage, result, detail=event.detail)

    def _tell(
        self,
        flight: InFlight,
        outcome: Outcome,
        worker: int,
        usage: Usage,
        result: TrialResult,
        values: list[float] | None = None,
        detail: str = "",
    ) -> None:
        """Store how the trial ended: first what it was, then, in one durable step, that it ended.

        A diverged trial is told as pruned: TPE learns from those, and forgets failed ones.
        """
        objective = self._plan.objectives[0]
        record = TrialRecord(
            number=flight.trial.number,
            outcome=outcome,
            params=flight.params,
            reason=flight.reason,
            detail=detail,
            config=flight.config,
            seed=flight.config["seed"],
            history=result.history or flight.history,
            best_epoch=result.best_epoch or best_epoch(objective, result.history),
            numbers=result.numbers,
            seconds=usage.seconds,
            cpu_seconds=usage.cpu_seconds,
            worker=worker,
            n_validation=result.n_validation,
            correct=result.correct,
            environment={"id": self._environment, **result.environment},
        )
        trial = flight.trial
        trial.set_user_attr(ATTRIBUTE, to_attribute(record))
        if outcome is Outcome.COMPLETE:
            self._study.tell(trial, values)
        elif outcome in (Outcome.PRUNED, Outcome.DIVERGED):
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, state=TrialState.FAIL)
        stored = from_frozen(trial.storage.get_trial(trial._trial_id))
        self._trials[stored.number] = stored
        self._budget.count(stored)
        self._watcher.finished(stored)

    def _check_budget(self) -> None:
        if self._stop_reason is None and self._budget.broken:
            self._stop(f"the first {self._budget.n_finished} trials all failed", Ending.BROKEN)
        if self._stop_reason is None and (spent := self._budget.spent()):
            self._stop(spent, Ending.BUDGET)

    def _stop(self, reason: str, ending: Ending) -> None:
        if self._stop_reason is None:
            self._stop_reason, self._ending = reason, ending
            self._watcher.stopping(reason)

    @property
    def stop_reason(self) -> str | None:
        """Why the sweep stopped before n_trials; None if it did not."""
        return self._stop_reason
