"""The runs of one running trial: which is next, what those that ended gave, and how it all ends.

A trial is several runs with ``sweep.folds`` and ``sweep.repeats``, else one. To an executor each
run is a task of its own. A run that ended is written down at once, so that a resume runs only what
is missing; a run without a value ends its trial, and the others are stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from besom.executors.base import Epoch, Failed, Finished, Usage
from besom.runs import RunOf
from besom.seam import TrialResult
from besom.store.records import Outcome
from besom.store.run_files import RunFiles
from besom.store.study_identity import fingerprint
from besom.study.objective import best_epoch, objective_values
from besom.study.parts import read_back, write_down
from besom.study.plan import SweepPlan
from besom.study.pooling import EndedRun, pooled
from besom.study.running_trial import EarlyStopping, RunningTrial
from besom.study.tell import end_of_finished, numbers_of


class TrialRuns:
    """The runs of one trial, from the first one's start to the end of the last.

    Args:
        plan: the sweep.
        running: the trial.
        early_stopping: decides whether it stops.
        files: has what its runs gave that ended before this process began.
    """

    def __init__(
        self,
        plan: SweepPlan,
        running: RunningTrial,
        early_stopping: EarlyStopping,
        files: RunFiles,
    ) -> None:
        self.running = running
        self._plan, self._early_stopping, self._files = plan, early_stopping, files
        self._key = fingerprint(running.config)
        self._ended = {} if plan.runs[0].is_only else self._read()
        self._left = deque(run for run in plan.runs if run.index not in self._ended)
        self._active: dict[int, RunningTrial] = {}
        self._usages = [event.usage for event in self._ended.values()]
        self._early_end: Finished | Failed | None = None  # that of a run, and so of the trial
        self._n_judged = self._n_in_order

    def _read(self) -> dict[int, Finished]:
        ended = {}
        for run in self._plan.runs:
            event = read_back(self._files, self.number, run.index, self._key)
            if event is not None:
                ended[run.index] = event
        return ended

    def _write(self, run: RunOf, event: Finished) -> None:
        """Write down what a run gave. Where that cannot be written, only a resume runs it again."""
        try:
            write_down(self._files, self.number, run.index, self._key, event)
        except OSError as error:
            event.result.environment.setdefault("remarks", {})["runs"] = (
                f"{error.filename} cannot be written: {error.strerror or error}. If this sweep is "
                "stopped now, the unfinished trials run again from their first run."
            )

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.running.number

    @property
    def idle(self) -> bool:
        """Whether none of its runs runs just now."""
        return not self._active

    @property
    def has_next(self) -> bool:
        """Whether there is a run to start."""
        return bool(self._left) and self._early_end is None

    @property
    def over(self) -> bool:
        """Whether its end can be told: all runs have ended, or one has ended the trial."""
        return self.idle and not self.has_next

    def start_next(self) -> RunningTrial:
        """The run to start now."""
        run = self._left.popleft()
        started = self.running if run.is_only else self.running.of_run(run)
        self._active[run.index] = started
        return started

    def stops_after(self, index: int, event: Epoch, before: Mapping[str, list[float]]) -> bool:
        """Whether a run stops after this epoch: by itself, or because its trial has ended.

        Args:
            index: the run's.
            event: the epoch.
            before: the history that the run goes on from, where it does not start from scratch.
        """
        run = self._active[index]
        if event.epoch > 1 and not run.history:
            run.history = {name: list(values) for name, values in before.items()}
        run.add_epoch(event.epoch, event.metrics)
        return self._early_end is not None or self._early_stopping.stops(run, event.epoch)

    def start_over(self, index: int) -> None:
        """A run is run again from its beginning."""
        self._active[index].start_over()

    def leave(self, index: int) -> None:
        """A run was interrupted: it has no result, and is left for a resume."""
        run = self._active.pop(index)
        self._left.append(run.run)

    def end(self, index: int, event: Finished | Failed, was_stopped: bool) -> None:
        """Take note of how a run ended.

        Args:
            index: the run's.
            event: how.
            was_stopped: whether it was told to stop because ``stops_after`` said so.
        """
        run = self._active.pop(index)
        self._usages.append(event.usage)
        if self._early_end is not None:
            return
        if isinstance(event, Finished) and run.stopped is Outcome.PRUNED and not was_stopped:
            run.stopped, run.reason = None, ""  # it had ended before it could be told
        self.running.audited_at = self.running.audited_at or run.audited_at
        if run.run.is_only:
            self._early_end = event
        elif (early := self._ended_by(run, event)) is not None:
            self._early_end = early
        else:
            assert isinstance(event, Finished)
            self._ended[index] = event
            if len(self._ended) < len(self._plan.runs):
                self._write(run.run, event)
            self._prune(event)

    def _ended_by(self, run: RunningTrial, event: Finished | Failed) -> Finished | Failed | None:
        """The event, told of the trial, if the run has no value to pool; else None."""
        if isinstance(event, Failed):
            self.running.history = self._history_so_far or run.history
            return replace(event, reason=f"{run.run}: {event.reason}")
        result = event.result
        # Numbers that are measured, such as seconds, are held to their limits once they are pooled.
        limits = self._plan.sweep.constraints if not result.history else {}
        objectives = self._plan.objectives
        end = end_of_finished(run, result.history, numbers_of(event), objectives, limits)
        if end.outcome is Outcome.COMPLETE:
            return None
        if end.outcome is not Outcome.INFEASIBLE:
            self.running.stopped, self.running.reason = end.outcome, f"{run.run}: {end.reason}"
        history = self._history_so_far or result.history or run.history
        return replace(event, result=_without_examples(replace(result, history=history)))

    def _prune(self, event: Finished) -> None:
        """Ask the pruner about each mean of the first runs that is known now."""
        while self._early_end is None and self._n_judged < self._n_in_order:
            self._n_judged = n = self._n_judged + 1
            if n < 2 or n == len(self._plan.runs):
                continue  # the first run was judged by epoch, and all of them are the trial
            so_far = self._pooled(range(n))
            if best_epoch(self._plan.objectives[0], so_far.history) is None:
                continue
            (value,) = objective_values(self._plan.objectives[:1], so_far.history, {})
            if self._early_stopping.stops_after_runs(self.running, n, value):
                self._early_end = replace(event, result=_without_examples(so_far))

    @property
    def _n_in_order(self) -> int:
        """How many of the first runs have ended, without a gap."""
        runs = self._plan.runs
        return next((run.index for run in runs if run.index not in self._ended), len(runs))

    @property
    def _history_so_far(self) -> dict[str, list[float]]:
        return self._pooled(self._ended).history if self._ended else {}

    def _pooled(self, indices: Sequence[int] | Mapping[int, Finished]) -> TrialResult:
        return pooled([self._result(index) for index in indices], self._plan.objectives)

    def _result(self, index: int) -> tuple[EndedRun, TrialResult]:
        run, event = self._plan.runs[index], self._ended[index]
        seed = run.seed(int(self.running.config["seed"]))
        return EndedRun(run.repeat, run.fold, seed, event.usage.seconds), event.result

    def ending(self) -> Finished | Failed:
        """How the trial ended, once it is over; with what all its runs have cost."""
        event = self._early_end
        if event is None:
            last = list(self._ended.values())[-1]
            event = replace(last, result=self._pooled(self._ended))
            self._remark_equal_repeats(event.result)
        elif isinstance(event, Finished) and self._ended:
            event.result.runs = self._pooled(self._ended).runs
        return replace(event, trial=self.number, usage=Usage.of_all(self._usages))

    def _remark_equal_repeats(self, result: TrialResult) -> None:
        """Another seed has changed nothing: repeats are a waste then."""
        n_folds = self._plan.sweep.folds or 1
        pairs = [(run.index % n_folds, run.index) for run in self._plan.runs if run.repeat]
        if pairs and all(
            self._ended[first].result.history == self._ended[other].result.history
            for first, other in pairs
        ):
            result.environment.setdefault("remarks", {})["repeats"] = (
                f"all {self._plan.sweep.repeats} repeats of trial {self.number} gave the same "
                "values: the seed changes nothing here. Does an initializer have a seed of its own?"
            )


def _without_examples(result: TrialResult) -> TrialResult:
    """What is kept of a trial that is not complete: of each example nothing."""
    return replace(result, best_epoch=None, correct=None, correct_by_epoch=None, per_example={})
