"""Shares, bits, paired tests, ranks: single numbers that can be checked by hand or by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from besom.errors import StudyError
from besom.statistics import (
    compare_with_first,
    correct_for_selection,
    correctness_matrix,
    holm,
    mcnemar,
    paired_gain,
    pareto_front,
    proportion_standard_error,
    ranks,
    same_images,
    wilson_interval,
)
from besom.store.records import Outcome, TrialRecord


def trial(
    number: int, right: list[bool] | np.ndarray | None, *, n: int | None = None, **rest: object
) -> TrialRecord:
    bits = None if right is None else np.packbits(np.asarray(right, dtype=bool)).tobytes()
    n_validation = n if n is not None else (0 if right is None else len(right))
    return TrialRecord(
        number, Outcome.COMPLETE, (0.5,), n_validation=n_validation, correct=bits, **rest
    )


# Shares


def test_one_run_on_ten_thousand_images_has_the_known_standard_error() -> None:
    assert proportion_standard_error(0.985, 10_000) == pytest.approx(0.00122, abs=5e-6)


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 20), (19, 20), (9850, 10_000)])
def test_the_wilson_interval_is_scipys(right: int, n: int) -> None:
    theirs = stats.binomtest(right, n).proportion_ci(0.9, method="wilson")
    ours = wilson_interval(right / n, n, 0.9)
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


def test_a_perfect_score_has_an_interval_that_is_not_empty_and_stays_below_one() -> None:
    interval = wilson_interval(1.0, 30)
    assert interval.high == 1.0
    assert interval.low < 0.9


@pytest.mark.parametrize(("share", "n"), [(1.2, 10), (-0.1, 10), (math.nan, 10), (0.5, 0)])
def test_a_share_that_is_none_is_refused(share: float, n: int) -> None:
    with pytest.raises(ValueError, match="share"):
        wilson_interval(share, n)


def test_a_confidence_in_percent_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match="such as"):
        wilson_interval(0.5, 10, 95)


# Bits


@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000])
def test_packed_bits_come_back_as_they_were(n: int) -> None:
    right = np.random.default_rng(n).random((3, n)) < 0.7
    assert (correctness_matrix([trial(i, row) for i, row in enumerate(right)]) == right).all()


def test_no_trials_give_an_empty_matrix() -> None:
    assert correctness_matrix([]).shape == (0, 0)


def test_a_trial_without_bits_is_named() -> None:
    with pytest.raises(StudyError, match="trial 4 did not store"):
        correctness_matrix([trial(3, [True, False]), trial(4, None, n=2)])


def test_trials_judged_on_different_numbers_of_images_are_refused_with_both() -> None:
    with pytest.raises(StudyError, match=r"trial 1 .* on 3 .* trial 0 on 2"):
        correctness_matrix([trial(0, [True, False]), trial(1, [True, False, True])])


@pytest.mark.parametrize("n", [20, 3])
def test_a_record_with_too_few_or_too_many_bits_is_called_damaged(n: int) -> None:
    with pytest.raises(StudyError, match="damaged"):
        correctness_matrix([trial(0, [True] * 12, n=n)])


def test_only_trials_judged_on_the_same_images_are_compared() -> None:
    def facts(fingerprint: str) -> dict[str, object]:
        return {"data": {"fingerprint": fingerprint}}

    first = trial(0, [True, False], environment=facts("a"), config={"data": {"scale": 1}})
    assert same_images(first, trial(1, [True, True], environment=facts("a")))
    assert not same_images(first, trial(1, [True, True], environment=facts("b")))
    assert not same_images(first, trial(1, [True], environment=facts("a")))
    assert not same_images(first, trial(1, None))


def test_without_a_fingerprint_the_config_decides_which_images_they_are() -> None:
    first = trial(0, [True, False], config={"data": {"split_seed": 0}})
    assert same_images(first, trial(1, [True, True], config={"data": {"split_seed": 0}}))
    assert not same_images(first, trial(1, [True, True], config={"data": {"split_seed": 1}}))


# Paired tests


@pytest.mark.parametrize(("b", "c"), [(1, 8), (3, 3), (0, 5), (12, 30), (400, 460)])
def test_mcnemar_is_the_exact_test_less_the_mid_point(b: int, c: int) -> None:
    exact = stats.binomtest(b, b + c, 0.5).pvalue
    mid = exact - (stats.binom.pmf(b, b + c, 0.5) if b != c else 0.0)
    assert mcnemar(b, c) == pytest.approx(mid, rel=1e-9)
    assert mcnemar(c, b) == mcnemar(b, c)


def test_identical_predictions_have_p_value_one() -> None:
    assert mcnemar(0, 0) == 1.0
    row = np.random.default_rng(0).random(50) < 0.9
    compared = compare_with_first(np.array([row, row, row]))
    assert compared.tied.all()
    assert (compared.p_value == 1.0).all()


def test_one_image_is_enough_to_compare_and_shows_nothing() -> None:
    assert compare_with_first(np.array([[True], [False]])).tied.all()


def test_a_single_row_is_tied_with_itself() -> None:
    assert compare_with_first(np.array([[True, False]])).tied.tolist() == [True]


def test_a_class_absent_from_validation_changes_nothing_for_the_others() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=2000)
    right = rng.random((4, 2000)) < np.array([0.95, 0.95, 0.9, 0.7])[:, None]
    without = right[:, labels != 3]
    compared = compare_with_first(without)
    assert compared.tied.tolist() == [True, True, False, False]
    assert correct_for_selection(without, n_draws=50).corrected == pytest.approx(0.95, abs=0.02)


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_counts_pairs_where_the_reference_was_chosen_by_the_data() -> None:
    assert holm([0.01, 0.04, 0.001], chosen_reference=True).tolist() == pytest.approx(
        [0.03, 0.04, 0.006]
    )


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]).size == 0


def test_the_paired_gain_sees_what_two_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(0)
    other = rng.random(10_000) < 0.98
    better = other | (rng.random(10_000) < 0.2)
    gain = paired_gain(better, other)
    assert gain.interval.low > 0.0
    assert wilson_interval(other.mean(), 10_000).high > wilson_interval(better.mean(), 10_000).low
    assert gain.interval.low < gain.gain < gain.interval.high


def test_the_gain_of_identical_predictions_is_zero_with_an_interval_of_some_width() -> None:
    row = np.ones(40, dtype=bool)
    gain = paired_gain(row, row)
    assert gain.gain == 0.0
    assert gain.interval.low < 0.0 < gain.interval.high


# Ranks


def test_equal_values_share_a_rank_and_the_next_skips() -> None:
    assert ranks([0.9, 0.8, 0.9, 0.7], "maximize") == [1, 3, 1, 4]
    assert ranks([0.9, 0.8, 0.9, 0.7], "minimize") == [3, 2, 3, 1]
    assert ranks([], "maximize") == []


def test_what_has_no_finite_value_is_never_ranked() -> None:
    with pytest.raises(ValueError, match="finite"):
        ranks([0.9, math.nan], "maximize")


def test_an_unknown_direction_is_refused_with_the_two_known_ones() -> None:
    with pytest.raises(ValueError, match="'maximize' or 'minimize'"):
        ranks([1.0], "max")


def test_the_pareto_front_keeps_equals_and_drops_what_is_beaten() -> None:
    values = [[0.9, 100], [0.9, 100], [0.9, 200], [0.8, 50], [0.7, 60]]
    front = pareto_front(values, ["maximize", "minimize"])
    assert front.tolist() == [True, True, False, True, False]
    assert pareto_front([], ["maximize", "minimize"]).size == 0


# Selection, by its definition


def test_the_correction_is_the_papers_formula() -> None:
    rng = np.random.default_rng(3)
    right = rng.random((6, 80)) < np.linspace(0.8, 0.9, 6)[:, None]
    draws = rng.integers(80, size=(6000, 80))
    scores = []
    for draw in draws:
        out = np.setdiff1d(np.arange(80), draw)
        drawn = right[:, draw].sum(axis=1)
        best = rng.choice(np.flatnonzero(drawn == drawn.max()))
        scores.append(right[best, out].mean())
    ours = correct_for_selection(right, n_draws=6000, seed=1)
    assert ours.corrected == pytest.approx(np.mean(scores), abs=0.002)


def test_one_row_was_not_picked_and_is_not_corrected() -> None:
    row = np.random.default_rng(0).random((1, 500)) < 0.9
    selection = correct_for_selection(row, n_draws=20)
    assert selection.corrected == selection.raw == row.mean()
    assert selection.standard_error == proportion_standard_error(row.mean(), 500)
    assert selection.interval == wilson_interval(row.mean(), 500)


def test_identical_rows_are_no_selection_and_share_the_wins() -> None:
    row = np.random.default_rng(0).random(500) < 0.9
    selection = correct_for_selection(np.array([row] * 4), n_draws=2000)
    assert selection.optimism == 0.0
    assert selection.win_share == pytest.approx([0.25] * 4, abs=0.05)


def test_the_epochs_of_a_trial_win_for_the_trial() -> None:
    rng = np.random.default_rng(0)
    right = rng.random((5, 500)) < 0.9
    trial = np.array([1, 1, 0, 2, 2])
    by_trial, by_row = (correct_for_selection(right, owner) for owner in (trial, None))
    assert by_trial.corrected == by_row.corrected
    assert by_trial.leader == trial[by_row.leader]
    assert by_trial.win_share.tolist() == pytest.approx(
        [by_row.win_share[trial == number].sum() for number in range(3)]
    )


def test_rows_hopelessly_behind_change_nothing_and_never_win() -> None:
    rng = np.random.default_rng(5)
    good = rng.random((5, 1000)) < 0.95
    bad = rng.random((3, 1000)) < 0.3
    alone, among = (correct_for_selection(r, seed=1) for r in (good, np.vstack([bad, good])))
    assert among.corrected == alone.corrected
    assert among.interval == alone.interval
    assert among.leader == alone.leader + 3
    assert among.win_share.tolist() == [0.0, 0.0, 0.0, *alone.win_share]


def test_the_order_of_the_rows_does_not_matter_beyond_monte_carlo_error() -> None:
    right = np.random.default_rng(5).random((30, 300)) < 0.9
    by_score = right[np.argsort(-right.mean(axis=1))]
    one, other = (correct_for_selection(r, n_draws=4000) for r in (by_score, by_score[::-1]))
    error = math.hypot(one.monte_carlo_error, other.monte_carlo_error)
    assert abs(one.corrected - other.corrected) < 4 * error


def test_the_same_seed_gives_the_same_numbers_and_another_seed_nearly() -> None:
    right = np.random.default_rng(5).random((10, 400)) < 0.9
    first, again = correct_for_selection(right, seed=7), correct_for_selection(right, seed=7)
    assert first.corrected == again.corrected
    assert first.interval == again.interval
    other = correct_for_selection(right, seed=8)
    assert other.corrected != first.corrected
    assert abs(other.corrected - first.corrected) < 6 * first.monte_carlo_error


def test_two_images_are_enough_and_one_is_refused() -> None:
    selection = correct_for_selection(np.array([[True, False], [False, True]]))
    assert 0.0 <= selection.interval.low <= selection.corrected <= selection.interval.high <= 1.0
    with pytest.raises(ValueError, match="2 examples"):
        correct_for_selection(np.array([[True]]))


def test_all_right_has_no_optimism_and_an_interval_below_one() -> None:
    selection = correct_for_selection(np.ones((5, 100), dtype=bool), n_draws=50)
    assert selection.corrected == 1.0
    assert selection.interval.low == pytest.approx(wilson_interval(1.0, 100).low)
