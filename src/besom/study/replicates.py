"""Fresh seeds of the configs that lead, and of the baseline, once the search is over.

The best of many single runs is lucky in its seed. Fresh seeds of the same configs, on the same
examples, are not (``besom.statistics.fresh_seeds``). Who leads is decided when the search has
ended, so no timing decides it. Optuna is told nothing of them.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna

from besom.executors.base import Epoch, Executor, Failed, Finished, Started
from besom.executors.run_loop import Held, RunLoop, TrialSource, TrialTask
from besom.executors.signals import StopSignals
from besom.executors.stop import Ending
from besom.runs import RunOf, mix_seed, runs_of
from besom.seam import TrialConfig, TrialResult
from besom.statistics import ranked, scored
from besom.store.predictions import KeptExamples, keep
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.store.run_files import RunFiles
from besom.store.stored_records import kept_of, store_replicate
from besom.store.study_identity import fingerprint
from besom.study.objective import objective_values
from besom.study.parts import Parts, read_back, write_down
from besom.study.plan import SweepPlan
from besom.study.tell import numbers_of, stored_outcome
from besom.study.watcher import Watcher
from besom.text.counting import IS, counted, named

#: How many seeds, of how many trials beside the baseline, within which share of the search's
#: epochs, where ``sweep.replicates`` is ``auto``.
N_SEEDS, MOST_LEADERS, MOST_SHARE = 3, 3, 0.25

#: Makes their seeds others than those of repeats, of ``sweep.vary_seed`` and of ``confirm``.
_SALT = 0xF7E5


@dataclass(frozen=True)
class Replicate:
    """A trial's config on a fresh seed: ``trial``'s own, but for ``seed``."""

    trial: TrialRecord
    seed: int

    @property
    def config(self) -> TrialConfig:
        """What it runs with."""
        return {**self.trial.config, "seed": self.seed}


def wanted(study: StudyRecord, n_seeds: int | str) -> list[Replicate]:
    """Which replicates a study should have, seed by seed; none where they could show nothing.

    Args:
        study: its search is over.
        n_seeds: ``sweep.replicates``.
    """
    if n_seeds == 0 or len(study.objectives) > 1 or study.baseline is None:
        return []
    best_first = [trial for _, trial in ranked(study)]
    leaders = [t for t in best_first if not t.baseline and t.config][:MOST_LEADERS]
    if not leaders or best_first[0].baseline:
        return []
    compared = (study.baseline, leaders[0])
    if any(scored(trial, study.objective, trial.value or 0.0) is None for trial in compared):
        return []  # without what each example scored, nothing would follow from them
    n = N_SEEDS if isinstance(n_seeds, str) else n_seeds
    configs = [study.baseline, *leaders]
    if n_seeds == "auto":
        most = MOST_SHARE * sum(trial.epochs_run for trial in study.trials)
        while len(configs) > 1 and n * sum(_epochs_of(trial) for trial in configs) > most:
            configs.pop()
        if len(configs) < 2:
            return []
    seeds = [mix_seed(int(study.config["seed"]), _SALT, index) for index in range(n)]
    return [Replicate(trial, seed) for seed in seeds for trial in configs]


def _epochs_of(trial: TrialRecord) -> int:
    return trial.epochs_run // trial.n_repeats


def missing(study: StudyRecord, n_seeds: int | str) -> list[Replicate]:
    """Those of ``wanted`` that have not ended yet."""
    ended = {(replicate.number, replicate.seed) for replicate in study.replicates}
    return [r for r in wanted(study, n_seeds) if (r.trial.number, r.seed) not in ended]


class ReplicateRuns(TrialSource):
    """Runs replicates, and stores each as it ends.

    Args:
        plan: the sweep.
        study: Optuna's, open for writing.
        found: what the search has found.
        environment: the identity of the software and data that this run's values depend on.
        watcher: told what happens.
        left_s: how many seconds there are for it.

    Attributes:
        records: those that have ended.
        reason: why not all have ended; empty if they have.
    """

    def __init__(
        self,
        plan: SweepPlan,
        study: optuna.Study,
        found: StudyRecord,
        environment: str,
        watcher: Watcher,
        left_s: float,
    ) -> None:
        self._plan, self._study, self._watcher = plan, study, watcher
        self._environment = environment
        self._until = time.monotonic() + left_s
        self._replicates = missing(found, plan.sweep.replicates)
        self._look = _n_ended(found)
        self._loop: RunLoop | None = None
        self.reason = ""
        self._files = RunFiles(plan.paths.runs / "replicates")
        runs = runs_of(plan.sweep.folds, repeats=1)
        self._parts = [Parts(runs, r.seed, plan.objectives) for r in self._replicates]
        self._tasks: dict[int, tuple[int, RunOf]] = {}
        self.records: list[TrialRecord] = []
        for at, parts in enumerate(self._parts):
            self._take_what_ended(at, parts)

    def _take_what_ended(self, at: int, parts: Parts) -> None:
        """The runs of a replicate that ended before this process began."""
        replicate = self._replicates[at]
        for run in [run for run in parts.waiting if not run.is_only]:
            event = read_back(self._files, *self._file(replicate, run))
            if event is not None:
                parts.waiting.remove(run)
                self._end(at, run, event)

    @staticmethod
    def _file(replicate: Replicate, run: RunOf) -> tuple[int, int, str]:
        """Trial, run and key of what is written down of a run."""
        key = fingerprint(replicate.config)
        return replicate.trial.number, mix_seed(replicate.seed, run.index), key

    def run(self, executor: Executor, signals: StopSignals, held: Held) -> Ending:
        """Run what is left; ``BUDGET`` where the time was not enough."""
        if not self._replicates:
            return Ending.DONE
        self._watcher.remarked(_remark(self._replicates))
        self._loop = loop = RunLoop(executor, self, self._plan.sweep.trial_timeout_s, held=held)
        signals.stop = loop.stop.interrupt
        ending = loop.run()
        self.reason = loop.stop.reason or ""
        if all(parts.over for parts in self._parts):
            self._files.forget_all_but(())
            with contextlib.suppress(OSError):
                self._plan.paths.runs.rmdir()
        return ending

    def has_next(self) -> bool:
        """Whether a run is left."""
        return any(parts.waiting and not parts.over for parts in self._parts)

    def next_trial(self) -> TrialTask:
        """The next run, of the first replicate that has one left."""
        at = next(i for i, parts in enumerate(self._parts) if parts.waiting and not parts.over)
        run = self._parts[at].waiting.popleft()
        replicate, number = self._replicates[at], len(self._tasks)
        self._tasks[number] = at, run
        orders = {"per_example": [self._plan.objectives[0].metric]}
        n_epochs = int(replicate.trial.config["trainer"].get("epochs") or 0)
        return TrialTask(number, {**run.config(replicate.config), "orders": orders}, n_epochs)

    def on_started(self, event: Started) -> None:
        """A worker began a run."""
        self._watcher.started(self._trial_of(event.trial), event.worker)
        if event.node:
            self._watcher.placed(event.worker, event.node)

    def stops_after(self, event: Epoch) -> bool:
        """Only where the objective is not finite, or another run of the replicate has failed."""
        at, _ = self._tasks[event.trial]
        metric = self._plan.objectives[0].metric
        return self._parts[at].over or not math.isfinite(event.metrics.get(metric, 0.0))

    def on_epoch(self, event: Epoch) -> None:
        """Show what was measured."""
        trial = self._trial_of(event.trial)
        self._watcher.epoch(trial, event.worker, event.epoch, event.metrics)

    def on_retry(self, trial: int, reason: str) -> None:
        """A run is run again, from its beginning."""
        self._watcher.retried(self._trial_of(trial), reason)

    def on_ended(self, event: Finished | Failed, was_stopped: bool) -> None:
        """Store a replicate whose last run has ended."""
        at, run = self._tasks[event.trial]
        self._watcher.run_ended(self._trial_of(event.trial), event.worker)
        replicate = self._replicates[at]
        if isinstance(event, Finished) and not run.is_only and not was_stopped:
            with contextlib.suppress(OSError):  # a resume runs it again then
                write_down(self._files, *self._file(replicate, run), event)
        self._end(at, run, event, diverged=was_stopped)

    def _end(
        self, at: int, run: RunOf, event: Finished | Failed, *, diverged: bool = False
    ) -> None:
        whole = self._parts[at].end(run, event, diverged=diverged)
        if whole is None:
            return
        record = self._record(self._replicates[at], whole, diverged)
        store_replicate(self._study, record)
        self.records.append(record)

    def on_stopping(self, reason: str) -> None:
        """No new runs."""
        self._watcher.stopping(reason)

    def on_interrupted(self, trial: int) -> None:
        """A run was stopped with the sweep: a resume runs it again."""
        self._watcher.kept(self._trial_of(trial))

    def on_tick(self) -> None:
        """Look at the clock."""
        self._watcher.idle()
        if self._loop is not None and time.monotonic() > self._until:
            missing = counted(sum(not parts.over for parts in self._parts), "replicate", IS)
            again = "the same command runs them"
            reason = f"the time limit is reached; {missing} yet to be run: {again}"
            self._loop.stop.begin(reason, Ending.BUDGET)

    def on_remark(self, text: str) -> None:
        """The executor has something to tell."""
        self._watcher.remarked(text)

    def _trial_of(self, task: int) -> int:
        return self._replicates[self._tasks[task][0]].trial.number

    def _record(
        self, replicate: Replicate, event: Finished | Failed, diverged: bool
    ) -> TrialRecord:
        trial, objective = replicate.trial, self._plan.objectives[0]
        facts: dict[str, Any] = {
            "seed": replicate.seed,
            "seconds": event.usage.seconds,
            "cpu_seconds": event.usage.cpu_seconds,
            "worker": event.worker,
            "finished": time.time(),
            "environment": {"id": self._environment, "look": self._look},
        }
        if isinstance(event, Failed):
            outcome = stored_outcome(event.kind)
            return TrialRecord(trial.number, outcome, reason=event.reason, **facts)
        numbers = numbers_of(event)
        if diverged:
            reason = f"{objective.metric} is not finite"
            return TrialRecord(trial.number, Outcome.DIVERGED, reason=reason, **facts)
        result = at_epoch(event.result, objective, trial.best_epoch)
        history = _up_to(result.history, result.best_epoch)
        last = replace(objective, epoch="last")
        (value,) = objective_values([last], history, numbers)
        path = self._plan.paths.replicate(trial.number, replicate.seed)
        given = {m: k for m, k in result.per_example.items() if m == objective.metric}
        try:
            kept = keep(given, path)
        except OSError:
            kept = KeptExamples()  # it has a value then, but no error
        known = {**kept_of(result), "numbers": numbers, "correct_by_epoch": None}
        known |= {"per_example": kept, **facts}
        return TrialRecord(trial.number, Outcome.COMPLETE, values=(value,), **known)


def at_epoch(result: TrialResult, objective: Objective, epoch: int | None) -> TrialResult:
    """A result as it is after the epoch that counted in the search, or its last one before that.

    The best of its own epochs would be lucky once more. Where what each example scored is known of
    its best epoch alone, that one is taken.
    """
    if objective.epoch != "best" or epoch is None or objective.metric not in result.history:
        return result
    at = min(epoch, result.epochs)
    known = result.per_example.get(objective.metric)
    if at != result.best_epoch:
        if known is not None and "by_epoch" in known:
            moved = {**known, "values": known["by_epoch"][at - 1]}
            result = replace(result, per_example={objective.metric: moved})
        elif known is not None or result.correct_by_epoch is None:
            return result
    bits = result.correct if at == result.best_epoch else None
    if result.correct_by_epoch is not None:
        bits = result.correct_by_epoch[at - 1]
    return replace(result, best_epoch=at, correct=bits)


def _up_to(history: Mapping[str, list[float]], epoch: int | None) -> dict[str, list[float]]:
    return {name: values[:epoch] for name, values in history.items()}


def _remark(to_run: Sequence[Replicate]) -> str:
    """What is about to be run, for people."""
    trials = sorted({replicate.trial.number for replicate in to_run})
    seeds = {replicate.seed for replicate in to_run}
    return (
        f"the search is over: {named('trial', trials, ('runs', 'run'))} again on "
        f"{counted(len(seeds), 'fresh seed')}, as the claim must not be that of a lucky one "
        "(sweep.replicates=0 turns this off)"
    )


def _n_ended(study: StudyRecord) -> int:
    """How many trials have ended; another number is another look at who leads."""
    return sum(trial.outcome is not Outcome.RUNNING for trial in study.trials)
