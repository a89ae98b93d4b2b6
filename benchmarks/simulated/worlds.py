"""Made-up models whose true worth is known: what each of them gets right, or loses, per example.

All functions draw from ``rng``. A row of a table is a model; larger numbers are better.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from besom.statistics import DrawnScores
from simulated.cells import Random

Rights = NDArray[np.bool_]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


def independent(n_rows: int, n: int, share: float, rng: Random) -> Rights:
    """Equal configs that fail on examples of their own."""
    return rng.random((n_rows, n)) < share


def alike(n_rows: int, n: int, share: float, rng: Random) -> Rights:
    """Equal configs that fail on the same hard examples: two disagree on about 1.1 % at 98.5 %."""
    difficulty = rng.beta(0.57 * share, 0.57 * (1.0 - share), n)
    return rng.random((n_rows, n)) < difficulty


def spread(
    n_rows: int, n: int, share: float, rng: Random, apart: float = 0.1
) -> tuple[Rights, Floats]:
    """Configs of different worth, and their true shares: a threshold on shared difficulty."""
    return of_worths(norm.ppf(share) + apart * rng.standard_normal(n_rows), n, rng)


def of_worths(level: Floats, n: int, rng: Random) -> tuple[Rights, Floats]:
    """Configs that share three quarters of their luck, and the true share of each."""
    noise = math.sqrt(0.75) * rng.standard_normal(n)
    own = math.sqrt(0.25) * rng.standard_normal((len(level), n))
    return level[:, None] + noise + own > 0, norm.cdf(level)


def epochs_alike(
    n_trials: int, n_epochs: int, n: int, share: float, rng: Random
) -> tuple[Rights, float, NDArray[np.intp]]:
    """Equal configs whose epochs are equal too, and strongly alike: 4 in 5 examples stay as is.

    Returns:
        Booleans of shape ``(n_trials, n_epochs, n)``, the best trial and in each the best epoch
        first; the share that any row is worth on these examples; the number of each trial.
    """
    difficulty = rng.beta(0.57 * share, 0.57 * (1.0 - share), n)
    shape = (n_trials, n_epochs, n)
    stays = rng.random(shape, dtype=np.float32) < 0.8
    luck = np.where(stays, rng.random((n_trials, 1, n)), rng.random(shape))
    right = luck < difficulty
    by_score = np.argsort(-right.sum(axis=2), axis=1, kind="stable")
    right = np.take_along_axis(right, by_score[:, :, None], axis=1)
    order = np.argsort(-right[:, 0].sum(axis=1), kind="stable")
    return right[order], float(difficulty.mean()), order


# Metrics that are no share


def losses(
    n_rows: int, n: int, rng: Random, apart: float = 0.0
) -> tuple[NDArray[np.float32], Floats]:
    """Squared errors of models that share most of theirs, negated, and each one's true mean.

    Args:
        n_rows, n: models and examples.
        rng: draws them.
        apart: how far the models' own errors differ in size.
    """
    own = np.exp(apart * rng.standard_normal(n_rows))
    shared = rng.standard_normal(n)
    errors = shared + 0.5 * own[:, None] * rng.standard_normal((n_rows, n))
    return -(errors**2).astype(np.float32), -(1.0 + 0.25 * own**2)


def log_losses(
    n_rows: int, n: int, rng: Random, apart: float = 0.0
) -> tuple[NDArray[np.float32], Floats]:
    """Cross-entropies, negated: a few examples have most of them."""
    own = apart * rng.standard_normal(n_rows)
    shared = 2.0 + 1.5 * rng.standard_normal(n)
    margin = shared + own[:, None] + 0.5 * rng.standard_normal((n_rows, n))
    deviation = math.hypot(1.5, 0.5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    means = np.log1p(np.exp(-(2.0 + own[:, None] + deviation * nodes))) @ weights
    return -np.log1p(np.exp(-margin)).astype(np.float32), -means / weights.sum()


def aucs(n_rows: int, n: int, rng: Random, apart: float = 0.0) -> tuple[DrawnScores, Floats]:
    """The areas under the curves of models that share most of their scores, on 150 draws."""
    positive = rng.random(n) < 0.4
    shift = 1.2 + apart * rng.standard_normal(n_rows)
    shared = 0.8 * rng.standard_normal(n)
    scores = shift[:, None] * positive + shared + 0.6 * rng.standard_normal((n_rows, n))
    draws = rng.integers(n, size=(150, n))
    counts = np.stack([np.bincount(draw, minlength=n) for draw in draws]).astype(np.float32)
    rows = [
        [area(row, positive, w) for w in (np.ones((1, n)), counts, counts == 0)] for row in scores
    ]
    whole, drawn, left_out = (np.stack(part) for part in zip(*rows, strict=True))
    return DrawnScores(whole[:, 0], drawn, left_out), norm.cdf(shift / math.sqrt(2.0))


def area(scores: Floats, positive: Rights, weights: NDArray[np.floating]) -> Floats:
    """The area under the curve for each row of weights, (n_draws, n)."""
    order = np.argsort(scores)
    weights, is_positive = weights[:, order], positive[order]
    below = np.cumsum(weights * ~is_positive, axis=1)
    above = (weights * is_positive * below).sum(axis=1)
    return above / (weights * is_positive).sum(axis=1) / below[:, -1]


# Configs under several seeds


def by_seeds(
    rng: Random, hard: Singles, accuracy: float, sd: float, n_seeds: int, noise: float = 0.02
) -> Rights:
    """What each seed of a config gets right: its accuracy scatters by ``sd``.

    Args:
        rng: draws the seeds.
        hard: how hard each example is for this config, from 0 to 1.
        accuracy, sd: the mean over seeds, and the standard deviation.
        n_seeds: how many.
        noise: how far a seed's luck with an example reaches; the accuracy stays below 1 by more.
    """
    right = np.empty((n_seeds, hard.size), dtype=np.bool_)
    for row, luck in zip(right, rng.normal(0.0, sd, n_seeds), strict=True):
        shift = np.float32(noise) * rng.standard_normal(hard.size, dtype=np.float32)
        row[:] = hard + shift < accuracy + luck
    return right


def hardness(rng: Random, n: int, n_configs: int, own: float) -> list[Singles]:
    """How hard each example is for each config: a share ``own`` has luck of its own with each."""
    base = rng.random(n, dtype=np.float32)
    hard = [base.copy() for _ in range(n_configs)]
    for row in hard:
        mine = np.flatnonzero(rng.random(n, dtype=np.float32) < own)
        row[mine] = rng.random(mine.size, dtype=np.float32)
    return hard


#: What the two configs of ``crossed`` are worth, as a logit above the common one.
WORTHS = (0.0, 0.4)


def crossed(rng: Random, k: int, n: int, seed_sd: float, own_sd: float) -> tuple[Rights, Rights]:
    """Two configs: common hard images, common luck of the seed, and each its own of both."""
    hard, luck = 6.0 + 3.0 * rng.normal(size=n), seed_sd * rng.normal(size=(k, 1))
    tables = []
    for worth in WORTHS:
        own_seed, own_image = seed_sd * rng.normal(size=(k, 1)), own_sd * rng.normal(size=n)
        logit = worth + hard + luck + own_seed + own_image
        tables.append(rng.random((k, n), dtype=np.float32) * (1 + np.exp(-logit)) < 1)
    return tables[0], tables[1]


def crossed_truth(worth: float, seed_sd: float, own_sd: float) -> float:
    """The share right of all seeds and images there could be, by Gauss and Hermite's rule."""
    at, weights = np.polynomial.hermite.hermgauss(120)
    sd = math.sqrt(3.0**2 + 2 * seed_sd**2 + own_sd**2)
    logit = 6.0 + worth + math.sqrt(2.0) * sd * at
    return float((weights / math.sqrt(math.pi) / (1 + np.exp(-logit))).sum())
