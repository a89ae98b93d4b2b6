"""What a config gains by fresh seeds: hardly ever claimed where there is nothing to gain."""

from __future__ import annotations

import numpy as np
import pytest
from simulated.worlds import by_seeds, hardness

from besom.statistics.distributions import Interval
from besom.statistics.fresh_seeds import OnFreshSeeds, gains_on_fresh_seeds
from besom.statistics.paired import paired_gain
from besom.statistics.power import in_seeds, seeds_needed
from besom.statistics.selection import correct_for_selection
from user_project import run_long


def searched(
    rng: np.random.Generator, n: int, sd: float, own: float, gain: float = 0.0
) -> tuple[dict[int, OnFreshSeeds], bool]:
    """30 configs, of which one may be better; and whether one seed's claim would be made."""
    hard = hardness(rng, n, 30, own)
    accuracy = [0.9 + gain * (i == 1) for i in range(30)]
    rows = np.stack([by_seeds(rng, hard[i], accuracy[i], sd, 1)[0] for i in range(30)])
    order = np.argsort(-rows.mean(axis=1), kind="stable")
    optimism = correct_for_selection(rows[order], n_draws=100).optimism
    leaders = [int(i) for i in order if i != 0][:3]
    fresh = {c: by_seeds(rng, hard[c], accuracy[c], sd, 3) for c in (0, *leaders)}
    gains = gains_on_fresh_seeds(
        {c: dict(enumerate(table.mean(axis=1))) for c, table in fresh.items()},
        {c: dict(enumerate(table)) for c, table in fresh.items()},
        0,
        optimism,
    )
    of_one = paired_gain(rows[leaders[0]], rows[0])
    return gains, of_one.gain - optimism > of_one.interval.width / 2.0


@pytest.mark.slow
@pytest.mark.parametrize(("n", "sd", "own"), [(2000, 0.003, 0.0), *run_long((2000, 0.003, 0.1))])
def test_where_no_config_is_better_a_gain_is_claimed_in_five_percent_at_most(
    n: int, sd: float, own: float
) -> None:
    rng, n_cases = np.random.default_rng(0), 120
    found = [searched(rng, n, sd, own) for _ in range(n_cases)]
    claimed = sum(any(gain.interval.low > 0 for gain in gains.values()) for gains, _ in found)
    assert claimed / n_cases <= 0.05 + 3.5 * (0.05 * 0.95 / n_cases) ** 0.5
    if not own:
        assert sum(by_one for _, by_one in found) / n_cases > 0.2  # as one seed's weights would
    held = sum(
        all(g.interval.low <= 0 <= g.interval.high for g in gains.values()) for gains, _ in found
    )
    assert held / n_cases >= 0.95 - 3.5 * (0.05 * 0.95 / n_cases) ** 0.5


def test_a_gain_that_is_large_enough_is_shown() -> None:
    gains, _ = searched(np.random.default_rng(1), 5000, 0.002, 0.02, gain=0.03)
    assert gains[1].interval.low > 0
    assert gains[1].interval.low <= 0.03 <= gains[1].interval.high
    assert gains[1].n_seeds == 3


@pytest.mark.parametrize("scatter", [0.004, 0.01])
def test_as_many_seeds_as_are_said_to_be_needed_show_the_gain(scatter: float) -> None:
    rng, gain, of_examples = np.random.default_rng(0), 0.02, 0.003
    error = scatter * (2 / 3) ** 0.5
    fresh = OnFreshSeeds(0.0, np.hypot(error, of_examples), Interval(0, 0), 3, error)
    needed = seeds_needed(gain, fresh, 2)
    assert needed is not None

    def shown(n_seeds: int) -> float:
        n_shown = 0
        for _ in range(400):
            pair = rng.normal([[0.9], [0.9 + gain]], scatter, (2, n_seeds))
            pair[1] += rng.normal(0, of_examples)
            scores = {c: dict(enumerate(row)) for c, row in enumerate(pair)}
            # Examples that differ as much as ``of_examples`` says.
            differs = np.tile([1.0, -1.0], 5000) * of_examples * 100
            rows = {0: dict.fromkeys(range(n_seeds), differs * 0.0)}
            rows[1] = dict.fromkeys(range(n_seeds), differs)
            n_shown += gains_on_fresh_seeds(scores, rows, 0, 0.0)[1].interval.low > 0
        return n_shown / 400

    assert shown(needed) > 0.72
    assert needed == 2 or shown(max(needed // 2, 2)) < 0.72


def test_where_the_examples_are_too_few_no_number_of_seeds_is_said() -> None:
    fresh = OnFreshSeeds(0.0, 0.01, Interval(0, 0), 3, 0.001)
    assert seeds_needed(0.01, fresh, 4) is None
    assert in_seeds(fresh, 4, 0.0) == ""


def test_where_seeds_scatter_it_is_said_how_many_would_do() -> None:
    fresh = OnFreshSeeds(0.0, 0.005, Interval(0, 0), 3, 0.0049)
    needed = seeds_needed(0.01, fresh, 4)
    said = f"a gain of 1 point over the baseline needs about {needed} fresh seeds of each config"
    assert in_seeds(fresh, 4, 0.0).startswith(said)


def test_a_loss_that_falls_is_a_gain() -> None:
    losses = {0: {1: 0.50, 2: 0.52, 3: 0.51}, 4: {1: 0.30, 2: 0.31, 3: 0.29}}
    rows = {c: {s: np.full(100, -v) for s, v in by.items()} for c, by in losses.items()}
    gain = gains_on_fresh_seeds(losses, rows, 0, 0.0, sign=-1)[4]
    assert gain.mean == pytest.approx(0.21)
    assert gain.interval.low > 0


def test_one_seed_or_one_config_says_nothing() -> None:
    with pytest.raises(ValueError, match="two of each"):
        gains_on_fresh_seeds({0: {1: 0.9}, 1: {1: 0.9}}, {}, 0, 0.0)
