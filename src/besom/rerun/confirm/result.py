"""What a confirmation has shown: one row per config, from scores and from those on each example.

Every seed of a confirmation is measured on the same examples, so its scores hold the luck of the
seed but not that of the examples. Runs store what they scored on each; ``rights_of`` makes of that
what may be claimed of new ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from besom.equality import SameFields
from besom.errors import StudyError
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.contest import RACE_ALPHA, Contest, RunKey
from besom.rerun.confirm.run_journal import RunRecord
from besom.statistics import (
    Estimate,
    Gain,
    RightBySeed,
    ScoredRow,
    Standing,
    add_image_error,
    gain_for_new_images,
    gain_over,
    holm,
    image_error,
    mean_interval,
    scored,
    standings,
    widen_for_images,
)
from besom.store.records import Objective, Outcome, TrialRecord
from besom.study.objective import objective_values

#: Trial to what each of its seeds scored on each example; without trials and seeds of which that is
#: not known.
Rights = Mapping[int, RightBySeed]


def n_images(plan: ConfirmPlan, runs: Iterable[RunRecord]) -> int:
    """How many images each of these runs was judged on; 0 if that is not one number."""
    sizes = {
        run.numbers.get("n_test", 0.0) if plan.on == "test" else run.n_images
        for run in runs
        if run.outcome is Outcome.COMPLETE and run.on == plan.on
    }
    return int(next(iter(sizes))) if len(sizes) == 1 else 0


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


def score_on_new_images(
    plan: ConfirmPlan,
    estimate: Estimate | None,
    right: RightBySeed,
    runs: Iterable[RunRecord],
    confidence: float,
) -> Estimate | None:
    """A mean for new examples; without bits, of test images, by their number.

    None where nothing can be said, as of a loss or over a single seed.
    """
    if estimate is None or not math.isfinite(estimate.interval.width):
        return None
    error = image_error(right)
    if math.isfinite(error):
        return add_image_error(estimate, error, confidence)
    n = n_images(plan, runs)
    if plan.on != "test" or not n or not plan.objective.is_share:
        return None
    return widen_for_images(estimate, n, confidence)


def gain_on_new_images(
    gain: Gain | None, right: RightBySeed, other: RightBySeed, confidence: float
) -> Gain | None:
    """A gain for new examples; None where too few seeds of both have bits, or are paired."""
    if gain is None or not math.isfinite(gain.estimate.interval.width):
        return None
    error = image_error(right, other)
    if not math.isfinite(error) or gain.estimate.method != "paired-t":
        return None
    return gain_for_new_images(gain, error, confidence)


ALPHA = 0.05


class Status(StrEnum):
    """Where a config stands."""

    FIRST = "first"
    TIED = "tied"
    """It is not distinguishable from the first."""
    BEHIND = "behind"
    """The first is better, with 95 % confidence for all who are behind or beaten together; for the
    baseline with that of the gain over it."""
    BEATEN = "beaten"
    """The same, so early that it got no more seeds."""
    FAILED = "failed"
    """No run of it has a score."""


@dataclass(frozen=True, eq=False)
class ConfirmRow(SameFields):
    """One config over its seeds.

    Attributes:
        trial: whose config it is.
        status: where it stands.
        rank: by the mean, among those that got every seed; None for the others.
        baseline: whether it is the base config.
        scores: by seed, of the runs that have one; nothing else enters any number below.
        estimate: the mean with its interval, these examples being fixed; None without a score. The
            first was picked from K by its mean, so its interval has the confidence 1 - ``ALPHA``/K
            (Bonferroni): it holds whichever of the K turned out to be first.
        new: the same for new examples, see ``besom.rerun.confirm.result``; None where that
            says nothing.
        gain: over the baseline, paired over the seeds they share; None for itself, or without one.
        p_gain: the p-value of ``gain``, Holm-corrected for all configs; NaN if it cannot be tested.
        new_gain: the gain for new examples; None where that says nothing.
        p_new_gain: its p-value, corrected in the same way.
        behind: how much better the first is; None for the first.
        new_behind: the same for new examples; None where that says nothing.
        p_behind: its p-value, to be compared with ``ALPHA``, corrected for all pairs and for the
            race (of the baseline, that of the first one's gain); NaN for the first and the beaten.
        failures: the runs without a score.
    """

    trial: int
    status: Status
    baseline: bool
    scores: Mapping[int, float]
    estimate: Estimate | None
    new: Estimate | None
    behind: Gain | None
    new_behind: Gain | None
    failures: tuple[RunRecord, ...]
    rank: int | None = None
    gain: Gain | None = None
    p_gain: float = math.nan
    new_gain: Gain | None = None
    p_new_gain: float = math.nan
    p_behind: float = math.nan


@dataclass(frozen=True)
class Confirmation:
    """A confirmation as it stands.

    Attributes:
        plan: what was asked.
        rows: the first one first.
        runs: every run that counts, by trial and seed.
        n_missing: runs that are still to be made; above 0 if it was interrupted.
        beaten: trial to the seeds it was given before it was beaten.
    """

    plan: ConfirmPlan
    rows: tuple[ConfirmRow, ...]
    runs: Mapping[RunKey, RunRecord]
    n_missing: int
    beaten: Mapping[int, int]

    @property
    def first(self) -> ConfirmRow | None:
        """The config with the best mean; None if no run has a score."""
        return next((row for row in self.rows if row.status is Status.FIRST), None)

    @property
    def tied(self) -> tuple[int, ...]:
        """The trials that are not distinguishable from the first, itself not included."""
        return tuple(row.trial for row in self.rows if row.status is Status.TIED)


def score_of(plan: ConfirmPlan, run: RunRecord) -> float | None:
    """The score of a run; None if it failed.

    Raises:
        ConfigError: a complete run does not report the metric.
    """
    if run.outcome is not Outcome.COMPLETE:
        return None
    cost = {"seconds": run.seconds, "cpu_seconds": run.cpu_seconds}
    return objective_values([plan.objective], run.history, {**run.numbers, **cost})[0]


def make_contest(plan: ConfirmPlan) -> Contest:
    """The contest of a plan, before any run."""
    return Contest(
        entrants=[trial.number for trial in plan.entrants],
        seeds=plan.seeds,
        baseline=plan.baseline,
        direction=plan.objective.direction,
        racing=plan.race,
    )


def summarise(
    plan: ConfirmPlan, contest: Contest, runs: Mapping[RunKey, RunRecord]
) -> Confirmation:
    """Compute every row of a confirmation, complete or not.

    Those who were beaten early are not ranked with the others: their means are over fewer seeds.
    """
    scores = {t: contest.scores_of(t) for t in contest.entrants}
    scored = {t: by_seed for t, by_seed in scores.items() if by_seed}
    finalists = {t: by_seed for t, by_seed in scored.items() if t not in contest.beaten}
    placed = standings(finalists, contest.direction, alpha=ALPHA, method=plan.method)
    if contest.looks:
        # The race has already asked who is worse and spent its part of ``ALPHA``: so "behind" and
        # "beaten" together are wrong in ``ALPHA`` of confirmations at most.
        left = ALPHA - RACE_ALPHA
        placed = {t: _decided(s, s.corrected * ALPHA / left) for t, s in placed.items()}
    first = next(iter(placed), None)
    known = _Known(plan, runs, scores, rights_of(plan, runs, scores))
    gains = _gains(known)
    if first is not None and plan.baseline in placed and plan.baseline != first:
        # That the first is better than the baseline is asked once, as a gain: the baseline was not
        # picked by these scores, so its test needs a milder correction than the others'.
        placed[plan.baseline] = _decided(placed[plan.baseline], gains[first]["p_gain"])
    rows = []
    for trial, standing in placed.items():
        if standing.behind is None:
            row = _row(known, trial, Status.FIRST, alpha=ALPHA / len(scored))
        else:
            status = Status.TIED if standing.tied else Status.BEHIND
            row = _row(known, trial, status, first, standing.behind)
            row = replace(row, p_behind=standing.corrected)
        rows.append(replace(row, rank=standing.rank))
    others = sorted(
        (t for t in scored if t not in placed),
        key=lambda t: -contest.beaten[t],  # who lasted longer, then the leaderboard's order
    )
    for trial in others:
        assert first is not None
        behind = gain_over(scored[first], scored[trial], contest.direction)
        rows.append(_row(known, trial, Status.BEATEN, first, behind))
    for trial in contest.entrants:
        if trial not in scored and any(key[0] == trial for key in runs):
            rows.append(_row(known, trial, Status.FAILED))
    rows = [replace(row, **gains.get(row.trial, {})) for row in rows]
    missing = contest.n_runs - len(contest.scores)
    return Confirmation(plan, tuple(rows), runs, missing, dict(contest.beaten))


class _Known(NamedTuple):
    """What all rows are made from."""

    plan: ConfirmPlan
    runs: Mapping[RunKey, RunRecord]
    scores: Mapping[int, Mapping[int, float]]
    rights: Rights

    def of_new_images(self, gain: Gain | None, trial: int, other: int) -> Gain | None:
        """The gain of a trial over another, for new examples."""
        mine, theirs = self.rights.get(trial, {}), self.rights.get(other, {})
        return gain_on_new_images(gain, mine, theirs, 1.0 - ALPHA)


def _decided(standing: Standing, p_value: float) -> Standing:
    """A standing that another p-value decides; NaN, of what cannot be tested, shows nothing."""
    p_value = 1.0 if math.isnan(p_value) else min(1.0, p_value)
    return replace(standing, corrected=p_value, tied=p_value > ALPHA)


def _row(
    known: _Known,
    trial: int,
    status: Status,
    first: int | None = None,
    behind: Gain | None = None,
    alpha: float = ALPHA,
) -> ConfirmRow:
    """A config's row, but for its rank and its gain over the baseline."""
    plan, scores = known.plan, known.scores[trial]
    mine = [known.runs[key] for key in sorted(known.runs) if key[0] == trial]
    estimate = None
    if scores:
        estimate = mean_interval(
            list(scores.values()),
            confidence=1.0 - alpha,
            method=plan.method,
            step=step_of(plan, mine),
        )
    return ConfirmRow(
        trial=trial,
        status=status,
        baseline=trial == plan.baseline,
        scores=scores,
        estimate=estimate,
        new=score_on_new_images(plan, estimate, known.rights.get(trial, {}), mine, 1.0 - alpha),
        behind=behind,
        new_behind=None if first is None else known.of_new_images(behind, first, trial),
        failures=tuple(run for run in mine if run.outcome is not Outcome.COMPLETE),
    )


def _gains(known: _Known) -> dict[int, dict[str, Any]]:
    """Each config's gain over the baseline, as the fields of its row."""
    plan, scored = known.plan, {t: scores for t, scores in known.scores.items() if scores}
    baseline = plan.baseline
    if baseline is None or baseline not in scored:
        return {}
    step = step_of(plan, known.runs.values())
    gains = {
        t: gain_over(by_seed, scored[baseline], plan.objective.direction, step=step)
        for t, by_seed in scored.items()
        if t != baseline
    }
    new = {t: known.of_new_images(gain, t, baseline) for t, gain in gains.items()}
    p_gain, p_new = _corrected(gains), _corrected(new)
    return {
        t: {"gain": gains[t], "p_gain": p_gain[t], "new_gain": new[t], "p_new_gain": p_new[t]}
        for t in gains
    }


def _corrected(gains: Mapping[int, Gain | None]) -> dict[int, float]:
    """Each gain's p-value after ``holm``; NaN where it cannot be tested."""
    p_values = {t: math.nan if gain is None else gain.p_value for t, gain in gains.items()}
    known = [t for t, p_value in p_values.items() if not math.isnan(p_value)]
    corrected = holm([p_values[t] for t in known])
    return p_values | {t: float(p) for t, p in zip(known, corrected, strict=True)}
