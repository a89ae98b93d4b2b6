"""The statistics held to their word: simulated studies of which the truth is known.

Every rate has a simulation error of its own; the limits are three to four of those wide. Rates from
larger runs, by benchmarks/honesty.py, stand in docs/what-may-i-claim.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from simulated.worlds import alike, epochs_alike, independent, spread

from besom.statistics import (
    compare_with_first,
    correct_for_selection,
    expected_gain,
    mcnemar,
    mean_interval,
    paired_gain,
    race,
    wilson_interval,
)
from user_project import run_long

pytestmark = pytest.mark.slow


def limit(rate: float, n: int, errors: float = 3.5) -> float:
    """How far a simulated rate may be off."""
    return errors * math.sqrt(rate * (1.0 - rate) / n)


# The promise of the leaderboard


@pytest.mark.parametrize(("draw", "luck"), [(alike, 0.0018), *run_long((independent, 0.0030))])
def test_the_best_of_a_hundred_equals_looks_better_than_it_is_and_the_correction_does_not(
    draw: Callable[..., np.ndarray], luck: float
) -> None:
    rng = np.random.default_rng(0)
    share, n_studies = 0.985, 25
    raw, corrected, covered = [], [], 0
    for study in range(n_studies):
        result = correct_for_selection(draw(100, 10_000, share, rng), n_draws=60, seed=study)
        raw.append(result.raw - share)
        corrected.append(result.corrected - share)
        covered += result.interval.low <= share <= result.interval.high
    assert np.mean(raw) == pytest.approx(luck, abs=0.0005)
    assert abs(np.mean(corrected)) < 3.5 * np.std(corrected) / math.sqrt(n_studies)
    assert abs(np.mean(corrected)) < luck / 2
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)


def test_the_luck_of_the_best_epoch_is_taken_out_too() -> None:
    rng = np.random.default_rng(16)
    share, n_studies = 0.97, 100
    raw, corrected, without, gains, covered, too_high = [], [], [], [], 0, 0
    for study in range(n_studies):
        right, worth, order = epochs_alike(12, 6, 1500, share, rng)
        owner = np.repeat(np.arange(12), 6)
        result = correct_for_selection(right.reshape(72, -1), owner, n_draws=60, seed=study)
        raw.append(result.raw - worth)
        corrected.append(result.corrected - worth)
        among_trials = correct_for_selection(right[:, 0], n_draws=60, seed=study)
        without.append(among_trials.corrected - worth)
        covered += result.interval.low <= share <= result.interval.high
        too_high += result.interval.low > share
        baseline = right[int(np.flatnonzero(order == 0)[0])]
        own = correct_for_selection(baseline, n_draws=60, seed=study)
        gains.append(result.raw - own.raw - result.optimism + own.optimism)
    assert np.mean(raw) > 0.004
    assert np.mean(without) > 0.001  # what correcting for the choice of the trial alone leaves
    assert abs(np.mean(corrected)) < 3.5 * np.std(corrected) / math.sqrt(n_studies)
    assert abs(np.mean(gains)) < 3.5 * np.std(gains) / math.sqrt(n_studies)
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)
    assert too_high / n_studies <= 0.025 + limit(0.025, n_studies)


def test_the_best_of_one_runs_epochs_is_corrected_like_the_best_of_several_runs() -> None:
    rng = np.random.default_rng(17)
    n_studies, raw, corrected, covered = 200, [], [], 0
    for study in range(n_studies):
        right, worth, _ = epochs_alike(1, 20, 300, 0.95, rng)
        result = correct_for_selection(right[0], np.zeros(20, int), n_draws=60, seed=study)
        raw.append(result.raw - worth)
        corrected.append(result.corrected - worth)
        covered += result.interval.low <= 0.95 <= result.interval.high
    assert np.mean(raw) > 0.005
    assert abs(np.mean(corrected)) < 3.5 * np.std(corrected) / math.sqrt(n_studies)
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)


def test_among_equals_chosen_by_their_best_epochs_few_rows_are_called_beaten() -> None:
    rng = np.random.default_rng(18)
    n_studies, wrong = 60, 0
    for _ in range(n_studies):
        right, _, _ = epochs_alike(25, 6, 1500, 0.95, rng)
        wrong += not compare_with_first(right[:, 0], 0).tied.all()
    assert wrong / n_studies <= 0.05 + limit(0.05, n_studies)


def test_where_configs_differ_the_correction_errs_on_the_modest_side_and_the_interval_holds() -> (
    None
):
    rng = np.random.default_rng(1)
    n_studies, errors, covered, too_high = 200, [], 0, 0
    for study in range(n_studies):
        right, truth = spread(30, 1000, 0.97, rng)
        result = correct_for_selection(right, n_draws=80, seed=study)
        true = truth[result.leader]
        errors.append(result.corrected - true)
        covered += result.interval.low <= true <= result.interval.high
        too_high += result.interval.low > true
    error = np.std(errors) / math.sqrt(n_studies)
    assert -0.003 < np.mean(errors) < 3.5 * error
    assert covered / n_studies >= 0.95 - limit(0.95, n_studies)
    assert too_high / n_studies <= 0.025 + limit(0.025, n_studies)


@pytest.mark.parametrize("draw", [independent, alike])
def test_among_equals_a_row_is_called_beaten_in_five_percent_of_studies_at_most(
    draw: Callable[..., np.ndarray],
) -> None:
    rng = np.random.default_rng(2)
    n_studies, honest, naive = 100, 0, 0
    for _ in range(n_studies):
        right = draw(100, 5000, 0.97, rng)
        leader = int(right.sum(axis=1).argmax())
        honest += not compare_with_first(right, leader).tied.all()
        naive += not compare_with_first(right, leader, first_was_chosen=False).tied.all()
    assert honest / n_studies <= 0.05 + limit(0.05, n_studies)
    # Why pairs are counted: Holm over the rows alone forgets that the leader was chosen.
    assert naive / n_studies > 0.3


def test_holm_keeps_the_family_at_five_percent_where_the_reference_was_fixed_beforehand() -> None:
    rng = np.random.default_rng(3)
    n_studies = 400
    wrong = 0
    for _ in range(n_studies):
        right = alike(20, 2000, 0.95, rng)
        right[15:] &= rng.random((5, 2000)) < 0.9
        tied = compare_with_first(right, first_was_chosen=False).tied
        wrong += not tied[:15].all()
        assert not tied[15:].any()
    assert wrong / n_studies <= 0.05 + limit(0.05, n_studies)


def test_the_truly_best_is_the_leader_or_tied_with_it() -> None:
    rng = np.random.default_rng(4)
    n_studies, missed = 200, 0
    for _ in range(n_studies):
        right, truth = spread(30, 1000, 0.97, rng)
        leader = int(right.sum(axis=1).argmax())
        missed += not compare_with_first(right, leader).tied[truth.argmax()]
    assert missed / n_studies <= 0.05


def test_the_corrected_gain_over_the_baseline_is_rarely_claimed_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    n_studies, claimed, gains = 150, 0, []
    for study in range(n_studies):
        right = alike(20, 3000, 0.97, rng)
        result = correct_for_selection(right, n_draws=80, seed=study)
        paired = paired_gain(right[result.leader], right[0])
        gain = paired.gain - result.optimism
        gains.append(gain)
        claimed += gain - paired.interval.width / 2 > 0.0
    assert abs(np.mean(gains)) < 3.5 * np.std(gains) / math.sqrt(n_studies) + 1e-4
    assert claimed / n_studies <= 0.025 + limit(0.025, n_studies)


# Intervals


@pytest.mark.parametrize(("share", "n"), [(0.985, 10_000), (0.9, 100), (0.985, 300)])
def test_wilsons_interval_covers_at_its_rate(share: float, n: int) -> None:
    right = np.random.default_rng(6).binomial(n, share, 4000)
    counts, times = np.unique(right, return_counts=True)
    intervals = [wilson_interval(count / n, n) for count in counts]
    covered = sum(t for i, t in zip(intervals, times, strict=True) if i.low <= share <= i.high)
    assert 0.93 <= covered / 4000 <= 0.97


def test_mcnemar_keeps_its_level_for_few_and_many_discordant_images() -> None:
    # The number of discordant images is itself a matter of luck; for a fixed one the mid-p value's
    # rate jumps about its level, up to half as much again.
    rng = np.random.default_rng(7)
    for discordant, least in ((10, 0.02), (30, 0.03), (300, 0.04)):
        d = rng.poisson(discordant, 8000)
        b = rng.binomial(d, 0.5)
        rate = float((mcnemar(b, d - b) <= 0.05).mean())
        assert least <= rate <= 0.05 + limit(0.05, 8000)


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_students_interval_covers_at_its_rate_from_three_seeds_on(n_seeds: int) -> None:
    scores = np.random.default_rng(8).normal(0.98, 0.002, size=(2000, n_seeds))
    covered = [i.low <= 0.98 <= i.high for i in (mean_interval(s).interval for s in scores)]
    assert np.mean(covered) == pytest.approx(0.95, abs=limit(0.95, 2000))


def test_the_bootstrap_covers_at_about_its_rate_from_six_seeds_on() -> None:
    scores = np.random.default_rng(9).normal(0.98, 0.002, size=(300, 8))
    found = [mean_interval(s, method="bootstrap", seed=i).interval for i, s in enumerate(scores)]
    assert np.mean([i.low <= 0.98 <= i.high for i in found]) >= 0.95 - limit(0.95, 300)


# Seeds: the race


@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_the_race_rarely_drops_the_best_of_near_equals(shared: float) -> None:
    rng = np.random.default_rng(11)
    n_races, n_seeds, dropped = 100, 8, 0
    for _ in range(n_races):
        # A new split for every seed moves all configs together: the shared part.
        common = shared * rng.standard_normal(n_seeds)
        scores = np.array([0.1, 0, 0, 0, 0])[:, None] + common + rng.normal(size=(5, n_seeds))
        dropped += 0 in run_race(scores)
    assert dropped / n_races <= 0.05 + limit(0.05, n_races)


def test_the_race_rarely_calls_any_of_equals_beaten() -> None:
    rng = np.random.default_rng(15)
    n_races = 100
    wrong = sum(bool(run_race(rng.normal(size=(6, 8)))) for _ in range(n_races))
    assert wrong / n_races <= 0.05 + limit(0.05, n_races)


def test_the_race_saves_the_seeds_of_those_that_are_far_behind() -> None:
    rng = np.random.default_rng(12)
    n_races, n_seeds, early = 20, 10, 0
    for _ in range(n_races):
        scores = np.array([0.0, -0.2, -12, -12, -12])[:, None] + rng.normal(size=(5, n_seeds))
        early += {2, 3, 4} <= set(run_race(scores, until=6))
    assert early / n_races > 0.8


def run_race(scores: np.ndarray, until: int | None = None) -> dict[int, float]:
    """Give seeds one at a time, looking after each from the third on; return who was beaten."""
    n_rows, n_seeds = scores.shape
    given: dict[int, dict[int, float]] = {row: {} for row in range(n_rows)}
    beaten: dict[int, float] = {}
    for seed in range(until or n_seeds):
        for row in range(n_rows):
            if row not in beaten:
                given[row][seed] = float(scores[row, seed])
        if 2 <= seed < n_seeds - 1:
            looks = n_seeds - 3
            beaten = race(given, "maximize", n_looks=looks, already_beaten=beaten).beaten
    return beaten


# Stop now?


def test_the_expected_gain_of_random_search_is_near_the_truth_and_not_below_it() -> None:
    rng = np.random.default_rng(13)
    n, more, n_searches = 60, 20, 600
    for sample in (rng.random, lambda size: 1.0 - rng.random(size) ** (1 / 3)):
        found = np.array(
            [
                (
                    expected_gain(x[:n].tolist(), more, "maximize").expected_gain,
                    x.max() - x[:n].max(),
                )
                for x in sample((n_searches, n + more))
            ]
        )
        estimate, truth = found.mean(axis=0)
        error = found.std(axis=0).max() / math.sqrt(n_searches)
        assert truth - 3.5 * error < estimate < 1.6 * truth + 3.5 * error


def test_the_chance_of_a_new_best_is_what_it_says() -> None:
    scores = np.random.default_rng(14).standard_normal((4000, 50))
    better = scores[:, 40:].max(axis=1) > scores[:, :40].max(axis=1)
    said = expected_gain(scores[0, :40].tolist(), 10, "maximize").chance
    assert better.mean() == pytest.approx(said, abs=limit(said, 4000))
