"""The progress of a running sweep: the best so far, how trials ended, the time left."""

from __future__ import annotations

import time

from besom.report.tables import outcome_counts, over_baseline
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.text.counting import tally


class SweepProgress:
    """Counts a study's trials as they end."""

    def __init__(self, study: StudyRecord, n_trials: int) -> None:
        self.name = study.name
        self.objective: Objective = study.objective
        self.n_trials = n_trials
        self.best: TrialRecord | None = None
        self.baseline: TrialRecord | None = None
        self.ended: list[TrialRecord] = []
        for trial in study.trials:
            if trial.outcome not in (Outcome.RUNNING, Outcome.WARM_START):
                self._count(trial)
        self.resumed = self.finished
        self._began = time.monotonic()
        self._end: float | None = None  # when all will have ended, at the pace so far

    def count(self, trial: TrialRecord) -> bool:
        """Count a finished trial; True if it is the new best."""
        better = self._count(trial)
        self._update_end()
        return better

    def _count(self, trial: TrialRecord) -> bool:
        self.ended.append(trial)
        if trial.outcome is not Outcome.COMPLETE:
            return False
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
        return len(self.ended)

    def extend(self, n_trials: int) -> None:
        """More trials than at first will run."""
        self.n_trials = n_trials
        self._update_end()

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this run's pace so far; None before its first trial has ended.

        Counts down between the endings of trials.
        """
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _update_end(self) -> None:
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
        return tally(outcome_counts(self.ended))
