"""What a confirmation has shown: one row per config, from the scores alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from besom.equality import SameFields
from besom.rerun.confirm import new_examples
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.contest import RACE_ALPHA, Contest, RunKey
from besom.rerun.confirm.run_journal import RunRecord
from besom.statistics import (
    Estimate,
    Gain,
    Standing,
    gain_over,
    holm,
    mean_interval,
    standings,
)
from besom.store.records import Outcome
from besom.study.objective import objective_values

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
        new: the same for new examples, see ``besom.rerun.confirm.new_examples``; None where that
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
    rank: int | None
    baseline: bool
    scores: Mapping[int, float]
    estimate: Estimate | None
    new: Estimate | None
    gain: Gain | None
    p_gain: float
    new_gain: Gain | None
    p_new_gain: float
    behind: Gain | None
    new_behind: Gain | None
    p_behind: float
    failures: tuple[RunRecord, ...]


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
        placed = {trial: _after_the_race(standing) for trial, standing in placed.items()}
    first = next(iter(placed), None)
    known = _Known(plan, runs, scores, new_examples.rights(plan, runs, scores))
    gains = _gains(known)
    if first is not None and plan.baseline in placed and plan.baseline != first:
        placed[plan.baseline] = _as_the_gain_says(placed[plan.baseline], gains[first].p_value)
    rows = [_placed_row(known, t, s, first, gains) for t, s in placed.items()]
    others = sorted(
        (t for t in scored if t not in placed),
        key=lambda t: -contest.beaten[t],  # who lasted longer, then the leaderboard's order
    )
    for trial in others:
        assert first is not None
        behind = gain_over(scored[first], scored[trial], contest.direction)
        rows.append(_row(known, trial, Status.BEATEN, gains, first=first, behind=behind))
    for trial in contest.entrants:
        if trial not in scored and any(key[0] == trial for key in runs):
            rows.append(_row(known, trial, Status.FAILED, gains))
    missing = contest.n_runs - len(contest.scores)
    return Confirmation(plan, tuple(rows), runs, missing, dict(contest.beaten))


class _Known(NamedTuple):
    """What all rows are made from."""

    plan: ConfirmPlan
    runs: Mapping[RunKey, RunRecord]
    scores: Mapping[int, Mapping[int, float]]
    rights: new_examples.Rights

    def of_new_images(self, gain: Gain | None, trial: int, other: int) -> Gain | None:
        """The gain of a trial over another, for new examples."""
        mine, theirs = self.rights.get(trial, {}), self.rights.get(other, {})
        return new_examples.gain_on_new_images(gain, mine, theirs, 1.0 - ALPHA)


class _Gained(NamedTuple):
    """A gain over the baseline, on these examples and for new ones, with corrected p-values."""

    gain: Gain | None = None
    p_value: float = math.nan
    new: Gain | None = None
    p_new: float = math.nan


def _after_the_race(standing: Standing) -> Standing:
    """A standing decided with what the race has left of ``ALPHA``.

    The race has already asked who is worse and spent its part; so "behind" and "beaten" together
    are wrong in ``ALPHA`` of confirmations at most.
    """
    corrected = min(1.0, standing.corrected * ALPHA / (ALPHA - RACE_ALPHA))
    return replace(standing, corrected=corrected, tied=corrected > ALPHA)


def _as_the_gain_says(baseline: Standing, p_gain: float) -> Standing:
    """The baseline's standing, decided by the test of the first one's gain over it.

    That the first is better than the baseline is asked once, as a gain: the baseline was not
    picked by these scores, so its test needs a milder correction than those between the others.
    """
    p_value = 1.0 if math.isnan(p_gain) else p_gain
    return replace(baseline, corrected=p_value, tied=p_value > ALPHA)


def _placed_row(
    known: _Known,
    trial: int,
    standing: Standing,
    first: int | None,
    gains: Mapping[int, _Gained],
) -> ConfirmRow:
    if standing.behind is None:
        n_picked_from = sum(bool(by_seed) for by_seed in known.scores.values())
        alpha = ALPHA / n_picked_from
        return _row(known, trial, Status.FIRST, gains, rank=standing.rank, alpha=alpha)
    status = Status.TIED if standing.tied else Status.BEHIND
    row = _row(known, trial, status, gains, rank=standing.rank, first=first, behind=standing.behind)
    return replace(row, p_behind=standing.corrected)


def _row(
    known: _Known,
    trial: int,
    status: Status,
    gains: Mapping[int, _Gained],
    *,
    rank: int | None = None,
    first: int | None = None,
    behind: Gain | None = None,
    alpha: float = ALPHA,
) -> ConfirmRow:
    plan, scores = known.plan, known.scores[trial]
    mine = [known.runs[key] for key in sorted(known.runs) if key[0] == trial]
    estimate = None
    if scores:
        step = new_examples.step(plan, mine)
        values = list(scores.values())
        estimate = mean_interval(values, confidence=1.0 - alpha, method=plan.method, step=step)
    right = known.rights.get(trial, {})
    gained = gains.get(trial, _Gained())
    return ConfirmRow(
        trial=trial,
        status=status,
        rank=rank,
        baseline=trial == plan.baseline,
        scores=scores,
        estimate=estimate,
        new=new_examples.score_on_new_images(plan, estimate, right, mine, 1.0 - alpha),
        gain=gained.gain,
        p_gain=gained.p_value,
        new_gain=gained.new,
        p_new_gain=gained.p_new,
        behind=behind,
        new_behind=None if first is None else known.of_new_images(behind, first, trial),
        p_behind=math.nan,
        failures=tuple(run for run in mine if run.outcome is not Outcome.COMPLETE),
    )


def _gains(known: _Known) -> dict[int, _Gained]:
    """Each config's gain over the baseline."""
    plan, scored = known.plan, {t: scores for t, scores in known.scores.items() if scores}
    baseline = plan.baseline
    if baseline is None or baseline not in scored:
        return {}
    step = new_examples.step(plan, known.runs.values())
    gains = {
        t: gain_over(by_seed, scored[baseline], plan.objective.direction, step=step)
        for t, by_seed in scored.items()
        if t != baseline
    }
    new = {t: known.of_new_images(gain, t, baseline) for t, gain in gains.items()}
    p_values, p_new = _corrected(gains), _corrected(new)
    return {t: _Gained(gains[t], p_values[t], new[t], p_new[t]) for t in gains}


def _corrected(gains: Mapping[int, Gain | None]) -> dict[int, float]:
    """Each gain's p-value after ``holm``; NaN where it cannot be tested."""
    p_values = {t: math.nan if gain is None else gain.p_value for t, gain in gains.items()}
    known = [t for t, p_value in p_values.items() if not math.isnan(p_value)]
    corrected = holm([p_values[t] for t in known])
    return p_values | {t: float(p) for t, p in zip(known, corrected, strict=True)}
