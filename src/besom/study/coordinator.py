"""Asks a study for trials, has them run, and tells the study how they ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace

from besom.executors.base import Epoch, Executor, Failed, Finished, Started
from besom.executors.run_loop import TICK_S, Held, RunLoop, TrialSource, TrialTask
from besom.executors.stop import Ending
from besom.executors.suspend_clock import SuspendAwareClock
from besom.seam import TrialResult
from besom.store.optuna_private import storage_of
from besom.store.outages import DatabaseAway, OutageHandler
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.run_files import RunFiles
from besom.store.storage import SweepStudy, handle_outages
from besom.study.artifacts import Artifacts
from besom.study.ask_ahead import POLL_S
from besom.study.budget import Budget
from besom.study.plan import SweepPlan
from besom.study.running_trial import EarlyStopping
from besom.study.supply import TrialSupply
from besom.study.tell import tell, tell_duplicate
from besom.study.trial_runs import TrialRuns
from besom.study.watcher import Watcher
from besom.text.counting import counted


class Coordinator(OutageHandler, TrialSource):
    """Drives one study to its budget on one executor; ``run_sweep`` makes it.

    Example:
        >>> import tempfile
        >>> from besom.study import make_plan, run_sweep
        >>> function = "sweep.trial_function=besom.executors.example.bowl"
        >>> space = "sweep.space={model.dropout: {low: 0.0, high: 0.5}}"
        >>> words = [function, space, "sweep.folds=null", "sweep.n_trials=3"]
        >>> plan = make_plan("quickstart", words, results_dir=tempfile.mkdtemp())
        >>> [trial.number for trial in run_sweep(plan).study.complete]
        [0, 1, 2]

    Args:
        plan: the sweep.
        study: the Optuna study, with its sampler and pruner, open for writing.
        executor: started, its workers ready or getting ready.
        records: the trials of earlier runs; those still running are run again first, in place.
        environment: the identity of the software and data that this run's values depend on.
        watcher: told of everything.
        remarked: what has been remarked already, by what it is about.
        reserved_s: so many seconds of the sweep's time limit are not the search's.
        held: the study, which may be lost to another process.
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
        reserved_s: float = 0.0,
        held: Held | None = None,
    ) -> None:
        self._plan, self._study, self._executor = plan, study, executor
        study.told_here = True
        self._watcher, self._environment = watcher, environment
        self._record = records
        self._trials = {trial.number: trial for trial in records.trials}
        finished = [t for t in records.trials if t.outcome is not Outcome.RUNNING]
        self._clock = SuspendAwareClock()
        self._budget = Budget(plan.sweep, plan.objectives[0], finished, self._clock, reserved_s)
        self._supply = TrialSupply(plan, study, finished, self._budget, lambda: executor.n_workers)
        self._artifacts = Artifacts(plan, study.pruner, finished)
        self._early_stopping = EarlyStopping(plan, study)
        self._is_away = False  # the database, so that nothing may be asked of it
        self._remarks: deque[str] = deque()  # of the sampler's thread
        self._running: dict[int, TrialRuns] = {}  # until they are told
        self._run_files = RunFiles(plan.paths.runs)
        self._loop = RunLoop(executor, self, plan.sweep.trial_timeout_s, self._clock, held)
        self._stop = self._loop.stop
        self._remarked = set(remarked)  # what trials' remarks were about

    def record(self) -> StudyRecord:
        """The study as it stands."""
        trials = tuple(self._trials[number] for number in sorted(self._trials))
        was = self._record
        return replace(was, trials=trials)

    @property
    def n_trials(self) -> int:
        """How many trials there will have been, those that are continued after screening too."""
        return (self._record.n_asked or self._plan.sweep.n_trials) + self._budget.n_extra

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
        handle_outages(storage_of(self._study), self)
        try:
            self._run_files.forget_all_but(self._supply.recover())
            self._check_budget()
            self._loop.run()
            self._mention_missing_trials()
        except DatabaseAway as away:
            if self._stop.ending is not Ending.INTERRUPTED:
                raise
            self._stop.reason = f"{self._stop.reason}. {str(away).rstrip('.')}"
        finally:
            self._supply.ahead.close()
        return self._stop.ending

    # What the database asks while it is away

    def wait(self, seconds: float) -> bool:
        """While the database is away: trials go on, what they report is dealt with afterwards.

        So this is called in the midst of anything that asks the study, and must not ask it.
        """
        if self._supply.ahead.in_its_thread:  # the loop goes on, or waits here itself
            time.sleep(seconds)
            return not (self._supply.ahead.closing or self._stop.ending is Ending.INTERRUPTED)
        self._is_away = True
        try:
            return self._loop.wait(seconds)
        finally:
            self._is_away = False

    def remark(self, text: str) -> None:
        """The database is away, or back."""
        if self._supply.ahead.in_its_thread:
            self._remarks.append(text)
        else:
            self._watcher.remarked(text)

    # What the loop asks

    def has_next(self) -> bool:
        """Whether there is a run to start now."""
        self._ask_ahead(max(self._executor.idle, 1))
        if self._to_go_on() is not None or self._may_begin():
            return True
        if not (self._running or self.is_asking) and self._supply.continue_best():
            self._watcher.extended(self.n_trials)
            return True
        return False

    def _to_go_on(self) -> TrialRuns | None:
        """The trial whose next run is due.

        A trial's runs go one after the other. A worker helps with those of a trial that runs
        elsewhere only where it cannot have a trial of its own.
        """
        unfinished = [trial for trial in self._running.values() if trial.has_next]
        trial = next((trial for trial in unfinished if trial.idle), None)
        if trial or not unfinished or self._each_has_one or self._supply.again:
            return trial
        if self._supply.may_ask(len(self._running)):
            return trial
        return unfinished[0]

    @property
    def _each_has_one(self) -> bool:
        """Whether there is a trial for each worker: one that looks idle has ended a run just now.

        The end of that run is yet to be handled, and then its trial goes on.
        """
        return len(self._plan.runs) > 1 and len(self._running) >= self._executor.n_workers

    @property
    def is_asking(self) -> bool:
        """Whether the sampler's thread is asking for a trial."""
        return self._supply.ahead.under_way

    @property
    def tick_s(self) -> float:
        """How long to wait for events at most."""
        return POLL_S if self.is_asking else TICK_S

    def _ask_ahead(self, n_idle: int) -> None:
        if not self._stop.under_way:
            self._supply.ask_ahead(n_idle, len(self._running))

    def _may_begin(self) -> bool:
        return not self._each_has_one and self._supply.ready(len(self._running))

    def next_trial(self) -> TrialTask | None:
        """The run to start now; None if none is needed, as its trial's config has run already."""
        if (trial := self._to_go_on() or self._begin_trial()) is None:
            return None
        started = trial.start_next()
        config = {**started.run.config(started.config), **self._artifacts.of(started)}
        task = trial.number * len(self._plan.runs) + started.run.index
        return TrialTask(task, config, started.n_epochs)

    def _begin_trial(self) -> TrialRuns | None:
        """Ask for a trial, unless one waits; None if it needs no run."""
        running = self._supply.take()
        original = self._supply.duplicates.original_of(running)
        if original is not None:
            first = self._plan.objectives[0]
            self._store(tell_duplicate(self._study, first, running, original))
            return None
        if self._supply.duplicates.hold(running):
            return None
        trial = TrialRuns(self._plan, running, self._early_stopping, self._run_files)
        self._running[running.number] = trial
        if trial.over:  # its last run ended just before an earlier coordinator died
            self._tell(trial)
            return None
        return trial

    def _of(self, task: int) -> tuple[TrialRuns, int]:
        """The trial of a task, and the index of its run."""
        number, index = divmod(task, len(self._plan.runs))
        return self._running[number], index

    def stops_after(self, event: Epoch) -> bool:
        """Whether the run's trial has diverged, is pruned, or has ended in another run."""
        trial, index = self._of(event.trial)
        continues = trial.running.continues
        before = {} if continues is None else self._trials[continues].history
        return trial.stops_after(index, event, before)

    def on_ended(self, event: Finished | Failed, was_stopped: bool) -> None:
        """Take note of how a run ended, and tell the study if that was its trial's last."""
        trial, index = self._of(event.trial)
        trial.end(index, event, was_stopped)
        self._watcher.run_ended(trial.number, event.worker)
        if trial.over:
            self._tell(trial)
        elif isinstance(event, Finished):
            self._pass_on_remarks(event.result)
            self._leave_if_stopping(trial)

    def _tell(self, trial: TrialRuns) -> None:
        """Tell the study how a trial ended."""
        self._running.pop(trial.number, None)
        event = trial.ending()
        self._store(tell(self._study, self._plan, trial.running, event, self._environment))
        self._run_files.forget(trial.number)
        if isinstance(event, Finished):
            self._pass_on_remarks(event.result)

    def _leave_if_stopping(self, trial: TrialRuns) -> None:
        """Where the sweep stops between two runs of a trial, it stays running in the storage."""
        if trial.idle and self._stop.under_way and trial.number in self._running:
            del self._running[trial.number]
            self._watcher.kept(trial.number)

    def _store(self, record: TrialRecord) -> None:
        """Take note of a trial that has been told to the study."""
        self._trials[record.number] = record
        self._budget.count(record)
        self._supply.note(record)
        if problem := self._artifacts.settle(record):
            self._remark("mistakes", problem)
        self._watcher.finished(record)
        self._check_budget()

    def _pass_on_remarks(self, result: TrialResult) -> None:
        """Show what a trial remarks, once: a hundred others would say the same."""
        remarks = result.environment.get("remarks")
        for about, text in remarks.items() if isinstance(remarks, Mapping) else ():
            self._remark(about, str(text))

    def _remark(self, about: str, text: str) -> None:
        if about not in self._remarked:
            self._remarked.add(about)
            self._watcher.remarked(text)

    def on_started(self, event: Started) -> None:
        """A worker began a run."""
        trial, index = self._of(event.trial)
        self._watcher.started(trial.number, event.worker)
        if event.node:
            self._watcher.placed(event.worker, event.node)
        if (n_runs := len(self._plan.runs)) > 1:
            self._watcher.run_started(trial.number, event.worker, index + 1, n_runs)

    def on_epoch(self, event: Epoch) -> None:
        """An epoch ended, and its worker has been answered."""
        trial, _ = self._of(event.trial)
        self._watcher.epoch(trial.number, event.worker, event.epoch, event.metrics)

    def on_retry(self, trial: int, reason: str) -> None:
        """A run will be run again, from its beginning."""
        of, index = self._of(trial)
        of.start_over(index)
        self._watcher.retried(of.number, reason)

    def on_interrupted(self, trial: int) -> None:
        """A run was stopped with the sweep: its trial stays running in the storage."""
        of, index = self._of(trial)
        of.leave(index)
        if of.over:
            self._tell(of)
        else:
            self._leave_if_stopping(of)

    def on_abandoned(self, trial: int) -> None:
        """A run hangs while the sweep stops; closing the executor ends it."""
        number = self._of(trial)[0].number
        self._watcher.remarked(
            f"trial {number} is killed: it did not reach the end of its epoch. A resume runs it "
            "again. If it hangs, limit its time with sweep.trial_timeout_s."
        )

    def on_remark(self, text: str) -> None:
        """The executor has something to tell."""
        self._watcher.remarked(text)

    def on_stopping(self, reason: str) -> None:
        """No new trials."""
        self._watcher.stopping(reason)
        for trial in list(self._running.values()):
            self._leave_if_stopping(trial)

    def on_tick(self) -> None:
        """Look at the clock."""
        self._watcher.idle()
        while self._remarks:
            self._watcher.remarked(self._remarks.popleft())
        self._check_budget()
        if not self._is_away:
            self._ask_ahead(self._executor.idle)

    def _check_budget(self) -> None:
        self._clock()  # so that it sees in time if this process is suspended
        if self._budget.broken:
            n_failed = self._budget.n_finished
            self._stop.begin(f"the first {counted(n_failed, 'trial')} all failed", Ending.BROKEN)
        if spent := self._budget.spent():
            self._stop.begin(spent, Ending.BUDGET)

    def _mention_missing_trials(self) -> None:
        """Say what is missing of a screening that time has cut short."""
        limit, n_missing = self._plan.sweep.timeout_s, self._supply.n_missing
        if self._supply.screening_cut:
            reason = f"the time limit of {limit:g} s is reached before n_trials trials"
            self._stop.begin(reason, Ending.BUDGET)
        if self._stop.reason and self._budget.remaining_s <= 0 and n_missing:
            self._stop.reason += (
                f"; {n_missing} screened trials are yet to be trained to their end: give the same "
                "command again to go on"
            )
