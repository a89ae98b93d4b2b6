"""What a sweep of this size can see: differences that its paired tests would find."""

from __future__ import annotations

import math

from scipy import special

from besom.text.counting import counted

#: What "can be seen" means: in four pairs of five.
USUAL_POWER = 0.8

#: The share of examples on which two configs disagree, where nothing is known of them yet.
ASSUMED_DISAGREEMENT = 0.05


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
