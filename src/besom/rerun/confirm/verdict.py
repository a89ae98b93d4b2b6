"""What a confirmation has shown: one row per config, from scores and from those on each example.

Every seed of a confirmation is measured on the same examples, so its scores hold the luck of the
seed but not that of the examples. Runs store what they scored on each; ``rights_of`` makes of that
what may be claimed of new ones, and that decides: who is first, behind or tied, and what is gained.
The numbers for these very examples stand beside it. Where what a run scored on each example is not
known, they are all there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from besom.errors import StudyError
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.contest import RACE_ALPHA, Contest, RunKey
from besom.rerun.confirm.result import (
    ALPHA,
    Confirmation,
    ConfirmRow,
    Multiplicity,
    Status,
    n_images,
)
from besom.rerun.confirm.run_journal import RunRecord
from besom.statistics import (
    Estimate,
    Gain,
    Interval,
    RightBySeed,
    ScoredRow,
    add_image_error,
    gain_for_new_images,
    gain_over,
    holm,
    image_error,
    mean_interval,
    ranks,
    scored,
    within_a_share,
)
from besom.store.records import Objective, Outcome, TrialRecord

#: Trial to what each of its seeds scored on each example; without trials and seeds of which that is
#: not known.
Rights = Mapping[int, RightBySeed]


#: What is said of new examples needs the scatter between seeds, so at least two.
_FEWEST_SEEDS = 2


def step_of(plan: ConfirmPlan, runs: Iterable[RunRecord]) -> float:
    """What one image is worth in a score; 0 if unknown."""
    n = n_images(plan, runs) if plan.objective.is_share else 0
    return 1.0 / n if n else 0.0


def rights_of(
    plan: ConfirmPlan, runs: Mapping[RunKey, RunRecord], scores: Mapping[int, Mapping[int, float]]
) -> Rights:
    """Return what each run scored on each example, where that comes to its score.

    Empty where not all were judged on the same examples: with a validation split for each seed. A
    run whose score is no mean over examples has no part in it, nor has one that was stored before
    besom stored them.

    Args:
        plan: what was asked.
        runs: every run, by trial and seed.
        scores: trial to the score of each seed.
    """
    if plan.on == "validation" and plan.new_split:
        return {}
    known: dict[int, dict[int, Any]] = {}
    examples = set()
    for (trial, seed), run in runs.items():
        score = scores.get(trial, {}).get(seed)
        if score is None or run.on != plan.on or run.n_images < 2:
            continue
        if (row := _scored(run, plan.objective, score)) is not None:
            known.setdefault(trial, {})[seed] = row.row
            size = row.row.drawn.size if row.kind == "other" else row.row.size
            examples.add((row.kind, size, run.n_images, _fingerprint(plan, run)))
    return known if len(examples) == 1 else {}


def _scored(run: RunRecord, objective: Objective, score: float) -> ScoredRow | None:
    """What a run scored on each example; None if that is not known, or its bits are damaged."""
    record = TrialRecord(
        run.trial,
        run.outcome,
        n_validation=run.n_images,
        correct=run.correct,
        per_example=run.per_example,
    )
    try:
        return scored(record, objective, score)
    except StudyError:
        return None


def _fingerprint(plan: ConfirmPlan, run: RunRecord) -> object:
    """What tells one set of validation images from another; the test images are one set."""
    data = run.environment.get("data")
    return data.get("fingerprint") if plan.on == "validation" and isinstance(data, dict) else None


def summarise(
    plan: ConfirmPlan,
    contest: Contest,
    runs: Mapping[RunKey, RunRecord],
    journal: Iterable[RunRecord] = (),
) -> Confirmation:
    """Compute every row of a confirmation, complete or not.

    Those whom the race gave no more seeds are not ranked with the others, as their means are over
    fewer seeds; they are compared with the first on the seeds that both have.

    Args:
        plan: what was asked.
        contest: with every score.
        runs: those that count, by trial and seed.
        journal: every run of the study's confirmations; ``runs`` need not be among them.
    """
    looked = Multiplicity.of(plan, [*journal, *runs.values()])
    known = _Known(plan, contest, runs, looked)
    order = known.finalists
    ranked = ranks([known.mean(trial) for trial in order], contest.direction)
    rank_of = dict(zip(order, ranked, strict=True))
    order.sort(key=lambda trial: (rank_of[trial], trial))
    dropped = [t for t in known.scores if t not in rank_of]
    dropped.sort(key=lambda t: -contest.beaten[t])  # who lasted longer, then as the leaderboard
    gains, behind = known.gains(), known.behind(order, dropped)
    rows = []
    for trial in (*order, *dropped):
        row = replace(known.row(trial, is_first=trial == order[0]), **gains.get(trial, {}))
        if trial != order[0]:
            row = replace(row, **behind[trial])
            if row.baseline and trial in rank_of:
                # That the first is better than the baseline is asked once, as a gain: the baseline
                # was not picked by these scores, so its test needs a milder correction.
                row = replace(row, p_behind=gains[order[0]]["p_gain"])
            status = Status.BEHIND if row.p_behind <= ALPHA else Status.TIED
            row = replace(row, status=status)
        rows.append(replace(row, rank=rank_of.get(trial)))
    failed = [t for t in contest.entrants if t not in known.scores and known.runs_of(t)]
    rows += [replace(known.row(trial), status=Status.FAILED) for trial in failed]
    missing = contest.n_runs - len(contest.scores)
    return Confirmation(
        plan, tuple(rows), runs, missing, dict(contest.beaten), known.of_new, looked
    )


class _Known:
    """What all rows are made from."""

    def __init__(
        self,
        plan: ConfirmPlan,
        contest: Contest,
        runs: Mapping[RunKey, RunRecord],
        looked: Multiplicity,
    ) -> None:
        self.plan, self._contest, self._runs = plan, contest, runs
        by_seed = {trial: contest.scores_of(trial) for trial in contest.entrants}
        self.scores = {trial: scores for trial, scores in by_seed.items() if scores}
        self._n_configs = max(looked.n_configs, len(self.scores))
        self._n_looks = looked.n_looks
        self._rights = rights_of(plan, runs, self.scores)
        testable = [t for t, scores in self.scores.items() if len(scores) >= _FEWEST_SEEDS]
        self.of_new = bool(self._rights) and all(
            len(self._rights.get(trial, ())) >= _FEWEST_SEEDS for trial in testable
        )

    @property
    def finalists(self) -> list[int]:
        """Those with a score that were not dropped."""
        return [trial for trial in self.scores if trial not in self._contest.beaten]

    def mean(self, trial: int) -> float:
        """Over the seeds of a trial with scores."""
        return math.fsum(self.scores[trial].values()) / len(self.scores[trial])

    def runs_of(self, trial: int) -> list[RunRecord]:
        """Its runs, by seed."""
        return [self._runs[key] for key in sorted(self._runs) if key[0] == trial]

    def row(self, trial: int, *, is_first: bool = False) -> ConfirmRow:
        """A config's row, but for where it stands and how it compares."""
        mine, fixed, estimate = self.runs_of(trial), None, None
        confidence = 1.0 - (ALPHA / self._n_configs / self._n_looks if is_first else ALPHA)
        if trial in self.scores:
            fixed = mean_interval(
                list(self.scores[trial].values()),
                confidence=confidence,
                method=self.plan.method,
                step=step_of(self.plan, mine),
            )
            estimate = self._estimate_for_new(fixed, trial, confidence) if self.of_new else fixed
        return ConfirmRow(
            trial=trial,
            status=Status.FIRST,
            baseline=trial == self.plan.baseline,
            scores=self.scores.get(trial, {}),
            estimate=estimate,
            fixed_estimate=fixed,
            confidence=confidence,
            failures=tuple(run for run in mine if run.outcome is not Outcome.COMPLETE),
        )

    def _estimate_for_new(self, fixed: Estimate, trial: int, confidence: float) -> Estimate:
        right = self._rights.get(trial, {})
        if not math.isfinite(fixed.interval.width) or len(right) < _FEWEST_SEEDS:
            return fixed
        estimate = add_image_error(fixed, image_error(right), confidence)
        n = n_images(self.plan, self.runs_of(trial))
        return within_a_share(estimate, n) if self.plan.objective.is_share and n else estimate

    def gains(self) -> dict[int, dict[str, Any]]:
        """Each config's gain over the baseline, as the fields of its row."""
        baseline = self.plan.baseline
        if baseline is None or baseline not in self.scores:
            return {}
        step = step_of(self.plan, self._runs.values())
        fixed = {
            t: gain_over(scores, self.scores[baseline], self.plan.objective.direction, step=step)
            for t, scores in self.scores.items()
            if t != baseline
        }
        gains = {t: self._gain_for_new(gain, t, baseline) for t, gain in fixed.items()}
        p_values = self._corrected({t: gain.p_value for t, gain in gains.items()})
        return {t: {"gain": gains[t], "fixed_gain": fixed[t], "p_gain": p_values[t]} for t in gains}

    def behind(self, order: list[int], dropped: list[int]) -> dict[int, dict[str, Any]]:
        """How much better the first is than each other, as the fields of its row."""
        first, direction = order[0] if order else None, self._contest.direction
        if first is None:
            return {}
        found = {}
        for trial in (*order[1:], *dropped):
            gain = gain_over(self.scores[first], self.scores[trial], direction)
            found[trial] = self._gain_for_new(gain, first, trial)
        p_values = {trial: gain.p_value for trial, gain in found.items()}
        for trial in dropped:
            # It was dropped at the look at which it looked worst: each look had its chance.
            n_seeds = self._contest.beaten[trial]
            p_values[trial] *= sum(look <= n_seeds for look in self._contest.looks)
        p_values = self._corrected(p_values, chosen_reference=True)
        if self._contest.looks:
            # The race has already asked who is worse and spent its part of ``ALPHA``.
            share = ALPHA / (ALPHA - RACE_ALPHA)
            p_values = {trial: min(1.0, share * p) for trial, p in p_values.items()}
        return {trial: {"behind": found[trial], "p_behind": p_values[trial]} for trial in found}

    def _gain_for_new(self, gain: Gain, trial: int, other: int) -> Gain:
        """A gain as it may be claimed; of new examples where this is about them."""
        if not self.of_new or not math.isfinite(gain.estimate.interval.width):
            return gain
        mine, theirs = self._rights.get(trial, {}), self._rights.get(other, {})
        if gain.estimate.method == "paired-t" and len(mine.keys() & theirs.keys()) > 1:
            return gain_for_new_images(gain, image_error(mine, theirs), 1.0 - ALPHA)
        nothing = replace(gain.estimate, standard_error=math.nan, interval=_UNKNOWN)
        return Gain(nothing, math.nan)

    def _corrected(
        self, p_values: Mapping[int, float], *, chosen_reference: bool = False
    ) -> dict[int, float]:
        """P-values after ``holm`` for every config there ever was here, times the looks.

        One that cannot be tested (NaN) counts as a test, and stays as it is.
        """
        trials = [t for t, p in p_values.items() if not math.isnan(p)]
        others = max(self._n_configs - 1, len(p_values)) - len(trials)
        family = [min(1.0, p_values[t]) for t in trials] + [1.0] * others
        corrected = holm(family, chosen_reference=chosen_reference)[: len(trials)]
        found = zip(trials, corrected, strict=True)
        return {**p_values, **{t: min(1.0, self._n_looks * float(p)) for t, p in found}}


_UNKNOWN = Interval(-math.inf, math.inf)
