"""What a sweep of this size can see: differences that its paired tests would find."""

from __future__ import annotations

import math

from scipy import special

from besom.statistics.distributions import normal_quantile, student_quantile_at
from besom.statistics.fresh_seeds import OnFreshSeeds
from besom.text.counting import counted

#: What "can be seen" means: in four pairs of five.
USUAL_POWER = 0.8

#: The share of examples on which two configs disagree, where nothing is known of them yet.
ASSUMED_DISAGREEMENT = 0.05

#: Nobody trains more seeds of a config than this.
MOST_SEEDS = 200


def power_of_pairs(
    difference: float, n: int, disagreement: float, n_trials: int, alpha: float = 0.05
) -> float:
    """Return how often the leader and a trial truly this much worse are not called tied.

    McNemar's test by its normal approximation (Connor 1987, Biometrics 43:207), at the level that
    ``besom.statistics.holm`` leaves each pair.

    Args:
        difference: of the two true shares right, above 0.
        n: validation examples.
        disagreement: the share of examples that exactly one of the two gets right.
        n_trials: complete trials, at least 2.
        alpha: 1 less the confidence of all comparisons together.
    """
    threshold, scatter = _terms(difference, disagreement, n_trials, alpha)
    return float(special.ndtr((difference * math.sqrt(n) - threshold) / scatter))


def examples_needed(
    difference: float,
    disagreement: float,
    n_trials: int,
    power: float = USUAL_POWER,
    alpha: float = 0.05,
) -> int:
    """Return with how many validation examples ``power_of_pairs`` reaches ``power``."""
    threshold, scatter = _terms(difference, disagreement, n_trials, alpha)
    reach = threshold + float(special.ndtri(power)) * scatter
    return math.ceil((reach / difference) ** 2)


def seeds_needed(
    gain: float,
    fresh: OnFreshSeeds,
    n_configs: int,
    optimism: float = 0.0,
    power: float = USUAL_POWER,
    alpha: float = 0.05,
) -> int | None:
    """Return on how many fresh seeds a gain of this size is shown as often as ``power``.

    By the interval of ``gains_on_fresh_seeds``, with the scatter between seeds that these have.

    Args:
        gain: a config's true gain over the baseline, above 0.
        fresh: what is known of it so far.
        n_configs: on fresh seeds, the baseline included.
        optimism: what the interval takes off, see ``gains_on_fresh_seeds``.
        power: how often.
        alpha: 1 less the confidence of all intervals together.

    Returns:
        None where no number of seeds would do: the examples are too few.
    """
    tail, z = alpha / max(n_configs - 1, 1), float(special.ndtri(power))
    of_examples = math.sqrt(max(fresh.standard_error**2 - fresh.seed_error**2, 0.0))
    for n_seeds in range(2, MOST_SEEDS + 1):
        of_seeds = fresh.seed_error * math.sqrt(fresh.n_seeds / n_seeds)
        t = student_quantile_at(1.0 - tail / 2.0, (n_configs - 1) * (n_seeds - 1))
        half = math.hypot(t * of_seeds, normal_quantile(1.0 - tail) * of_examples)
        if gain >= max(optimism, 0.0) + half + z * math.hypot(of_seeds, of_examples):
            return n_seeds
    return None


def _terms(
    difference: float, disagreement: float, n_trials: int, alpha: float
) -> tuple[float, float]:
    """What the difference must exceed, and how it scatters; both times the root of n."""
    d, pairs = max(disagreement, difference), n_trials * (n_trials - 1) / 2.0
    z = -float(special.ndtri(alpha / 2.0 / max(pairs, 1.0)))
    return z * math.sqrt(d), math.sqrt(max(d - difference**2, 1e-12))


def in_words(n: int, n_trials: int, disagreement: float = ASSUMED_DISAGREEMENT) -> str:
    """Return a sentence on what a sweep can see; empty with fewer than two trials or examples.

    Example:
        >>> said = in_words(300, 30)
        >>> said.startswith("with 300 validation examples and 30 trials, a difference of 2 points")
        True
    """
    if n < 2 or n_trials < 2:
        return ""
    seen = power_of_pairs(0.02, n, disagreement, n_trials)
    percent = f"{100 * seen:.0f} %"
    share = "under 1 %" if seen < 0.01 else "over 99 %" if seen > 0.99 else percent
    needed = examples_needed(0.01, disagreement, n_trials)
    return (
        f"with {n:,} validation examples and {counted(n_trials, 'trial')}, a difference of 2 "
        f"points is seen in {share} of pairs; 1 point needs about "
        f"{round(needed, 2 - len(str(needed))):,} examples"
    )


def in_seeds(fresh: OnFreshSeeds, n_configs: int, optimism: float) -> str:
    """Return a sentence on how many seeds would show 1 point; empty where these do, or none would.

    Args:
        fresh, n_configs, optimism: as in ``seeds_needed``, in shares of examples.
    """
    needed = seeds_needed(0.01, fresh, n_configs, optimism)
    if needed is None or needed <= fresh.n_seeds:
        return ""
    return (
        f"a gain of 1 point over the baseline needs about {needed} fresh seeds of each config, by "
        f"the scatter of these {fresh.n_seeds}"
    )
