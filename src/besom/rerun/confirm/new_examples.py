"""The luck of the examples: from what each run scored on each to what may be claimed of new ones.

Every seed of a confirmation is measured on the same examples, so its scores hold the luck of the
seed but not that of the examples. Runs store what they scored on each; here that becomes the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from besom.errors import StudyError
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.contest import RunKey
from besom.rerun.confirm.run_journal import RunRecord
from besom.statistics import (
    Estimate,
    Gain,
    RightBySeed,
    ScoredRow,
    add_image_error,
    gain_for_new_images,
    image_error,
    scored,
    widen_for_images,
)
from besom.store.records import Objective, Outcome, TrialRecord

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


def step(plan: ConfirmPlan, runs: Iterable[RunRecord]) -> float:
    """What one image is worth in a score; 0 if unknown."""
    n = n_images(plan, runs) if plan.objective.is_share else 0
    return 1.0 / n if n else 0.0


def rights(
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
