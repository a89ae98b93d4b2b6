"""How small a difference a sweep can see: the formula against the test that it is about."""

from __future__ import annotations

import numpy as np
import pytest

from besom.statistics import claim
from besom.statistics.paired import compare_with_first
from besom.statistics.power import examples_needed, in_words, power_of_pairs
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord


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
    assert said.startswith(
        "with 287 validation examples and 50 trials, a difference of 2 points is"
    )
    assert "under 1 %" in said
    assert in_words(1, 50) == in_words(287, 1) == ""


@pytest.mark.parametrize(("n", "apart", "is_said"), [(300, 0.06, True), (40_000, 0.06, False)])
def test_a_leaderboard_says_how_little_its_tests_see(n: int, apart: float, is_said: bool) -> None:
    rng = np.random.default_rng(0)
    first = rng.random(n) < 0.9
    table = [first, *(np.where(rng.random(n) < apart, ~first, first) for _ in range(9))]
    trials = tuple(
        TrialRecord(
            number,
            Outcome.COMPLETE,
            (float(right.mean()),),
            n_validation=n,
            correct=np.packbits(right).tobytes(),
        )
        for number, right in enumerate(table)
    )
    found = claim(StudyRecord("s", (Objective("val_accuracy", "maximize"),), trials), n_draws=20)
    seen = [line for line in found.caveats if "points is seen in" in line]
    assert bool(seen) == is_said
    if seen:
        assert seen[0].startswith(f"with {n} validation examples and 10 trials, a difference of 2 ")
