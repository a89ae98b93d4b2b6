"""The luck of the images beside that of the seeds: what may be claimed of new images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulated.worlds import WORTHS, crossed, crossed_truth

from besom.statistics import (
    RightBySeed,
    gain_for_new_images,
    gain_over,
    image_error,
    mean_interval,
)
from besom.statistics.seeds import add_image_error
from user_project import some_long

Table = np.ndarray


def by_seed(table: Table) -> RightBySeed:
    return dict(enumerate(table.astype(bool)))


def scores(table: Table) -> dict[int, float]:
    return dict(enumerate(map(float, table.mean(axis=1))))


def test_the_error_is_the_analysis_of_variances_of_the_two_way_table() -> None:
    table = np.random.default_rng(0).random((4, 500)) < np.linspace(0.5, 1.0, 500)
    k, n = table.shape
    by_image = table.mean(axis=0)
    rest = table - by_image - table.mean(axis=1, keepdims=True) + table.mean()
    ms_images = k * by_image.var(ddof=1)
    ms_rest = (rest**2).sum() / ((k - 1) * (n - 1))
    assert image_error(by_seed(table)) == pytest.approx(
        math.sqrt((ms_images - ms_rest) / (k * n)), rel=1e-9
    )


def test_seeds_that_fail_on_the_same_images_have_the_binomial_error() -> None:
    table = np.tile(np.arange(1000) >= 20, (5, 1))
    assert image_error(by_seed(table)) == pytest.approx(math.sqrt(0.02 * 0.98 / 999))


def test_noise_of_single_runs_is_not_counted_as_the_luck_of_the_images() -> None:
    """No image is harder than another: new ones add nothing that the seeds do not show."""
    table = np.random.default_rng(0).random((5, 10_000)) < 0.9
    assert image_error(by_seed(table)) < 0.4 * math.sqrt(0.9 * 0.1 / 10_000)


def test_images_that_never_differ_may_still_hold_one_that_does() -> None:
    assert image_error(by_seed(np.ones((3, 100)))) == 1 / 100


def test_a_gain_pairs_image_by_image_over_the_seeds_that_both_have() -> None:
    rng = np.random.default_rng(1)
    hard = rng.random(1000) < 0.2
    a, b = (np.stack([~hard | (rng.random(1000) < 0.02) for _ in range(4)]) for _ in range(2))
    alone = image_error(by_seed(a))
    assert image_error(by_seed(a), by_seed(b)) < 0.2 * alone
    fewer = {seed: right for seed, right in by_seed(b).items() if seed > 1}
    assert image_error(by_seed(a), fewer) == image_error(by_seed(a[2:]), by_seed(b[2:]))
    assert math.isnan(image_error(by_seed(a), by_seed(b[:1])))


def test_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        image_error(by_seed(np.ones((2, 1))))


def test_a_lopsided_interval_stays_lopsided_for_new_images() -> None:
    lopsided = mean_interval([0.9, 0.97, 0.97, 0.98, 0.98, 0.98, 0.98], method="bootstrap")
    low, high = add_image_error(lopsided, 0.002).interval
    assert low < lopsided.interval.low < lopsided.interval.high < high
    assert lopsided.mean - low > high - lopsided.mean


def test_a_p_value_for_new_images_agrees_with_the_interval() -> None:
    a, b = {s: 0.98 + 0.001 * (s % 3) for s in range(5)}, dict.fromkeys(range(5), 0.975)
    gain = gain_over(a, b, "maximize")
    for error in (0.0005, 0.002, 0.005):
        new = gain_for_new_images(gain, error)
        assert new.p_value > gain.p_value
        at_its_edge = gain_over(a, b, "maximize", confidence=1 - new.p_value)
        edge = gain_for_new_images(at_its_edge, error, confidence=1 - new.p_value)
        assert edge.estimate.interval.low == pytest.approx(0.0, abs=1e-9)


def test_a_gain_that_is_beyond_doubt_has_a_p_value_of_nothing() -> None:
    a, b = {1: 0.9, 2: 0.9 + 1e-7, 3: 0.9}, {1: 0.1, 2: 0.1, 3: 0.1}
    new = gain_for_new_images(gain_over(a, b, "maximize"), 1e-4)
    assert new.p_value == pytest.approx(gain_over(a, b, "maximize").p_value, rel=1e-3)
    assert new.p_value < 1e-14


def test_equal_differences_keep_the_sign_tests_p_value() -> None:
    a, b = dict.fromkeys(range(5), 0.98), dict.fromkeys(range(5), 0.97)
    gain = gain_over(a, b, "maximize", step=0.001)
    assert gain_for_new_images(gain, 1e-4).p_value == gain.p_value == 2 / 2**5


def test_a_gain_without_pairs_is_refused() -> None:
    gain = gain_over({1: 0.9, 2: 0.91}, {3: 0.8, 4: 0.81}, "maximize")
    with pytest.raises(ValueError, match="paired"):
        gain_for_new_images(gain, 0.001)


# By simulation: seeds and images drawn anew each time, as a new confirmation would.


CASES = {  # k, n, seed_sd, own_sd, repetitions
    "5 seeds, 1,000 images": (5, 1000, 0.1, 2.0, 2000),
    "5 seeds, 1,000 images, hardly any luck of the seed": (5, 1000, 0.01, 2.0, 2000),
    "5 seeds, 10,000 images": (5, 10_000, 0.1, 2.0, 500),
    "2 seeds, 1,000 images": (2, 1000, 0.1, 2.0, 2000),
}


@pytest.mark.parametrize("name", some_long(CASES, ["2 seeds, 1,000 images"]))
def test_intervals_for_new_images_cover_new_seeds_and_images(name: str) -> None:
    k, n, seed_sd, own_sd, n_cases = CASES[name]
    rng = np.random.default_rng(4)
    truth = [crossed_truth(worth, seed_sd, own_sd) for worth in WORTHS]
    held = {"score": 0, "gain": 0, "gain, these images": 0}
    for _ in range(n_cases):
        a, b = crossed(rng, k, n, seed_sd, own_sd)
        score = add_image_error(
            mean_interval(list(scores(a).values()), step=1 / n), image_error(by_seed(a))
        )
        gain = gain_over(scores(b), scores(a), "maximize", step=1 / n)
        new = gain_for_new_images(gain, image_error(by_seed(a), by_seed(b)))
        worth = truth[1] - truth[0]
        held["score"] += score.interval.low <= truth[0] <= score.interval.high
        held["gain"] += new.estimate.interval.low <= worth <= new.estimate.interval.high
        held["gain, these images"] += (
            gain.estimate.interval.low <= worth <= gain.estimate.interval.high
        )
    slack = 3.0 * math.sqrt(0.05 * 0.95 / n_cases)
    for what in ("score", "gain"):
        assert 0.95 - slack <= held[what] / n_cases < 0.995, held
    assert held["gain, these images"] < held["gain"], held
