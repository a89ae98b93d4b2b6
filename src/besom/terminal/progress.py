"""The progress of a running sweep: the best so far, how trials ended, the time left."""

from __future__ import annotations

import time

from besom.report.tables import over_baseline
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord


class SweepProgress:
    """A study as its trials end, for those who look on."""

    def __init__(self, study: StudyRecord, n_trials: int) -> None:
        self.name = study.name
        self.objective: Objective = study.objective
        self.n_trials = n_trials
        self.best: TrialRecord | None = None
        self.baseline: TrialRecord | None = None
        self.complete = self.pruned = self.failed = self.reused = self.infeasible = 0
        for trial in study.trials:
            if trial.outcome is not Outcome.RUNNING:
                self._count(trial)
        self.resumed = self.finished
        self._began = time.monotonic()
        self._end: float | None = None  # when all will have ended, at the pace of the last count

    def count(self, trial: TrialRecord) -> bool:
        """Count a finished trial; True if it is the new best."""
        better = self._count(trial)
        self._foresee_end()
        return better

    def _count(self, trial: TrialRecord) -> bool:
        if trial.outcome is not Outcome.COMPLETE:
            self.pruned += trial.outcome is Outcome.PRUNED
            self.failed += trial.outcome.failed
            self.reused += trial.outcome is Outcome.DUPLICATE
            self.infeasible += trial.outcome is Outcome.INFEASIBLE
            return False
        self.complete += 1
        if trial.baseline:
            self.baseline = trial
        better = self.best is None or self.gain(trial, self.best) > 0
        if better:
            self.best = trial
        return better

    def gain(self, trial: TrialRecord, over: TrialRecord) -> float:
        """How much better one complete trial is than another; positive is better."""
        assert trial.value is not None
        assert over.value is not None
        return self.objective.sign * (trial.value - over.value)

    @property
    def finished(self) -> int:
        """Trials that ended, in whatever way."""
        return self.complete + self.pruned + self.failed + self.reused + self.infeasible

    def extend(self, n_trials: int) -> None:
        """More trials than at first will run."""
        self.n_trials = n_trials
        self._foresee_end()

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this run's pace so far; None before its first trial has ended.

        Counts down between the endings of trials.
        """
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _foresee_end(self) -> None:
        now, here = time.monotonic(), self.finished - self.resumed
        left = max(0, self.n_trials - self.finished)
        self._end = now + (now - self._began) / here * left if here else None

    def best_text(self) -> str:
        """The best so far and its gain over the baseline."""
        if self.best is None or self.best.value is None:
            return "no complete trial yet"
        aim = self.objective
        text = f"best {aim.metric} {aim.text(self.best.value)} (trial {self.best.number})"
        if self.baseline is not None and self.baseline is not self.best:
            gain = self.gain(self.best, self.baseline)
            text += f", {over_baseline(self.objective, gain)}"
        return text

    def counts_text(self) -> str:
        """How many trials ended in which way."""
        text = f"{self.complete} complete, {self.pruned} pruned, {self.failed} failed"
        text += f", {self.reused} reused" if self.reused else ""
        return text + (f", {self.infeasible} infeasible" if self.infeasible else "")
