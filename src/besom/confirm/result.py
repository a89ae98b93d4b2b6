"""What a confirmation has shown: one row a config, from the scores alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from besom.confirm.contest import RACE_ALPHA, Contest, RunKey
from besom.confirm.journal import RunRecord
from besom.confirm.plan import ConfirmPlan
from besom.records import Outcome
from besom.statistics import (
    Estimate,
    Gain,
    Standing,
    gain_over,
    holm,
    mean_interval,
    standings,
    widen_for_images,
)
from besom.study.objective import objective_values

ALPHA = 0.05


class Status(StrEnum):
    """Where a config stands."""

    FIRST = "first"
    TIED = "tied"
    """It cannot be told from the first."""
    BEHIND = "behind"
    """The first is better, with 95 % confidence for all who are behind or beaten together; for the
    baseline with that of the gain over it."""
    BEATEN = "beaten"
    """The same, so early that it got no more seeds."""
    FAILED = "failed"
    """No run of it has a score."""


@dataclass(frozen=True)
class Row:
    """One config over its seeds.

    Attributes:
        trial: whose config it is.
        status: where it stands.
        rank: by the mean, among those that got every seed; None for the others.
        baseline: whether it is the base config.
        scores: by seed, of the runs that have one; nothing else enters any number below.
        estimate: the mean with its interval, these images being fixed; None without a score.
        images: the same for new images too, see ``widen_for_images``; None where that says nothing.
        gain: over the baseline, paired over the seeds they share; None for itself, or without one.
        p_gain: the p-value of ``gain``, Holm-corrected for all configs; NaN if it cannot be told.
        behind: how much better the first is; None for the first.
        p_behind: its p-value, to be held against ``ALPHA``, corrected for all pairs and for the
            race (of the baseline, that of the first one's gain); NaN for the first and the beaten.
        failures: the runs without a score.
    """

    trial: int
    status: Status
    rank: int | None
    baseline: bool
    scores: Mapping[int, float]
    estimate: Estimate | None
    images: Estimate | None
    gain: Gain | None
    p_gain: float
    behind: Gain | None
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
    rows: tuple[Row, ...]
    runs: Mapping[RunKey, RunRecord]
    n_missing: int
    beaten: Mapping[int, int]

    @property
    def first(self) -> Row | None:
        """The config with the best mean; None if no run has a score."""
        return next((row for row in self.rows if row.status is Status.FIRST), None)

    @property
    def tied(self) -> tuple[int, ...]:
        """The trials that cannot be told from the first, itself not included."""
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
    gains = _gains(scored, plan, _step(plan, runs.values()))
    if first is not None and plan.baseline in placed and plan.baseline != first:
        placed[plan.baseline] = _as_the_gain_says(placed[plan.baseline], gains[first][1])
    rows = [_placed_row(plan, t, s, runs, scores[t], gains) for t, s in placed.items()]
    others = sorted(
        (t for t in scored if t not in placed),
        key=lambda t: -contest.beaten[t],  # who lasted longer, then the leaderboard's order
    )
    for trial in others:
        assert first is not None
        behind = gain_over(scored[first], scored[trial], contest.direction)
        rows.append(_row(plan, trial, Status.BEATEN, runs, scores[trial], gains, behind=behind))
    for trial in contest.entrants:
        if trial not in scored and any(key[0] == trial for key in runs):
            rows.append(_row(plan, trial, Status.FAILED, runs, {}, gains))
    missing = contest.n_runs - len(contest.scores)
    return Confirmation(plan, tuple(rows), runs, missing, dict(contest.beaten))


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
    plan: ConfirmPlan,
    trial: int,
    standing: Standing,
    runs: Mapping[RunKey, RunRecord],
    scores: Mapping[int, float],
    gains: Mapping[int, tuple[Gain, float]],
) -> Row:
    if standing.behind is None:
        status = Status.FIRST
    else:
        status = Status.TIED if standing.tied else Status.BEHIND
    return _row(plan, trial, status, runs, scores, gains, standing=standing, behind=standing.behind)


def _row(
    plan: ConfirmPlan,
    trial: int,
    status: Status,
    runs: Mapping[RunKey, RunRecord],
    scores: Mapping[int, float],
    gains: Mapping[int, tuple[Gain, float]],
    standing: Standing | None = None,
    behind: Gain | None = None,
) -> Row:
    mine = [runs[key] for key in sorted(runs) if key[0] == trial]
    step = _step(plan, mine)
    estimate = None
    if scores:
        estimate = mean_interval(list(scores.values()), method=plan.method, step=step)
    gain, p_gain = gains.get(trial, (None, math.nan))
    ranked = standing is not None and standing.behind is not None
    return Row(
        trial=trial,
        status=status,
        rank=None if standing is None else standing.rank,
        baseline=trial == plan.baseline,
        scores=scores,
        estimate=estimate,
        images=_for_new_images(plan, estimate, mine),
        gain=gain,
        p_gain=p_gain,
        behind=behind,
        p_behind=standing.corrected if standing is not None and ranked else math.nan,
        failures=tuple(run for run in mine if run.outcome is not Outcome.COMPLETE),
    )


def _gains(
    scored: Mapping[int, Mapping[int, float]], plan: ConfirmPlan, step: float
) -> dict[int, tuple[Gain, float]]:
    """Each config's gain over the baseline, with its corrected p-value."""
    baseline = plan.baseline
    if baseline is None or baseline not in scored:
        return {}
    direction = plan.objective.direction
    gains = {
        t: gain_over(by_seed, scored[baseline], direction, step=step)
        for t, by_seed in scored.items()
        if t != baseline
    }
    testable = [t for t, gain in gains.items() if not math.isnan(gain.p_value)]
    corrected = dict(zip(testable, holm([gains[t].p_value for t in testable]), strict=True))
    return {t: (gain, float(corrected.get(t, math.nan))) for t, gain in gains.items()}


def _for_new_images(
    plan: ConfirmPlan, estimate: Estimate | None, runs: Sequence[RunRecord]
) -> Estimate | None:
    """The interval for new images: of an accuracy, all seeds on the same test images."""
    n_images = n_test_images(plan, runs)
    if estimate is None or not n_images or "accuracy" not in plan.objective.metric:
        return None
    if not math.isfinite(estimate.interval.width):
        return None
    return widen_for_images(estimate, n_images, 1.0 - ALPHA)


def n_test_images(plan: ConfirmPlan, runs: Iterable[RunRecord]) -> int:
    """How many test images each of these runs was judged on; 0 if that is not one number."""
    sizes = {run.numbers.get("n_test") for run in runs if run.outcome is Outcome.COMPLETE}
    if plan.on != "test" or len(sizes) != 1:
        return 0
    return int(next(iter(sizes)) or 0)


def _step(plan: ConfirmPlan, runs: Iterable[RunRecord]) -> float:
    """What one image is worth in a score; 0 if unknown."""
    n_images = n_test_images(plan, runs) if "accuracy" in plan.objective.metric else 0
    return 1.0 / n_images if n_images else 0.0
