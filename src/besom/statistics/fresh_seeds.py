"""What a config gains over the baseline, from seeds that had no part in picking it.

A sweep trains each config once and picks the best: of the seeds' luck it picks the luckiest. So the
searched seed says nothing here; configs that lead are trained on a few fresh ones, the same for all
of them and for the baseline, and measured on the examples that picked them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from besom.equality import SameFields
from besom.statistics.distributions import Interval, normal_quantile, student_quantile_at
from besom.statistics.random_effects import RightBySeed, image_error
from besom.statistics.seeds import SeedScores


@dataclass(frozen=True, eq=False)
class OnFreshSeeds(SameFields):
    """A config's score, or its gain over the baseline, on fresh seeds; a larger gain is better.

    Attributes:
        mean: over the seeds.
        standard_error: of ``mean``, by seeds and examples.
        interval: for the config's true score or gain on new examples.
        n_seeds: how many it rests on.
        seed_error: the seeds' part of ``standard_error``.
    """

    mean: float
    standard_error: float
    interval: Interval
    n_seeds: int
    seed_error: float


def gains_on_fresh_seeds(
    scores: Mapping[int, SeedScores],
    rows: Mapping[int, RightBySeed],
    baseline: int,
    optimism: float,
    *,
    sign: int = 1,
    step: float = 0.0,
    confidence: float = 0.95,
) -> dict[int, OnFreshSeeds]:
    """Return the gain of every config but the baseline, all of them holding together.

    The luck of the seeds: configs by seeds are a table without the picked seed, and what is left of
    it after the means of its rows and columns says how much a difference of two configs scatters,
    with (C - 1)(k - 1) degrees of freedom (a randomised block design; Montgomery 2017, Design and
    Analysis of Experiments, ch. 4); but never less than the pair's own scatter does. The luck of
    the examples: ``image_error``, in quadrature. The examples have also picked the config, which is
    worth ``optimism`` at most; it is taken off the lower end only, since fresh seeds have lost the
    seed's part of it. K configs are looked at, so each interval has the confidence 1 - (1 -
    ``confidence``)/K.

    Args:
        scores: config to its score by seed; at least two configs, and two seeds that all share.
        rows: config to what each seed scored on each example.
        baseline: one of them.
        optimism: of the leader's score, from ``correct_for_selection``, in the unit of the scores.
        sign: 1 where larger scores are better, else -1.
        step: the smallest scatter between seeds that is believed: one example, of a share.
        confidence: of all intervals together.

    Raises:
        ValueError: fewer than two configs, or than two common seeds.
    """
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in scores.values())))
    if len(scores) < 2 or len(seeds) < 2:
        raise ValueError(f"{len(scores)} configs on {len(seeds)} common seeds: two of each needed")
    configs = list(scores)
    table = sign * np.array([[scores[c][seed] for seed in seeds] for c in configs])
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    freedom = (len(configs) - 1) * (len(seeds) - 1)
    pooled = math.sqrt(2.0 * float(np.square(rest).sum()) / freedom / len(seeds))
    pooled = max(pooled, step / math.sqrt(len(seeds)))
    tail = (1.0 - confidence) / (len(configs) - 1)
    t, z = student_quantile_at(1.0 - tail / 2.0, freedom), normal_quantile(1.0 - tail)
    gains = {}
    for config, own in zip(configs, table, strict=True):
        if config == baseline:
            continue
        differences = own - table[configs.index(baseline)]
        gain = float(differences.mean())
        seed_error = max(pooled, float(differences.std(ddof=1)) / math.sqrt(len(seeds)))
        examples_error = image_error(
            {seed: rows[config][seed] for seed in seeds},
            {seed: rows[baseline][seed] for seed in seeds},
        )
        half = math.hypot(t * seed_error, z * examples_error)
        gains[config] = OnFreshSeeds(
            gain,
            math.hypot(seed_error, examples_error),
            Interval(gain - max(optimism, 0.0) - half, gain + half),
            len(seeds),
            seed_error,
        )
    return gains


def score_on_fresh_seeds(
    scores: SeedScores,
    rows: RightBySeed,
    optimism: float,
    *,
    sign: int = 1,
    step: float = 0.0,
    confidence: float = 0.95,
) -> OnFreshSeeds:
    """Return what a config that was picked is worth, by seeds that had no part in picking it.

    Student's t for the seeds and ``image_error`` for the examples, in quadrature. ``optimism`` is
    taken off the worse end, see ``gains_on_fresh_seeds``.

    Args:
        scores, rows: of this config, by seed.
        optimism, sign, step: as in ``gains_on_fresh_seeds``.
        confidence: of the interval.

    Raises:
        ValueError: fewer than two seeds.
    """
    values, n = list(scores.values()), len(scores)
    if n < 2:
        raise ValueError(f"{n} seed was given; at least two are needed")
    mean, seed_error = float(np.mean(values)), max(float(np.std(values, ddof=1)), step)
    seed_error /= math.sqrt(n)
    examples_error = image_error(rows)
    half = math.hypot(
        student_quantile_at(0.5 + confidence / 2.0, n - 1) * seed_error,
        normal_quantile(confidence) * examples_error,
    )
    worse = half + max(optimism, 0.0)
    low, high = (mean - worse, mean + half) if sign > 0 else (mean - half, mean + worse)
    error = math.hypot(seed_error, examples_error)
    return OnFreshSeeds(mean, error, Interval(low, high), n, seed_error)
