"""What axes promise: outliers do not hide the competition, labels do not lie on each other."""

from __future__ import annotations

import numpy as np
import pytest

from besom.plots.scales import best_so_far, even_ticks, log_ticks, number, score, spread, window


def test_a_loss_of_a_billion_is_left_outside_and_counted():
    losses = [*np.linspace(0.05, 0.12, 40), 1e9, 3e4]
    shown = window(losses, sign=-1)
    assert 0 < shown.low < 0.05
    assert 0.12 < shown.high < 0.2
    assert shown.n_outside == 2
    assert shown.worst == 1e9


def test_many_diverged_trials_do_not_hide_the_others_either():
    losses = [*np.linspace(0.05, 0.12, 40), *np.geomspace(1e3, 1e9, 30)]
    shown = window(losses, sign=-1)
    assert shown.high < 1
    assert shown.n_outside == 30


def test_the_better_side_is_never_cut():
    accuracies = [*np.linspace(0.10, 0.11, 50), 0.99]
    assert window(accuracies, sign=1).high > 0.99
    assert window([-a for a in accuracies], sign=-1).low < -0.99


def test_an_ordinary_spread_is_shown_whole():
    values = np.random.default_rng(0).normal(0.97, 0.005, 200)
    shown = window(values, sign=1)
    assert shown.n_outside == 0
    assert shown.low < values.min() < values.max() < shown.high


@pytest.mark.parametrize("values", [[], [0.5], [0.5] * 30, [0.0], [0.1, 1e9]])
def test_few_or_equal_values_get_an_axis_too(values):
    for sign in (1, -1):
        shown = window(values, sign)
        assert shown.low < shown.high
        assert shown.n_outside == 0
        assert all(shown.holds(v) for v in values)


def test_the_baseline_is_shown_unless_it_would_dwarf_the_rest():
    values = np.linspace(0.97, 0.98, 30)
    assert window(values, 1, [0.96]).holds(0.96)
    assert not window(values, 1, [0.1]).holds(0.1)
    assert window(values, 1, [0.999]).holds(0.999)
    assert window([], 1, [0.9]).holds(0.9)


def test_best_so_far_follows_the_direction():
    values = np.array([3.0, 1.0, 2.0, 5.0])
    assert best_so_far(values, 1).tolist() == [3, 3, 3, 5]
    assert best_so_far(values, -1).tolist() == [3, 1, 1, 1]


def test_labels_are_moved_apart_in_their_order():
    wanted = [0.50, 0.52, 0.51, 0.98]
    placed = spread(wanted, gap=0.1, low=0.0, high=1.0)
    assert sorted(range(4), key=placed.__getitem__) == sorted(range(4), key=wanted.__getitem__)
    assert np.diff(sorted(placed)).min() >= 0.1 - 1e-9
    assert min(placed) >= 0
    assert max(placed) <= 1


def test_labels_that_cannot_all_fit_share_the_room():
    placed = spread([0.5] * 11, gap=0.5, low=0.0, high=1.0)
    assert sorted(placed) == pytest.approx(np.linspace(0, 1, 11))
    assert spread([], 0.1, 0, 1) == []
    assert spread([0.3], 0.1, 0, 1) == [0.3]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98432, "0.9843"),
        (0.5, "0.5"),
        (12345.0, "12,345"),
        (535818.0, "535,818"),
        (1.23e9, "1.23e9"),
        (1e-4, "1e-4"),
        (0.0, "0"),
        (-0.25, "-0.25"),
    ],
)
def test_numbers_read_as_people_write_them(value, text):
    assert number(value) == text


def test_scores_keep_their_last_digit():
    assert score(0.984) == "0.9840"
    assert score(535818.0) == "535,818"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-4, 1e-1, [1e-4, 1e-3, 1e-2, 1e-1]),
        (32, 1024, [100, 300, 1000]),
        (0.002, 0.0021, [0.002, 0.0021]),
    ],
)
def test_log_axes_have_round_ticks_inside_the_axis(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_a_wide_log_axis_is_not_crowded():
    assert len(log_ticks(1e-12, 1e3)) <= 5


@pytest.mark.parametrize(
    ("low", "high", "integer", "ticks"),
    [
        (0, 1, False, [0, 0.25, 0.5, 0.75, 1]),
        (0, 1, True, [0, 1]),
        (1, 4, True, [1, 2, 3, 4]),
        (16, 512, True, [200, 400]),
        (-5, 5, False, [-5, -2.5, 0, 2.5, 5]),
        (0.001, 0.0011, False, [0.001, 0.001025, 0.00105, 0.001075, 0.0011]),
    ],
)
def test_even_ticks_are_round_and_few(
    low: float, high: float, integer: bool, ticks: list[float]
) -> None:
    assert even_ticks(low, high, integer=integer) == pytest.approx(ticks)
