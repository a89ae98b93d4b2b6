"""Ties, errors and corrections of losses and of metrics that do not come apart into examples.

They are held to what is promised of shares (``test_statistics_simulations``): simulated studies of
which the truth is known, with losses that are skewed, as real ones are.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from simulated.worlds import aucs, log_losses, losses

from besom.statistics import (
    compare_with_first,
    correct_for_selection,
    p_values,
    paired_gain,
)
from besom.statistics.kinds import interval_of, standard_error
from user_project import some_long


def limit(rate: float, n: int, errors: float = 3.5) -> float:
    """How far a simulated rate may be off."""
    return errors * math.sqrt(rate * (1.0 - rate) / n)


DRAWN = {"losses": (losses, 600), "log losses": (log_losses, 200), "aucs": (aucs, 300)}
kinds = pytest.mark.parametrize("kind", some_long(DRAWN, ["losses", "log losses"]))


# What is computed


def test_losses_are_tested_by_students_t_on_the_paired_differences() -> None:
    table, _ = losses(3, 50, np.random.default_rng(0))
    expected = stats.ttest_rel(table[1].astype(float), table[0].astype(float)).pvalue
    assert p_values(table, 0)[1] == pytest.approx(expected)
    gain = paired_gain(table[1], table[0])
    low, high = stats.ttest_rel(
        table[1].astype(float), table[0].astype(float)
    ).confidence_interval()
    assert gain.interval == pytest.approx((low, high))


def test_equal_losses_are_tied_and_a_constant_difference_is_none() -> None:
    row = np.random.default_rng(1).random(40)
    assert p_values(np.stack([row, row]), 0).tolist() == [1.0, 1.0]
    assert p_values(np.stack([row, row - 1.0]), 0).tolist() == [1.0, 0.0]


def test_scores_on_draws_are_tested_by_the_spread_of_their_differences() -> None:
    table, _ = aucs(2, 300, np.random.default_rng(2))
    z = (table.whole[1] - table.whole[0]) / (table.drawn[1] - table.drawn[0]).std(ddof=1)
    assert p_values(table, 0)[1] == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert standard_error(table, 0) == table.drawn[0].std(ddof=1)


def test_scores_on_draws_are_corrected_by_the_papers_formula() -> None:
    table, _ = aucs(6, 300, np.random.default_rng(3))
    found = correct_for_selection(table)
    best, draws = int(table.whole.argmax()), np.arange(150)
    picked = table.left_out[table.drawn.argmax(axis=0), draws]
    assert found.leader == best
    assert found.corrected == pytest.approx(
        table.whole[best] + (picked - table.left_out[best]).mean()
    )


def test_a_loss_is_corrected_as_an_accuracy_is_where_it_is_one() -> None:
    right = np.random.default_rng(4).random((8, 400)) < 0.8
    of_bits = correct_for_selection(right, n_draws=4000)
    of_numbers = correct_for_selection(right.astype(np.float32), n_draws=4000)
    assert of_numbers.corrected == pytest.approx(of_bits.corrected, abs=5e-4)
    assert of_numbers.standard_error == pytest.approx(of_bits.standard_error, rel=0.03)


def test_rows_hopelessly_behind_change_no_corrected_loss() -> None:
    table, _ = losses(4, 300, np.random.default_rng(5))
    worse = np.vstack([table, table - 5.0])
    few, many = correct_for_selection(table), correct_for_selection(worse)
    assert many.corrected == pytest.approx(few.corrected)
    assert not many.win_share[4:].any()


# What is promised


@pytest.mark.slow
@kinds
def test_one_row_fixed_beforehand_is_covered_at_its_rate(kind: str) -> None:
    draw, n = DRAWN[kind]
    rng, n_studies, covered = np.random.default_rng(6), 400, 0
    for _ in range(n_studies):
        table, truth = draw(1, n, rng)
        low, high = interval_of(table, 0, 0.95)
        covered += low <= truth[0] <= high
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)


@pytest.mark.slow
@kinds
def test_the_best_of_equals_looks_better_than_it_is_and_the_correction_does_not(kind: str) -> None:
    draw, n = DRAWN[kind]
    rng, n_studies, raw, corrected, covered = np.random.default_rng(7), 60, [], [], 0
    for study in range(n_studies):
        table, truth = draw(25, n, rng)
        found = correct_for_selection(table, n_draws=200, seed=study)
        raw.append(found.raw - truth[0])
        corrected.append(found.corrected - truth[0])
        covered += found.interval.low <= truth[0] <= found.interval.high
    error = np.std(corrected) / math.sqrt(n_studies)
    assert np.mean(raw) - np.mean(corrected) > 0.0
    assert abs(np.mean(corrected)) < 3.5 * error
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)


@pytest.mark.slow
@kinds
def test_among_equals_few_rows_are_called_beaten(kind: str) -> None:
    draw, n = DRAWN[kind]
    rng, n_studies, wrong = np.random.default_rng(8), 80, 0
    for _ in range(n_studies):
        table, _ = draw(25, n, rng)
        leader = int(correct_for_selection(table, n_draws=2).leader)
        wrong += not compare_with_first(table, leader).tied.all()
    assert wrong / n_studies <= 0.05 + limit(0.05, n_studies)


@pytest.mark.slow
@kinds
def test_where_configs_differ_the_leader_is_covered_and_the_best_is_tied(kind: str) -> None:
    draw, n = DRAWN[kind]
    rng, n_studies, covered, missed = np.random.default_rng(9), 80, 0, 0
    for study in range(n_studies):
        table, truth = draw(20, n, rng, 0.1)
        found = correct_for_selection(table, n_draws=200, seed=study)
        true = truth[found.leader]
        covered += found.interval.low <= true <= found.interval.high
        missed += not compare_with_first(table, found.leader).tied[truth.argmax()]
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)
    assert missed / n_studies <= 0.05 + limit(0.05, n_studies)


@pytest.mark.slow
def test_the_luck_of_the_best_epoch_is_taken_out_of_a_loss_too() -> None:
    rng, n_studies, raw, corrected, covered = np.random.default_rng(10), 100, [], [], 0
    for study in range(n_studies):
        table, truth = losses(72, 600, rng)
        by_score = np.argsort(-table.mean(axis=1))  # the epochs of 12 equal trials, best first
        found = correct_for_selection(table[by_score], by_score % 12, n_draws=100, seed=study)
        raw.append(found.raw - truth[0])
        corrected.append(found.corrected - truth[0])
        covered += found.interval.low <= truth[0] <= found.interval.high
    assert np.mean(raw) > np.mean(corrected)
    assert abs(np.mean(corrected)) < 3.5 * np.std(corrected) / math.sqrt(n_studies)
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)


@pytest.mark.long
@kinds
def test_in_many_studies_the_rates_are_what_they_should_be(kind: str) -> None:
    draw, n = DRAWN[kind]
    rng, n_studies, alone, covered, wrong = np.random.default_rng(11), 400, 0, 0, 0
    for study in range(n_studies):
        table, truth = draw(15, n, rng)
        low, high = interval_of(table, 0, 0.95)
        alone += low <= truth[0] <= high
        found = correct_for_selection(table, n_draws=100, seed=study)
        covered += found.interval.low <= truth[0] <= found.interval.high
        wrong += not compare_with_first(table, found.leader).tied.all()
    assert alone / n_studies >= 0.95 - limit(0.95, n_studies, 2.5)
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies, 2.5)
    assert wrong / n_studies <= 0.05 + limit(0.05, n_studies, 2.5)
