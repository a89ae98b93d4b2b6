"""What a confirmation has shown, as data: one row per config, the first one first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from besom.equality import SameFields
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.contest import Contest, RunKey
from besom.rerun.confirm.run_journal import RunRecord
from besom.statistics import (
    Estimate,
    Gain,
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
    """The first is better, with 95 % confidence for all who are behind together; for the baseline
    with that of the gain over it."""
    FAILED = "failed"
    """No run of it has a score."""


@dataclass(frozen=True)
class Multiplicity:
    """How many chances luck has had on these examples, in this confirmation and in earlier ones.

    Attributes:
        n_configs: configs that were measured on them.
        n_looks: reports that were made after runs were added; to print one again is no look.
    """

    n_configs: int = 0
    n_looks: int = 1

    @classmethod
    def of(cls, plan: ConfirmPlan, runs: Iterable[RunRecord]) -> Multiplicity:
        """Of all runs in a study's journal, those on the examples of this plan."""
        mine = [run for run in runs if _on_its_examples(plan, run)]
        looks = {run.look for run in mine}
        return cls(len({run.trial for run in mine}), max(len(looks), 1))


def _on_its_examples(plan: ConfirmPlan, run: RunRecord) -> bool:
    if run.outcome is not Outcome.COMPLETE or plan.on == "test":
        return run.outcome is Outcome.COMPLETE and run.on == "test"
    if plan.new_split:
        return run.split_seed == run.seed
    data = plan.entrants[0].config.get("data")
    return run.split_seed == (data.get("split_seed") if isinstance(data, Mapping) else None)


@dataclass(frozen=True, eq=False)
class ConfirmRow(SameFields):
    """One config over its seeds.

    Whatever is estimated is for new examples, if ``Confirmation.of_new`` says so; what begins with
    ``fixed_`` is for these very ones. Both allow for other seeds.

    Attributes:
        trial: whose config it is.
        status: where it stands.
        rank: by the mean, among those that got every seed; None for the others.
        baseline: whether it is the base config.
        scores: by seed, of the runs that have one; nothing else enters any number below.
        estimate: the mean with its interval; None without a score. The first was picked from K by
            its mean, at one of L looks, so its interval has the confidence 1 - ``ALPHA``/(K L)
            (Bonferroni): it holds whichever of the K turned out to be first.
        confidence: of that interval.
        gain: over the baseline, paired over the seeds they share; None for itself, or without one.
        p_gain: the p-value of ``gain``, Holm-corrected for all configs, times the looks; NaN if it
            cannot be tested.
        behind: how much better the first is; None for the first.
        p_behind: its p-value, to be compared with ``ALPHA``, corrected for all pairs, the race and
            the looks (of the baseline, that of the first one's gain); NaN for the first.
        failures: the runs without a score.
    """

    trial: int
    status: Status
    baseline: bool
    scores: Mapping[int, float]
    estimate: Estimate | None = None
    fixed_estimate: Estimate | None = None
    confidence: float = 1.0 - ALPHA
    gain: Gain | None = None
    fixed_gain: Gain | None = None
    p_gain: float = math.nan
    behind: Gain | None = None
    p_behind: float = math.nan
    failures: tuple[RunRecord, ...] = ()
    rank: int | None = None


@dataclass(frozen=True)
class Confirmation:
    """A confirmation as it stands.

    Attributes:
        plan: what was asked.
        rows: the first one first.
        runs: every run that counts, by trial and seed.
        n_missing: runs that are still to be made; above 0 if it was interrupted.
        dropped: trial to the seeds it was given before the race gave it no more.
        of_new: whether it speaks of new examples; else of these, with other seeds.
        looked: what the p-values are corrected for.
    """

    plan: ConfirmPlan
    rows: tuple[ConfirmRow, ...]
    runs: Mapping[RunKey, RunRecord]
    n_missing: int
    dropped: Mapping[int, int]
    of_new: bool
    looked: Multiplicity

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


def n_images(plan: ConfirmPlan, runs: Iterable[RunRecord]) -> int:
    """How many images each of these runs was judged on; 0 if that is not one number."""
    sizes = {
        run.numbers.get("n_test", 0.0) if plan.on == "test" else run.n_images
        for run in runs
        if run.outcome is Outcome.COMPLETE and run.on == plan.on
    }
    return int(next(iter(sizes))) if len(sizes) == 1 else 0
