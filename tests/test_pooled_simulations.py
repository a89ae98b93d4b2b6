"""Trials of several runs held to their word: simulated studies of which the truth is known.

Rates from larger runs, by benchmarks/honesty.py, stand in docs/what-may-i-claim.md.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from simulated.pooled import KINDS, Runs, equals
from simulated.pooled_trials import (
    LOSS,
    mean_run,
    share_run,
    study_of,
    trial_of,
)

from besom.statistics import claim
from besom.store.records import Objective, TrialRecord
from user_project import run_long

pytestmark = pytest.mark.slow


def limit(rate: float, n: int, errors: float = 3.5) -> float:
    """How far a simulated rate may be off."""
    return errors * math.sqrt(rate * (1.0 - rate) / n)


@pytest.mark.parametrize(
    ("kind", "n_folds", "n_repeats", "n_studies"),
    [
        ("share", 5, 2, 25),
        ("loss", 5, 1, 30),
        *run_long(
            ("share", 5, 1, 100),
            ("share", 1, 3, 25),
            ("loss", 5, 2, 25),
            ("auc", 5, 1, 30),
            ("auc", 5, 2, 20),
        ),
    ],
)
def test_intervals_hold_and_equal_trials_are_tied_over_folds_and_repeats(
    kind: str, n_folds: int, n_repeats: int, n_studies: int
) -> None:
    once, rng = equals(kind, n_folds, n_repeats, n_trials=6), np.random.default_rng(0)
    studies = [once(rng) for _ in range(n_studies)]
    seen = {column: np.array([study[column] for study in studies]) for column in studies[0]}
    assert seen["coverage"].mean() >= 0.95 - limit(0.95, n_studies)
    assert seen["ties/false"].mean() <= 0.05 + limit(0.05, n_studies)
    assert seen["gain/false"].mean() <= 0.05 + limit(0.05, n_studies)
    assert seen["bias before"].mean() > seen["bias"].mean()
    assert abs(seen["bias"].mean()) < 3.5 * seen["bias"].std() / math.sqrt(n_studies)


@pytest.mark.parametrize(
    ("kind", "n_folds", "n_repeats"),
    [("share", 5, 1), ("loss", 5, 2), *run_long(("share", 1, 3), ("auc", 5, 1))],
)
def test_the_interval_of_a_trial_that_was_not_picked_holds(
    kind: str, n_folds: int, n_repeats: int, tmp_path: Path
) -> None:
    objective, draw, level = KINDS[kind]
    last = Objective(objective.metric, objective.direction, "last")
    rng = np.random.default_rng(1)
    n_trials, held = 100, 0
    for _ in range(n_trials):
        worths = level + 0.1 * rng.standard_normal((n_repeats, n_folds))
        runs, truth = draw(worths, rng.standard_normal(500), rng)
        trial = trial_of(0, runs, last, tmp_path)
        interval = claim(study_of([trial], last), n_draws=2).rows[0].interval
        assert interval is not None
        held += interval.low <= truth <= interval.high
    assert held / n_trials == pytest.approx(0.95, abs=limit(0.95, n_trials))


def test_groups_of_folds_of_unequal_size_have_an_interval_that_holds(tmp_path: Path) -> None:
    """The groups of some folds are three times as large, and alike within."""
    rng = np.random.default_rng(2)
    n_trials, held = 100, 0
    for _ in range(n_trials):
        folds = []
        for size in (3, 9, 3, 9):
            means = 1.0 + 0.5 * rng.standard_normal(40)
            values = means[:, None] + rng.standard_normal((40, size))
            folds.append(mean_run(values.mean(axis=1), units=40 * size))
        study = study_of([trial_of(0, [folds], LOSS, tmp_path)], LOSS)
        interval = claim(study, n_draws=2).rows[0].interval
        assert interval is not None
        held += interval.low <= 1.0 <= interval.high
    assert held / n_trials == pytest.approx(0.95, abs=limit(0.95, n_trials))


# What folds are for


def ridge_runs(x: np.ndarray, y: np.ndarray, parts: list[np.ndarray], strength: float) -> Runs:
    """Linear classifiers of the digits, each judged on one part and trained on all others."""
    runs = []
    for held in parts:
        kept = np.setdiff1d(np.arange(len(x)), held)
        square = x[kept].T @ x[kept] + strength * np.eye(x.shape[1])
        weights = np.linalg.solve(square, x[kept].T @ np.eye(10)[y[kept]])
        runs.append(share_run((x[held] @ weights).argmax(axis=1) == y[held]))
    return [runs]


def test_on_digits_the_leaders_interval_is_as_much_narrower_as_1437_examples_promise() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(1797)[:1437]
    x = np.c_[digits.data[order] / 16.0, np.ones(1437)]
    y = digits.target[order]
    folds = np.array_split(np.arange(1437), 5)

    def study(parts: list[np.ndarray]) -> list[TrialRecord]:
        strengths = np.geomspace(1e-2, 1e3, 12)
        return [trial_of(i, ridge_runs(x, y, parts, s)) for i, s in enumerate(strengths)]

    one, five = claim(study_of(study([folds[0]]))), claim(study_of(study(folds)))
    assert one.interval is not None
    assert five.interval is not None
    assert one.interval.width / five.interval.width == pytest.approx(math.sqrt(5), rel=0.2)
    assert len(five.tied) < len(one.tied)
