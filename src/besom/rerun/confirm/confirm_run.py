"""Runs a confirmation: lock, journal, contest, workers, in the order that loses nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from besom.errors import StudyError
from besom.executors.base import Epoch, Failed, Finished, Started
from besom.executors.run_loop import RunLoop, TrialSource, TrialTask
from besom.executors.stop import Ending
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.contest import Contest, RunKey
from besom.rerun.confirm.result import Confirmation, make_contest, score_of
from besom.rerun.confirm.run_journal import (
    FILE,
    RunJournal,
    RunRecord,
    find_runs,
    numbers_of,
    read_runs,
)
from besom.rerun.confirm.verdict import summarise
from besom.rerun.stored_runs import (
    check_trusted,
    runs_in,
    same_data,
    started_executor,
    stored_config,
    with_functions,
)
from besom.runs import RunOf
from besom.seam import TrialConfig, TrialResult
from besom.store.environment import environment_now, environment_then, merge
from besom.store.holding import hold_study
from besom.store.paths import remove_leftovers
from besom.store.predictions import KeptExamples, keep
from besom.store.records import Outcome
from besom.store.storage import stored_url
from besom.store.test_set_log import data_named, log_opening
from besom.study.parts import Parts
from besom.study.tell import stored_outcome
from besom.trust import trusting


class ConfirmWatcher:
    """Is called as a confirmation proceeds; each method does nothing unless overridden."""

    def remarked(self, text: str) -> None:
        """Something to tell the user in one line, such as who may hold the study."""

    def began(self, plan: ConfirmPlan, contest: Contest, n_workers: int) -> None:
        """The workers are ready; ``contest`` keeps changing."""

    def started(self, run: RunKey, worker: int) -> None:
        """A worker began a run."""

    def epoch(self, run: RunKey, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a run ended."""

    def ended(self, run: RunRecord) -> None:
        """A run ended, in whatever way, and is stored."""

    def dropped(self, trial: int) -> None:
        """A trial gets no more seeds."""

    def retried(self, run: RunKey, reason: str) -> None:
        """A run lost its worker and will be made again."""

    def stopping(self, reason: str) -> None:
        """No new runs; those running stop at the end of their epoch."""


#: How a worker's exception says that a dataset has no test part; see ``besom.training.data``.
_NO_TEST_IMAGES = "NoTestImages"


