"""The ask → run → tell loop: keeps every worker busy, prunes, retries, and stores what happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

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
from besom.executors.drain import DrainTimeout
from besom.executors.failures import is_out_of_memory
from besom.executors.hearing import hear
from besom.executors.local.awake_clock import AwakeClock
from besom.executors.stop import Ending, Stop
from besom.seam import TrialResult
from besom.store.database import Attendant, DatabaseAway
from besom.store.optuna_private import storage_of
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.storage import SweepStudy, attend
from besom.study.artifacts import Artifacts
from besom.study.ask import Asker
from besom.study.budget import Budget
from besom.study.duplicates import Duplicates
from besom.study.early_stopping import EarlyStopping
from besom.study.outcome import verdict_on
from besom.study.plan import SweepPlan
from besom.study.running_trial import RunningTrial
from besom.study.tell import set_constraints, tell, tell_duplicate
from besom.study.watcher import Watcher
from besom.text.counting import counted

#: How often a trial is given to a fresh worker after its worker died.
RETRIES = 1
#: How often it looks up at least, so that Ctrl-C is answered at once.
TICK_S = 0.2


@dataclass
class Heard:
    """An event, and for an epoch what it was answered; None: nothing yet."""

    event: Event
    stop: bool | None = None


class Coordinator(Attendant):
    """Drives one study to its budget on one executor.

    Args:
        plan: the sweep.
        study: the Optuna study, with its sampler and pruner, open for writing.
        executor: started, its workers ready or getting ready.
        records: the trials of earlier runs; those still running are run again first, in place.
        environment: the identity of the software and data that this run's values depend on.
        watcher: told of everything.
        remarked: what has been remarked already, by what it is about.
    """

    def __init__(
        self,
        plan: SweepPlan,
        study: SweepStudy,
        executor: Executor,
        records: StudyRecord,
        environment: str,
        watcher: Watcher,
        remarked: Collection[str] = (),
    ) -> None:
        self._plan, self._study, self._executor = plan, study, executor
        self._watcher, self._environment = watcher, environment
        self._record = records
        self._trials = {trial.number: trial for trial in records.trials}
        finished = [t for t in records.trials if t.outcome is not Outcome.RUNNING]
        self._clock = AwakeClock()
        self._patience = DrainTimeout(self._clock)
        self._budget = Budget(plan.sweep, plan.objectives[0], finished, self._clock)
        self._asker = Asker(plan, study, finished)
        self._orders = Artifacts(plan, study.pruner, finished)
        self._judge = EarlyStopping(plan, study)
        self._duplicates = Duplicates(plan.sweep["reuse_duplicates"], finished)
        self._budget.n_extra = self._asker.n_continued
        self._waiting: deque[RunningTrial] = deque()
        self._running: dict[int, RunningTrial] = {}
        self._heard: deque[Heard] = deque()  # the first is being dealt with
        self._stop = Stop(self._on_stop)
        self._said = set(remarked)  # what trials' remarks were about
        self._screening_cut = False  # the rest of the time is for training the best to their end
        self._handlers: dict[type, Callable[[Any], None]] = {
            Ready: self._on_ready,
            Started: self._on_started,
            Epoch: self._on_epoch,
            Finished: self._on_finished,
            Failed: self._on_failed,
        }

    def record(self) -> StudyRecord:
        """The study as it stands."""
        trials = tuple(self._trials[number] for number in sorted(self._trials))
        was = self._record
        return StudyRecord(was.name, was.objectives, trials, was.config, was.facts)

    @property
    def n_trials(self) -> int:
        """How many trials there will have been, those that are continued after screening too."""
        return int(self._plan.sweep["n_trials"]) + self._budget.n_extra

    @property
    def stop_reason(self) -> str | None:
        """Why the sweep stopped before n_trials; None if it did not."""
        return self._stop.reason

    def interrupt(self, reason: str) -> None:
        """Stop: no new trials, running ones end with their epoch and are kept for a resume.

        Only notes that, so that a signal's handler may call it in the middle of anything.
        """
        self._stop.interrupt(reason)

    def run(self) -> Ending:
        """Run until the budget is spent, the sweep is interrupted, or it is plainly broken.

        Raises:
            BesomError: the storage cannot be written, or workers cannot be prepared.
        """
        attend(storage_of(self._study), self)
        try:
            return self._run()
        except DatabaseAway as away:
            if self._stop.ending is not Ending.INTERRUPTED:
                raise
            self._stop.reason = f"{self._stop.reason}. {str(away).rstrip('.')}"
            return self._stop.ending

    def _run(self) -> Ending:
        self._waiting.extend(self._asker.recover())
        self._check_budget()
        while True:
            self._stop.heed()
            self._feed()
            if self._nothing_to_wait_for():
                self._say_what_is_missing()
                return self._stop.ending
            self._hear(TICK_S)
            while self._heard:
                self._stop.heed()
                event = self._heard[0].event
                self._handlers[type(event)](event)
                self._heard.popleft()
                self._check_budget()
                self._feed()  # at once: who is idle need not wait for the other events
            self._watcher.idle()
            self._check_budget()

    def _hear(self, timeout_s: float) -> None:
        for event in hear(self._executor, timeout_s):
            if isinstance(event, Started):
                self._patience.started(event.trial)
            elif isinstance(event, Epoch):
                self._patience.epoch(event.trial)
            self._heard.append(Heard(event))

    def wait(self, seconds: float) -> bool:
        """While the database is away: trials go on, what they report is dealt with afterwards.

        So this is called in the midst of anything that asks the study, and must not ask it.
        """
        self._hear(seconds)
        for heard in self._heard:
            if isinstance(heard.event, Epoch) and heard.stop is None:
                self._answer(heard, heard.event, stop=False)
        self._watcher.idle()
        self._check_budget()
        self._stop.heed()
        return self._stop.ending is not Ending.INTERRUPTED

    def remark(self, text: str) -> None:
        """The database is away, or back."""
        self._watcher.remarked(text)

    def _answer(self, heard: Heard, event: Epoch, stop: bool) -> None:
        """Tell a trial to stop for what it has measured, or because the sweep stops."""
        # After its last epoch it ends by itself, whole: with its model, where that is to be kept.
        ends = event.epoch == self._running[event.trial].n_epochs
        heard.stop = stop or (self._stop.reason is not None and not ends)
        self._executor.answer(event.trial, stop=heard.stop)

    def _nothing_to_wait_for(self) -> bool:
        if self._stop.reason is None:
            return not self._running and not self._more()
        if not self._patience.exhausted(self._running):
            return False
        for trial in self._running:  # the executor's closing ends them
            self._watcher.remarked(
                f"trial {trial} is ended: it did not come to the end of its epoch. It is kept and "
                "runs again on a resume; if it hangs, bound it with sweep.trial_timeout_s."
            )
        return True

    def _more(self) -> bool:
        """Whether there is a trial to start now."""
        if self._waiting or self._may_ask():
            return True
        if not self._running and (n := self._asker.continue_best()):
            self._budget.n_extra += n
            self._watcher.extended(self.n_trials)
            return True
        return False

    def _may_ask(self) -> bool:
        n_workers, n_held = self._executor.n_workers, self._duplicates.n_held
        if n_held >= n_workers or self._budget.remaining_trials <= len(self._running) + n_held:
            return False  # (a sampler that proposes the same again and again waits for its ending)
        if not self._screening_cut:
            self._screening_cut = self._asker.time_is_up(self._budget.remaining_s, n_workers)
        return self._asker.given_wait if self._screening_cut else not self._asker.exhausted

    def _feed(self) -> None:
        """Give every idle worker a trial, as soon as it is idle: there are no batches."""
        while not self._stop.under_way and self._executor.idle and self._more():
            flight = self._waiting.popleft() if self._waiting else self._asker.ask()
            original = self._duplicates.original_of(flight)
            if original is not None:
                first = self._plan.objectives[0]
                self._finish(tell_duplicate(self._study, first, flight, original))
                self._check_budget()
            elif not self._duplicates.hold(flight):
                self._running[flight.number] = flight
                config = {**flight.config, **self._orders.of(flight)}
                self._executor.submit(flight.number, config, self._plan.sweep["trial_timeout_s"])

    def _on_ready(self, event: Ready) -> None:
        if event.replaces:
            self._watcher.remarked(f"worker {event.worker} replaced: {event.replaces}")

    def _on_started(self, event: Started) -> None:
        self._watcher.started(event.trial, event.worker)

    def _on_epoch(self, event: Epoch) -> None:
        flight, heard = self._running[event.trial], self._heard[0]
        if event.epoch > 1 and not flight.history and flight.continues is not None:
            flight.history = {k: list(v) for k, v in self._trials[flight.continues].history.items()}
        flight.hear(event.epoch, {name: float(value) for name, value in event.metrics.items()})
        stops = self._judge.stops(flight, event.epoch)
        if heard.stop is None:
            self._answer(heard, event, stops)
        flight.told, flight.interrupted = stops and bool(heard.stop), bool(heard.stop and not stops)
        self._watcher.epoch(event.trial, event.worker, event.epoch, event.metrics)

    def _on_finished(self, event: Finished) -> None:
        flight, result = self._land(event.trial), event.result
        if flight.interrupted:
            self._watcher.kept(event.trial)  # it stays running in the storage
            return
        if flight.stopped is Outcome.PRUNED and not flight.told:
            flight.stopped, flight.reason = None, ""  # it came to its end before it could be told
        numbers = {
            **result.numbers,
            "seconds": event.usage.seconds,
            "cpu_seconds": event.usage.cpu_seconds,
        }
        objectives, limits = self._plan.objectives, self._plan.sweep["constraints"]
        set_constraints(flight.trial, limits, numbers)
        verdict = verdict_on(flight, result.history, numbers, objectives, limits)
        flight.reason = verdict.reason
        self._tell(flight, verdict.outcome, event, result, values=verdict.values)
        self._pass_on(result)

    def _pass_on(self, result: TrialResult) -> None:
        """Show what a trial remarks, once: a hundred others would say the same."""
        remarks = result.environment.get("remarks")
        for about, text in remarks.items() if isinstance(remarks, Mapping) else ():
            if about not in self._said:
                self._said.add(about)
                self._watcher.remarked(str(text))

    def _land(self, trial: int) -> RunningTrial:
        self._patience.ended(trial)
        return self._running.pop(trial)

    def _on_failed(self, event: Failed) -> None:
        flight = self._land(event.trial)
        # Out of memory is the worker's as much as the trial's: a fresh one may have room.
        died = event.kind is FailureKind.WORKER_DIED or is_out_of_memory(event.reason)
        if died and flight.deaths < RETRIES:
            flight.deaths += 1
            flight.history.clear()
            flight.stopped, flight.reason = None, ""
            self._waiting.append(flight)
            self._watcher.retried(event.trial, event.reason)
            return
        flight.reason = event.reason
        set_constraints(flight.trial, self._plan.sweep["constraints"], {})
        self._tell(flight, Outcome(event.kind.value), event, TrialResult(), detail=event.detail)

    def _tell(
        self,
        flight: RunningTrial,
        outcome: Outcome,
        event: Finished | Failed,
        result: TrialResult,
        *,
        values: list[float] | None = None,
        detail: str = "",
    ) -> None:
        usage: Usage = event.usage
        record = tell(
            self._study,
            self._plan.objectives,
            flight,
            outcome,
            result=result,
            usage=usage,
            worker=event.worker,
            environment=self._environment,
            values=values,
            detail=detail,
        )
        self._finish(record)

    def _finish(self, record: TrialRecord) -> None:
        self._trials[record.number] = record
        self._budget.count(record)
        self._asker.note(record)
        self._waiting.extendleft(reversed(self._duplicates.note(record)))
        self._orders.settle(record)
        self._watcher.finished(record)

    def _check_budget(self) -> None:
        self._clock()  # so that it sees in time if this process is stopped
        if self._budget.broken:
            n_failed = self._budget.n_finished
            self._stop.begin(f"the first {counted(n_failed, 'trial')} all failed", Ending.BROKEN)
        if spent := self._budget.spent():
            self._stop.begin(spent, Ending.BUDGET)

    def _say_what_is_missing(self) -> None:
        """Of a screening that time has cut short."""
        limit, n_missing = self._plan.sweep["timeout_s"], self._asker.n_missing
        if self._screening_cut:
            reason = f"the time of {limit:g} s is spent on fewer than n_trials"
            self._stop.begin(reason, Ending.BUDGET)
        if self._stop.reason and self._budget.remaining_s <= 0 and n_missing:
            self._stop.reason += (
                f"; {n_missing} screened trials are yet to be trained to their end: give the same "
                "command again to go on"
            )

    def _on_stop(self, reason: str) -> None:
        self._patience.stopping()
        self._watcher.stopping(reason)
