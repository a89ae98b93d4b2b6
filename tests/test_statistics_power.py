"""How small a difference a sweep can see: the formula against the test that it is about."""

from __future__ import annotations

import numpy as np
import pytest

from besom.statistics.paired import compare_with_first
from besom.statistics.power import examples_needed, in_words, power_of_pairs


@pytest.mark.parametrize(("n", "difference"), [(400, 0.04), (3000, 0.02), (3000, 0.005)])
def test_the_power_is_that_of_the_paired_test(n: int, difference: float) -> None:
    rng, disagreement, n_trials, seen = np.random.default_rng(0), 0.08, 8, 0
    only_best = (disagreement + difference) / 2
    for _ in range(400):
        luck = rng.random(n)
        best = luck < 0.9
        other = np.where(luck < only_best, False, best)
        other = np.where((luck > 0.9) & (luck < 0.9 + disagreement - only_best), True, other)
        # The others are far off, so that this pair is the last to be tested: one of all pairs.
        table = np.stack([best, other, *(rng.random((n_trials - 2, n)) < 0.9 - difference)])
        seen += compare_with_first(table[:2], n_picked=None).p_value[1] * 28 <= 0.05
    assert seen / 400 == pytest.approx(
        power_of_pairs(difference, n, disagreement, n_trials), abs=0.08
    )


def test_as_many_examples_as_are_needed_are_enough() -> None:
    needed = examples_needed(0.01, 0.05, 30)
    assert power_of_pairs(0.01, needed, 0.05, 30) == pytest.approx(0.8, abs=0.001)
    assert power_of_pairs(0.01, needed // 2, 0.05, 30) < 0.5


def test_a_small_sweep_says_how_little_it_sees() -> None:
    said = in_words(287, 50)
    assert said.startswith("287 validation examples and 50 trials: a difference of 2 points is")
    assert "under 1 %" in said
    assert in_words(1, 50) == in_words(287, 1) == ""
