"""Trials of several runs, whose truth is known: folds and repeats.

Every model, of each trial, fold and repeat, is worth something of its own. A trial is worth the
mean of its models, and equal trials have models of the same worths, dealt to the folds in another
order.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import norm

from besom.seam import TrialResult
from besom.statistics import claim
from besom.store.records import Objective
from simulated.cells import Cell, Random, Seen, draw_seed, holds
from simulated.pooled_trials import (
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
from simulated.worlds import Floats, area

#: The results of one trial, by repeat and fold.
Runs = list[list[TrialResult]]

N_EPOCHS = 3


def margins(n: int, rng: Random, shared: Floats) -> Floats:
    """By how much a model is right about each example after each epoch, shape (n_epochs, n).

    Two models share three quarters of their luck, and two epochs most of the rest.
    """
    stays = rng.random((N_EPOCHS, n)) < 0.8
    own = np.where(stays, rng.standard_normal(n), rng.standard_normal((N_EPOCHS, n)))
    return math.sqrt(0.75) * shared + 0.5 * own


def share_trial(worths: Floats, shared: Floats, rng: Random) -> tuple[Runs, float]:
    """A trial by the worth of its models, shape (n_repeats, n_folds), and its true accuracy."""
    n_folds, n = worths.shape[1], shared.size
    levels = np.repeat(worths, n // n_folds, axis=1)
    runs = []
    for level in levels:
        right = level + margins(n, rng, shared) > 0
        runs.append(in_folds(right, n_folds) if n_folds > 1 else [share_run(right)])
    return runs, float(norm.cdf(worths).mean())


def loss_trial(worths: Floats, shared: Floats, rng: Random) -> tuple[Runs, float]:
    """The same for a squared error, whose models scatter by ``exp(worth)``; lower is better."""
    n_folds, n = worths.shape[1], shared.size
    scales = np.repeat(0.4 * np.exp(-worths), n // n_folds, axis=1)
    runs = []
    for scale in scales:
        own = (margins(n, rng, shared) - math.sqrt(0.75) * shared) * 2.0
        errors = (shared + scale * own) ** 2
        runs.append([mean_run(part) for part in np.array_split(errors, n_folds, axis=1)])
    return runs, float(1.0 + np.mean((0.4 * np.exp(-worths)) ** 2))


def auc_trial(worths: Floats, shared: Floats, rng: Random) -> tuple[Runs, float]:
    """The same for an area under the curve, of one epoch, on 150 draws."""
    n_folds = worths.shape[1]
    runs = []
    for of_repeat in worths:
        parts = zip(of_repeat, np.array_split(shared, n_folds), strict=True)
        runs.append([auc_run(worth, part, rng) for worth, part in parts])
    return runs, float(norm.cdf((1.2 + worths) / math.sqrt(2.0)).mean())


def auc_run(worth: float, shared: Floats, rng: Random) -> TrialResult:
    """One fold of it."""
    n = shared.size
    positive = np.arange(n) >= 0.6 * n  # sorted by class: the hard case for draws that are alike
    scores = (1.2 + worth) * positive + 0.8 * shared + 0.6 * rng.standard_normal(n)
    draws = np.random.default_rng(n).integers(n, size=(150, n))  # in all folds of one size
    counts = np.stack([np.bincount(draw, minlength=n) for draw in draws]).astype(np.float32)
    parts = [area(scores, positive, w) for w in (np.ones((1, n)), counts, counts == 0)]
    return drawn_run(parts[0].tolist(), np.stack(parts[1:]), n)


#: The objective, a trial of it, and what its models are worth on average.
KINDS: dict[str, tuple[Objective, Callable[..., tuple[Runs, float]], float]] = {
    "share": (ACCURACY, share_trial, float(norm.ppf(0.93))),
    "loss": (LOSS, loss_trial, 0.0),
    "auc": (AUC, auc_trial, 0.0),
}


def equals(
    kind: str, n_folds: int, n_repeats: int, n_trials: int, n: int = 500
) -> Callable[[Random], Seen]:
    """A study of equal trials, each with the best of three epochs, of ``n`` examples.

    Before: the leader's score as it stands, with the interval of its row.
    """
    objective, draw, level = KINDS[kind]

    def once(rng: Random) -> Seen:
        shared = rng.standard_normal(n)
        worths = level + 0.1 * rng.standard_normal((n_repeats, n_folds))
        pairs = [draw(rng.permuted(worths, axis=1), shared, rng) for _ in range(n_trials)]
        truth = pairs[0][1]
        with tempfile.TemporaryDirectory() as folder:
            trials = [
                trial_of(i, runs, objective, Path(folder), baseline=i == 0)
                for i, (runs, _) in enumerate(pairs)
            ]
            study = study_of(trials, objective)
            found = claim(study, n_draws=100, seed=draw_seed(rng))
        if found.interval is None or found.raw is None or found.corrected is None:
            raise ValueError(f"nothing is claimed: {found.text}")
        row = next(iter(found.rows.values()))
        return {
            "bias before": objective.sign * (found.raw - truth),
            "bias": objective.sign * (found.corrected - truth),
            "coverage before": row.interval is not None and holds(row.interval, truth),
            "coverage": holds(found.interval, truth),
            "ties/false": len(found.tied) < n_trials - 1,
            "gain/false": found.baseline is not None and found.baseline.shown,
        }

    return once


def _cell(name: str, label: str, n: int, kind: str, n_folds: int, n_repeats: int) -> Cell:
    once = equals(kind, n_folds, n_repeats, n_trials=10)
    return Cell(f"folds/{name}", label, n, once, in_points=kind == "share")


FOLDS = (
    _cell("share-5", "accuracy, 5 folds", 400, "share", 5, 1),
    _cell("share-5-3", "accuracy, 5 folds, 3 repeats", 200, "share", 5, 3),
    _cell("share-1-3", "accuracy, 3 repeats", 200, "share", 1, 3),
    _cell("loss-5", "squared error, 5 folds", 150, "loss", 5, 1),
    _cell("loss-5-2", "squared error, 5 folds, 2 repeats", 150, "loss", 5, 2),
    _cell("auc-5", "AUC, 5 folds", 150, "auc", 5, 1),
    _cell("auc-5-2", "AUC, 5 folds, 2 repeats", 150, "auc", 5, 2),
)
