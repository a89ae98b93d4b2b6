"""Means over seeds, gains and the race: what they do with few, equal and odd scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from besom.statistics import (
    add_image_error,
    gain_over,
    mean_interval,
    race,
    within_a_share,
)

SCORES = [0.981, 0.983, 0.982, 0.985, 0.979, 0.984, 0.982]


def by_seed(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


# Means


def test_the_interval_of_the_mean_is_students() -> None:
    theirs = stats.ttest_1samp(SCORES, 0.0).confidence_interval(0.95)
    ours = mean_interval(SCORES)
    assert (ours.interval.low, ours.interval.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.n == 7
    assert ours.method == "student-t"


def test_one_seed_has_a_mean_and_says_nothing_of_the_scatter() -> None:
    estimate = mean_interval([0.98])
    assert estimate.mean == 0.98
    assert math.isnan(estimate.standard_error)
    assert estimate.interval == (-math.inf, math.inf)


@pytest.mark.parametrize("method", ["student-t", "bootstrap"])
def test_equal_scores_have_no_interval_or_one_of_an_images_scatter(method: str) -> None:
    unknown = mean_interval([0.9611] * 7, method=method)
    assert math.isnan(unknown.standard_error)
    assert unknown.interval == (-math.inf, math.inf)
    known = mean_interval([0.9611] * 7, method=method, step=1 / 360)
    assert known.standard_error == pytest.approx(1 / 360 / math.sqrt(7))
    assert known.interval.width == pytest.approx(2 * 2.4469 * known.standard_error, rel=1e-4)
    assert known.standard_deviation == 0.0
    assert mean_interval(SCORES, step=0.1) == mean_interval(SCORES)


def test_the_bootstrap_stays_within_the_scores_and_near_students() -> None:
    student, bootstrap = mean_interval(SCORES), mean_interval(SCORES, method="bootstrap")
    assert bootstrap.method == "bootstrap"
    assert min(SCORES) < bootstrap.interval.low < bootstrap.interval.high < max(SCORES)
    assert bootstrap.interval.width == pytest.approx(student.interval.width, rel=0.2)
    assert bootstrap == mean_interval(SCORES, method="bootstrap")


def test_with_five_seeds_the_bootstrap_gives_way_to_student_and_says_so() -> None:
    assert mean_interval(SCORES[:5], method="bootstrap") == mean_interval(SCORES[:5])


@pytest.mark.parametrize("values", [[], [0.9, math.nan], [math.inf]])
def test_scores_that_are_not_finite_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval(values)


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'student-t' or 'bootstrap'"):
        mean_interval(SCORES, method="bayes")


def test_new_images_widen_the_interval_and_never_narrow_it() -> None:
    seeds_only = mean_interval(SCORES)
    both = add_image_error(seeds_only, 0.002)
    assert both.standard_error == math.hypot(seeds_only.standard_error, 0.002)
    assert both.interval.width > seeds_only.interval.width
    assert add_image_error(seeds_only, 0.0).interval == pytest.approx(seeds_only.interval)


def test_a_share_of_one_has_an_interval_below_it_as_wide_as_its_examples_allow() -> None:
    nearly = add_image_error(mean_interval([1.0] * 5, step=1 / 360), 1 / 360)
    low, high = within_a_share(nearly, 360).interval
    assert high == 1.0
    assert 0.98 < low < 0.995
    middling = add_image_error(mean_interval([0.52, 0.5, 0.49, 0.5, 0.51]), 0.02)
    assert within_a_share(middling, 360).interval == pytest.approx(middling.interval, abs=2e-3)


# Gains


def test_configs_that_share_seeds_are_paired() -> None:
    other = [value - 0.01 - 0.001 * (i % 2) for i, value in enumerate(SCORES)]
    theirs = stats.ttest_rel(SCORES, other)
    gain = gain_over(by_seed(SCORES), by_seed(other), "maximize")
    assert gain.estimate.method == "paired-t"
    assert gain.p_value == pytest.approx(theirs.pvalue)
    assert gain.estimate.interval == pytest.approx(tuple(theirs.confidence_interval()))


def test_configs_that_share_no_seeds_are_compared_by_welch() -> None:
    other = [0.970, 0.975, 0.968]
    theirs = stats.ttest_ind(SCORES, other, equal_var=False)
    gain = gain_over(by_seed(SCORES), {10 + i: v for i, v in enumerate(other)}, "maximize")
    assert gain.estimate.method == "welch"
    assert gain.p_value == pytest.approx(theirs.pvalue)
    assert gain.estimate.interval == pytest.approx(tuple(theirs.confidence_interval()))


def test_a_gain_is_positive_where_it_is_better_also_when_minimising() -> None:
    low, high = by_seed([0.10, 0.11, 0.12]), by_seed([0.2, 0.22, 0.21])
    assert gain_over(low, high, "minimize").estimate.mean == pytest.approx(0.1)
    assert gain_over(low, high, "maximize").estimate.mean == pytest.approx(-0.1)
    assert gain_over(low, high, "minimize").p_better < 0.05
    assert gain_over(low, high, "maximize").p_better > 0.95


def test_the_same_difference_thrice_is_no_certainty() -> None:
    gain = gain_over(by_seed([0.97] * 3), by_seed([0.96] * 3), "maximize")
    assert gain.p_value == 0.25
    assert gain.estimate.interval == (-math.inf, math.inf)
    stepped = gain_over(by_seed([0.97] * 3), by_seed([0.96] * 3), "maximize", step=0.001)
    assert stepped.p_value == 0.25
    assert stepped.estimate.interval.low < 0.01 - 0.001
    apart = gain_over({0: 0.97, 1: 0.97}, {5: 0.96, 6: 0.96}, "maximize")
    assert apart.p_value == pytest.approx(1 / 3)
    assert apart.estimate.interval == (-math.inf, math.inf)
    apart = gain_over({0: 0.97, 1: 0.97}, {5: 0.96, 6: 0.96}, "maximize", step=0.001)
    assert apart.estimate.standard_error == pytest.approx(0.001)
    assert apart.estimate.interval.low < 0.0


def test_equal_scores_have_p_value_one_and_one_seed_tells_nothing() -> None:
    assert gain_over(by_seed([0.9, 0.9]), by_seed([0.9, 0.9]), "maximize").p_value == 1.0
    assert gain_over({0: 0.9, 1: 0.9}, {2: 0.9, 3: 0.9}, "maximize").p_value == 1.0
    assert math.isnan(gain_over({0: 0.9}, {0: 0.8}, "maximize").p_value)
    assert math.isnan(gain_over({0: 0.9}, {0: 0.8}, "maximize", pairing="paired").p_value)


def test_pairing_without_a_shared_seed_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="use 'welch'"):
        gain_over({0: 0.9}, {1: 0.8}, "maximize", pairing="paired")
    with pytest.raises(ValueError, match="'auto', 'paired' or 'welch'"):
        gain_over({0: 0.9}, {1: 0.8}, "maximize", pairing="t")


# The race


def test_who_is_far_behind_gets_no_more_seeds_and_the_leader_and_its_equals_do() -> None:
    rng = np.random.default_rng(0)
    near = [v + 0.0004 * rng.standard_normal() for v in SCORES]
    far = [v - 0.05 + 0.001 * rng.standard_normal() for v in SCORES]
    decision = race({0: by_seed(SCORES), 1: by_seed(near), 2: by_seed(far)}, "maximize", n_looks=5)
    assert set(decision.alive) == {0, 1}
    assert set(decision.beaten) == {2}
    assert decision.beaten[2] < 0.05
    losses = {t: by_seed([1 - v for v in values]) for t, values in ((0, SCORES), (2, far))}
    assert race(losses, "minimize", n_looks=5).leader == 0
    assert set(race(losses, "minimize", n_looks=5).beaten) == {2}


def test_two_seeds_beat_nobody() -> None:
    decision = race({0: {0: 0.99, 1: 0.991}, 1: {0: 0.1, 1: 0.1005}}, "maximize", n_looks=1)
    assert decision.beaten == {}


def test_what_an_earlier_look_decided_stands() -> None:
    scores = {0: by_seed(SCORES), 1: by_seed([v + 0.01 for v in SCORES[:3]])}
    decision = race(scores, "maximize", n_looks=3, already_beaten={1})
    assert decision.leader == 0
    assert decision.alive == (0,)
    assert list(decision.beaten) == [1]


def test_seeds_go_first_to_those_least_known_and_then_to_the_best() -> None:
    scores = {0: by_seed([0.9, 0.91]), 1: by_seed([0.95, 0.94]), 2: by_seed([0.5]), 3: {}}
    assert race(scores, "maximize", n_looks=3).alive == (3, 2, 1, 0)
    nobody = race({4: {}, 2: {}}, "maximize", n_looks=3)
    assert (nobody.leader, nobody.alive) == (None, (2, 4))


def test_a_race_of_one_has_a_leader_and_no_loser() -> None:
    assert race({7: by_seed(SCORES)}, "maximize", n_looks=3).alive == (7,)


def test_a_race_that_is_never_looked_at_is_refused() -> None:
    with pytest.raises(ValueError, match="n_looks is 0"):
        race({0: {0: 1.0}}, "maximize", n_looks=0)