@dataclass(frozen=True)
class ConfirmOutcome:
    """How a confirmation ended.

    Attributes:
        confirmation: what it has shown.
        reason: why it ended before its last run; empty if it did not.
        interrupted: whether that was a signal.
    """

    confirmation: Confirmation
    reason: str = ""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 done, 1 no run succeeded, 130 interrupted."""
        if self.interrupted:
            return 130
        return 0 if self.confirmation.first is not None else 1


@with_functions
def run_confirm(plan: ConfirmPlan, watcher: ConfirmWatcher | None = None) -> ConfirmOutcome:
    """Run or continue a confirmation; what has finished is not run again.

    Args:
        plan: from ``besom.rerun.confirm.make_confirm_plan``.
        watcher: told of everything that happens.

    Raises:
        BesomError: the study is live elsewhere, its data has changed, there are no test images, a
            file cannot be written, or the workers cannot be prepared.
    """
    watcher = watcher or ConfirmWatcher()
    journal_path = plan.paths.root / FILE
    try:
        with (
            hold_study(
                plan.paths, stored_url(plan.paths), plan.study.name, "confirm", watcher.remarked
            ) as hold,
            RunJournal(journal_path) as journal,
        ):
            remove_leftovers(plan.paths.root)
            stored = read_runs(journal_path)
            runs = find_runs(plan, stored)
            contest = make_contest(plan)
            contest.fill({key: score_of(plan, runs[key]) for key in sorted(runs, key=_round(plan))})
            source = _ConfirmRuns(plan, contest, runs, stored, journal, watcher)
            n_left = contest.n_runs - len(contest.scores)
            if not n_left:
                watcher.began(plan, contest, 0)
                return ConfirmOutcome(source.confirmation())
            named = check_trusted(plan.trial_function, plan.executor, plan.entrants)
            with (
                trusting(named=named),
                started_executor(
                    plan.executor,
                    plan.trial_function,
                    _base_config(plan, contest),
                    journal_path.parent / "logs",
                    n_left * len(plan.parts),
                ) as (executor, facts),
            ):
                source.meet(facts)
                watcher.began(plan, contest, executor.n_workers)
                loop = RunLoop(executor, source, plan.timeout_s, held=hold)
                source.give_up = lambda reason: loop.stop.begin(reason, Ending.BROKEN)
                ending = loop.run_with_signals()
            interrupted = ending is Ending.INTERRUPTED
            return ConfirmOutcome(source.confirmation(), loop.stop.reason or "", interrupted)
    except OSError as error:
        raise StudyError(
            f"{plan.paths.root} cannot be written: {error.strerror or error}. No finished run is "
            "lost. Free disk space or fix the permissions, then run the same command again."
        ) from error


def _base_config(plan: ConfirmPlan, contest: Contest) -> TrialConfig:
    """What workers prepare with: each config that will run is tried before test images are opened.

    So that what cannot be trained, or not be measured, is refused before the opening is logged.
    """
    # With folds, of the first one: the fingerprint then is that of the study.
    config = runs_in(plan.study)[0].config(stored_config(plan.entrants[0]))
    if plan.on == "test":
        left = {
            t: s
            for s in plan.seeds
            for t in (e.number for e in plan.entrants)
            if (t, s) not in contest.scores
        }
        config["orders"] = {
            "rehearse": {
                f"Trial {t} cannot be confirmed": plan.config_of(t, s) for t, s in left.items()
            }
        }
    return config


def _round(plan: ConfirmPlan) -> Callable[[RunKey], tuple[int, int]]:
    """Sort key: seed by seed, as the contest would have it."""
    return lambda key: (plan.seeds.index(key[1]), key[0])


class _ConfirmRuns(TrialSource):
    """The runs of a confirmation: the contest says which is next, the journal stores each."""

    def __init__(
        self,
        plan: ConfirmPlan,
        contest: Contest,
        runs: Mapping[RunKey, RunRecord],
        stored: Sequence[RunRecord],
        journal: RunJournal,
        watcher: ConfirmWatcher,
    ) -> None:
        self._plan, self._contest, self._journal, self._watcher = plan, contest, journal, watcher
        self._runs: dict[RunKey, RunRecord] = dict(runs)
        self._stored = list(stored)
        self._look = max((run.look for run in stored), default=0) + 1
        self._numbers: dict[int, tuple[RunKey, RunOf]] = {}
        self._parts: dict[RunKey, Parts] = {}
        self._history: dict[int, dict[str, list[float]]] = {}
        self._not_finite: dict[int, str] = {}
        self._environment: dict[str, Any] = {}
        self._any_succeeded = any(run.outcome is Outcome.COMPLETE for run in runs.values())
        self._n_failed = 0
        self.give_up: Callable[[str], None] = lambda _: None

    def confirmation(self) -> Confirmation:
        """What is known by now."""
        return summarise(self._plan, self._contest, self._runs, self._stored)

    def meet(self, facts: dict[str, Any]) -> None:
        """Take what the first worker said of itself, before anything is run.

        Raises:
            StudyError: the data is not what the study was made with.
        """
        self._environment = environment_now(facts)
        first = self._plan.entrants[0]
        if not same_data(self._plan.study, first):
            return
        old = environment_then(self._plan.study, first).get("data", {}).get("fingerprint")
        new = facts.get("data", {}).get("fingerprint")
        if old is not None and new is not None and old != new:
            raise StudyError(
                f"The study {self._plan.study.name!r} was made with other data: its fingerprint "
                f"was {old}, now it is {new}. Scores would not be comparable; restore the data."
            )

    def has_next(self) -> bool:
        """Whether there is a fold of a run, or a run of the contest, to start now."""
        return self._begun() is not None or self._contest.next_run() is not None

    def next_trial(self) -> TrialTask | None:
        """A fold of a run that has begun, or else of the contest's next run.

        On the test set, that is logged before it starts.
        """
        key = self._begun() or self._contest.next_run()
        if key is None:
            return None
        if key not in self._parts:
            self._log(key)
            self._contest.start(key)
            self._parts[key] = Parts(self._plan.parts, key[1], [self._plan.objective])
        part = self._parts[key].waiting.popleft()
        number = len(self._numbers)
        self._numbers[number] = key, part
        self._history[number] = {}
        orders = {"per_example": [self._plan.objective.metric]}
        config = {**part.config(self._plan.config_of(*key)), "orders": orders}
        return TrialTask(number, config, int(config["trainer"].get("epochs") or 0))

    def _begun(self) -> RunKey | None:
        """A run of which a fold waits."""
        going_on = ((k, p) for k, p in self._parts.items() if p.waiting and not p.over)
        return next((key for key, _ in going_on), None)

    def _log(self, key: RunKey) -> None:
        if self._plan.on == "test":
            opened = data_named(self._environment.get("data", {}))
            name, root = self._plan.study.name, self._plan.paths.root
            log_opening(root, name, *key, command="confirm", data=opened)

    def on_started(self, event: Started) -> None:
        """A worker began a run."""
        self._watcher.started(self._numbers[event.trial][0], event.worker)

    def stops_after(self, event: Epoch) -> bool:
        """Keep what was measured; only an objective that is not finite stops a run, or a fold of it
        that has failed."""
        if self._parts[self._numbers[event.trial][0]].over:
            return True
        history = self._history[event.trial]
        for name, value in event.metrics.items():
            history.setdefault(name, []).append(float(value))
        metric = self._plan.study.objective.metric
        if math.isfinite(event.metrics.get(metric, 0.0)):
            return False
        self._not_finite[event.trial] = (
            f"{metric} is {event.metrics[metric]} at epoch {event.epoch}"
        )
        return True

    def on_epoch(self, event: Epoch) -> None:
        """Show what was measured."""
        key, _ = self._numbers[event.trial]
        self._watcher.epoch(key, event.worker, event.epoch, event.metrics)

    def on_retry(self, trial: int, reason: str) -> None:
        """The test set may be read a second time for this run, so that is logged, too."""
        self._history[trial] = {}
        self._not_finite.pop(trial, None)
        key, _ = self._numbers[trial]
        self._log(key)
        self._watcher.retried(key, reason)

    def on_ended(self, event: Finished | Failed, was_stopped: bool) -> None:  # noqa: ARG002
        """Store how a run ended, if this was the last of its folds, and tell the contest."""
        key, part = self._numbers[event.trial]
        end = self._parts[key].end(part, event, diverged=event.trial in self._not_finite)
        if end is None:
            return
        run = self._record(key, end)
        if run.outcome is Outcome.ERROR and _NO_TEST_IMAGES in run.detail:
            raise StudyError(
                f"There are no test examples to confirm on: {run.reason} Confirm on fresh seeds "
                "with --on validation, and add --new-split for another split with each seed."
            )
        self._journal.append(run)
        self._runs[key] = run
        out = self._contest.end(key, score_of(self._plan, run))
        self._watcher.ended(run)
        for trial in out:
            self._watcher.dropped(trial)
        self._count(run)

    def on_remark(self, text: str) -> None:
        """The executor has something to tell."""
        self._watcher.remarked(text)

    def on_stopping(self, reason: str) -> None:
        """No new runs."""
        self._watcher.stopping(reason)

    def _record(self, key: RunKey, event: Finished | Failed) -> RunRecord:
        trial, seed = key
        config = self._plan.config_of(trial, seed)
        result = event.result if isinstance(event, Finished) else TrialResult()
        outcome, reason, detail = Outcome.COMPLETE, "", ""
        if isinstance(event, Failed):
            outcome, reason, detail = stored_outcome(event.kind), event.reason, event.detail
        elif event.trial in self._not_finite:
            outcome, reason = Outcome.DIVERGED, self._not_finite[event.trial]
        data = config.get("data")
        run = RunRecord(
            key=self._plan.key_of(trial, seed),
            trial=trial,
            seed=seed,
            on=self._plan.on,
            outcome=outcome,
            split_seed=data.get("split_seed") if isinstance(data, Mapping) else None,
            reason=reason,
            detail=detail,
            history=result.history or self._history[event.trial],
            numbers=result.numbers,
            best_epoch=result.best_epoch,
            seconds=event.usage.seconds,
            cpu_seconds=event.usage.cpu_seconds,
            finished=time.time(),
            environment=merge(self._environment, result.environment),
            n_images=result.n_validation,
            correct=result.correct,
            per_example=self._kept(self._plan.key_of(trial, seed), result),
            look=self._look,
        )
        score = score_of(self._plan, run)
        if score is None or math.isfinite(score):
            return run
        reason = f"{self._plan.objective.metric} is {score}"
        return replace(run, outcome=Outcome.DIVERGED, reason=reason)

    def _kept(self, key: str, result: TrialResult) -> KeptExamples:
        """What is kept of each example; a file that cannot be written costs no run."""
        metric, path = self._plan.objective.metric, self._plan.paths.root / FILE
        given = {m: known for m, known in result.per_example.items() if m == metric}
        try:
            return keep(given, numbers_of(path, self._plan.on, key))
        except OSError:
            return KeptExamples()

    def _count(self, run: RunRecord) -> None:
        """Give up where everything fails: more runs will not help."""
        self._any_succeeded |= run.outcome is Outcome.COMPLETE
        self._n_failed += run.outcome is not Outcome.COMPLETE
        most = int(self._plan.study.config["sweep"].get("max_failures", 5))
        if not self._any_succeeded and self._n_failed >= max(most, len(self._plan.entrants)):
            self.give_up(f"the first {self._n_failed} runs all failed")
