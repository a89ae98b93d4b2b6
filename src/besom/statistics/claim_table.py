"""The complete trials of a study as the claim has them: ranked, and those that can be tested."""

from __future__ import annotations

import numpy as np

from besom.statistics import claim_text, power
from besom.statistics.candidates import Candidates, n_epochs_picked_from
from besom.statistics.claim import Row
from besom.statistics.correctness import (
    ScoredRow,
    alike,
    ranked,
    scored,
    table_of,
)
from besom.statistics.distributions import Interval
from besom.statistics.kinds import DrawnScores, interval_of, standard_error
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord

#: Below this many validation examples the claim says how few they are.
FEW_IMAGES = 200


class ClaimTable:
    """The complete trials of a study with one objective, ranked, and those that can be tested."""

    def __init__(self, study: StudyRecord, alpha: float) -> None:
        self.study, self.aim = study, study.objective
        known = {
            trial.number: scored(trial, self.aim, trial.value or 0.0) for trial in study.complete
        }
        self.scores = {trial.number: trial.value or 0.0 for trial in study.complete}
        order = ranked(study)
        numbered = {trial.number: rank for rank, trial in order}
        self.ordered = [trial for _, trial in order]
        self.first_numbers = tuple(n for n, rank in sorted(numbered.items()) if rank == 1)
        self.leader = self.ordered[0]
        best = known[self.leader.number]
        self.testable: list[TrialRecord] = []
        self.known: list[ScoredRow] = []
        for trial in self.ordered:
            row = known[trial.number]
            if best is not None and row is not None and alike(trial, row, self.leader, best):
                self.testable.append(trial)
                self.known.append(row)
        self.rows = {
            trial.number: _row(trial, numbered[trial.number], self.scores[trial.number])
            if (row := known[trial.number]) is None
            else _judged_row(trial, numbered[trial.number], row, self.aim, alpha)
            for trial in self.ordered
        }

    def caveats(self, picked_from: Candidates | None = None) -> tuple[str, ...]:
        """What limits the claim in this study; ``picked_from`` is known if it can be tested."""
        found = []
        if any(t.baseline for t in self.study.trials) and self.study.baseline is None:
            found.append(claim_text.NO_BASELINE)
        if self.leader.n_folds > 1:
            found.append(claim_text.of_folds(self.leader.n_folds))
        if self.leader.n_repeats > 1:
            found.append(claim_text.of_repeats(self.leader.n_repeats))
        if n_unjudged := self.leader.environment.get("n_classes_unjudged", 0):
            found.append(claim_text.unjudged_classes(n_unjudged))
        if picked_from is None:
            return tuple(found)
        if n_untested := len(self.ordered) - len(self.testable):
            numbers = {trial.number for trial in self.testable}
            base = self.study.baseline
            without = base is not None and base.number not in numbers
            found.append(claim_text.untested(n_untested, is_baseline=without))
        if n_pruned := sum(t.outcome is Outcome.PRUNED for t in self.study.trials):
            found.append(claim_text.pruned(n_pruned))
        if n_warm := sum(t.outcome is Outcome.WARM_START for t in self.study.trials):
            found.append(claim_text.warm_started(n_warm))
        if picked_from.n_unknown:
            objective = self.study.objective
            n_picked = sum(n_epochs_picked_from(t, objective) > 1 for t in self.testable)
            n_trials = None if picked_from.n_unknown == n_picked else picked_from.n_unknown
            found.append(claim_text.best_epoch(picked_from.n_epochs, n_trials))
        n = n_rows(self.leader, self.aim)
        if n < FEW_IMAGES:
            of = "validation examples"
            if n != self.leader.n_validation:
                of = f"groups, or blocks in time, of {of}"
            found.append(claim_text.few_images(n, of, self.known[0].kind == "share"))
        return tuple(filter(None, [*found, self._power()]))

    def _power(self) -> str:
        """What the paired tests can hardly see; empty where they see a difference of 1 point."""
        others = self.known[1:]
        if not others or self.known[0].kind != "share":
            return ""
        first = self.known[0].row
        apart = float(np.median([np.mean(row.row != first) for row in others]))
        n_trials = len(self.known)
        if first.size >= power.examples_needed(0.01, apart, n_trials):
            return ""
        return power.in_words(first.size, n_trials, apart)


def n_rows(trial: TrialRecord, aim: Objective) -> int:
    """How many examples, or groups of them, a trial was judged on."""
    return trial.per_example.n_units(aim.metric, trial.n_validation)


def _row(trial: TrialRecord, rank: int, value: float) -> Row:
    return Row(trial.number, rank, value)


def _judged_row(trial: TrialRecord, rank: int, row: ScoredRow, aim: Objective, alpha: float) -> Row:
    if row.kind == "mean" and row.row.size < 2:
        return Row(trial.number, rank, row.value)
    table = table_of([row])
    interval = in_metric(row.kind, aim, interval_of(table, 0, 1.0 - alpha))
    interval = within_reach_of(trial, row, aim, interval)
    return Row(trial.number, rank, row.value, standard_error(table, 0), interval)


def within_reach_of(
    trial: TrialRecord, row: ScoredRow, aim: Objective, interval: Interval
) -> Interval:
    """The interval without what is below 0, of a metric that is never so; nor is an AUC above 1.

    It never is if no example's number and no draw's score is. What groups of examples are judged by
    holds residuals, which may be; of a loss the history tells then.
    """
    if row.kind == "share":
        return interval
    of_draws = isinstance(row.row, DrawnScores)
    numbers = np.append(row.row.drawn, row.row.left_out) if of_draws else row.row
    if aim.is_loss and n_rows(trial, aim) != trial.n_validation:
        numbers = aim.sign * np.asarray(trial.history.get(aim.metric, numbers))
    low, high = interval
    if np.min(aim.sign * numbers) >= 0:
        low = max(low, 0.0)
    if of_draws and np.max(aim.sign * numbers) <= 1:
        high = min(high, 1.0)
    return Interval(low, high)


def in_metric(kind: str, aim: Objective, interval: Interval) -> Interval:
    """From a table, where larger is better, to the metric itself."""
    low, high = interval
    if aim.sign < 0:
        whole = 1.0 if kind == "share" else 0.0
        low, high = whole - high, whole - low
    return possible(aim, Interval(low, high))


def possible(aim: Objective, interval: Interval) -> Interval:
    """Without what cannot be: of groups of examples a share is a mean, but stays from 0 to 1."""
    if not aim.is_share:
        return interval
    return Interval(min(max(interval.low, 0.0), 1.0), min(max(interval.high, 0.0), 1.0))
