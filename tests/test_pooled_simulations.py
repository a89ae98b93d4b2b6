"""Trials of several runs held to their word: simulated studies of which the truth is known.

Every model, of each trial, fold and repeat, is worth something of its own. A trial is worth the
mean of its models, and equal trials have models of the same worths, dealt to the folds in another
order. Rates from larger runs stand in docs/what-may-i-claim.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from tests.pooled_trials import (
    ACCURACY,
    AUC,
    LOSS,
    drawn_run,
    in_folds,
    mean_run,
    share_run,
    study_of,
    trial_of,
)

from besom.seam import TrialResult
from besom.statistics import claim
from besom.store.records import Objective, TrialRecord

pytestmark = pytest.mark.slow

Random = np.random.Generator

#: The results of one trial, by repeat and fold.
Runs = list[list[TrialResult]]

N_EPOCHS = 3


def limit(rate: float, n: int, errors: float = 3.5) -> float:
    """How far a simulated rate may be off."""
    return errors * math.sqrt(rate * (1.0 - rate) / n)


def margins(n: int, rng: Random, shared: np.ndarray) -> np.ndarray:
    """By how much a model is right about each example after each epoch, shape (n_epochs, n).

    Two models share three quarters of their luck, and two epochs most of the rest.
    """
    stays = rng.random((N_EPOCHS, n)) < 0.8
    own = np.where(stays, rng.standard_normal(n), rng.standard_normal((N_EPOCHS, n)))
    return math.sqrt(0.75) * shared + 0.5 * own


def share_trial(worths: np.ndarray, shared: np.ndarray, rng: Random) -> tuple[Runs, float]:
    """A trial by the worth of its models, shape (n_repeats, n_folds), and its true accuracy."""
    n_folds, n = worths.shape[1], shared.size
    levels = np.repeat(worths, n // n_folds, axis=1)
    runs = [in_folds(level + margins(n, rng, shared) > 0, n_folds) for level in levels]
    return runs, float(norm.cdf(worths).mean())


def loss_trial(worths: np.ndarray, shared: np.ndarray, rng: Random) -> tuple[Runs, float]:
    """The same for a squared error, whose models scatter by ``exp(worth)``; lower is better."""
    n_folds, n = worths.shape[1], shared.size
    scales = np.repeat(0.4 * np.exp(-worths), n // n_folds, axis=1)
    runs = []
    for scale in scales:
        own = (margins(n, rng, shared) - math.sqrt(0.75) * shared) * 2.0
        errors = (shared + scale * own) ** 2
        runs.append([mean_run(part) for part in np.array_split(errors, n_folds, axis=1)])
    return runs, float(1.0 + np.mean((0.4 * np.exp(-worths)) ** 2))


def auc_trial(worths: np.ndarray, shared: np.ndarray, rng: Random) -> tuple[Runs, float]:
    """The same for an area under the curve, of one epoch, on 150 draws."""
    n_folds = worths.shape[1]
    runs = []
    for of_repeat in worths:
        parts = zip(of_repeat, np.array_split(shared, n_folds), strict=True)
        runs.append([auc_run(worth, part, rng) for worth, part in parts])
    return runs, float(norm.cdf((1.2 + worths) / math.sqrt(2.0)).mean())


def auc_run(worth: float, shared: np.ndarray, rng: Random) -> TrialResult:
    n = shared.size
    positive = np.arange(n) >= 0.6 * n  # sorted by class: the hard case for draws that are alike
    scores = (1.2 + worth) * positive + 0.8 * shared + 0.6 * rng.standard_normal(n)
    draws = np.random.default_rng(n).integers(n, size=(150, n))  # in all folds of one size
    counts = np.stack([np.bincount(draw, minlength=n) for draw in draws]).astype(np.float32)
    parts = [area(scores, positive, w) for w in (np.ones((1, n)), counts, counts == 0)]
    return drawn_run(parts[0].tolist(), np.stack(parts[1:]), n)


def area(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The area under the curve for each row of weights, (n_draws, n)."""
    above, below = weights[:, positive].astype(float), weights[:, ~positive].astype(float)
    wins = (scores[positive][:, None] > scores[~positive]).astype(float)
    return ((above @ wins) * below).sum(axis=1) / above.sum(axis=1) / below.sum(axis=1)


KINDS: dict[str, tuple[Objective, Callable[..., tuple[Runs, float]], float]] = {
    "share": (ACCURACY, share_trial, norm.ppf(0.93)),
    "loss": (LOSS, loss_trial, 0.0),
    "auc": (AUC, auc_trial, 0.0),
}


@pytest.mark.parametrize(
    ("kind", "n_folds", "n_repeats", "n_studies"),
    [
        ("share", 5, 1, 100),
        ("share", 1, 3, 25),
        ("share", 5, 2, 25),
        ("loss", 5, 1, 30),
        ("loss", 5, 2, 25),
        ("auc", 5, 1, 30),
        ("auc", 5, 2, 20),
    ],
)
def test_intervals_hold_and_equal_trials_are_tied_over_folds_and_repeats(
    kind: str, n_folds: int, n_repeats: int, n_studies: int, tmp_path: Path
) -> None:
    objective, draw, level = KINDS[kind]
    rng = np.random.default_rng(0)
    n, n_trials = 500, 6
    held, untied, gained, raw, corrected = 0, 0, 0, [], []
    for seed in range(n_studies):
        shared = rng.standard_normal(n)
        worths = level + 0.1 * rng.standard_normal((n_repeats, n_folds))
        pairs = [draw(rng.permuted(worths, axis=1), shared, rng) for _ in range(n_trials)]
        truth = pairs[0][1]
        trials = [
            trial_of(i, runs, objective, tmp_path, baseline=i == 0)
            for i, (runs, _) in enumerate(pairs)
        ]
        found = claim(study_of(trials, objective), n_draws=100, seed=seed)
        assert found.interval is not None
        assert found.raw is not None
        assert found.corrected is not None
        held += found.interval.low <= truth <= found.interval.high
        untied += len(found.tied) < n_trials - 1
        gained += found.baseline is not None and found.baseline.shown
        raw.append(objective.sign * (found.raw - truth))
        corrected.append(objective.sign * (found.corrected - truth))
    error = np.std(corrected) / math.sqrt(n_studies)
    assert held / n_studies >= 0.95 - limit(0.95, n_studies)
    assert untied / n_studies <= 0.05 + limit(0.05, n_studies)
    assert gained / n_studies <= 0.05 + limit(0.05, n_studies)
    assert np.mean(raw) > np.mean(corrected)
    assert abs(np.mean(corrected)) < 3.5 * error


@pytest.mark.parametrize(
    ("kind", "n_folds", "n_repeats"),
    [("share", 5, 1), ("share", 1, 3), ("loss", 5, 2), ("auc", 5, 1)],
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
