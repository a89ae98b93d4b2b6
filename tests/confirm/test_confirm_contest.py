"""The race: who gets the next seed and who gets no more, whatever the order in which runs end."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest

from besom.rerun.confirm.contest import Contest, RunKey

Score = Callable[[RunKey], float | None]


def contest(n_entrants: int = 4, n_seeds: int = 5, **options: object) -> Contest:
    defaults: dict[str, object] = {"baseline": None, "direction": "maximize"}
    return Contest(range(n_entrants), range(1, n_seeds + 1), **{**defaults, **options})  # type: ignore[arg-type]


def play(
    race: Contest, score: Score, n_workers: int = 1, shuffle: int | None = None
) -> list[RunKey]:
    """Run everything on workers that take their time; returns the runs in the order of starting."""
    draw = random.Random(shuffle)
    running: list[RunKey] = []
    order: list[RunKey] = []
    while True:
        while len(running) < n_workers and (run := race.next_run()) is not None:
            race.start(run)
            running.append(run)
            order.append(run)
        if not running:
            return order
        over = running.pop(draw.randrange(len(running)) if shuffle is not None else 0)
        race.end(over, score(over))


def around(qualities: Sequence[float], noise: float = 0.01, seed: int = 0) -> Score:
    def score(run: RunKey) -> float:
        trial, at = run
        return qualities[trial] + noise * random.Random(f"{trial} {at} {seed}").gauss(0, 1)

    return score


def test_seeds_go_round_by_round_and_first_to_the_best_so_far() -> None:
    order = play(contest(3, 2), around([0.5, 0.9, 0.7]))
    assert order == [(0, 1), (1, 1), (2, 1), (1, 2), (2, 2), (0, 2)]


def test_who_is_clearly_beaten_gets_no_more_seeds() -> None:
    race = contest(4, 5)
    order = play(race, around([0.9, 0.9, 0.2, 0.3]))
    assert race.beaten == {2: 3, 3: 3}
    assert len(order) == 2 * 5 + 2 * 3
    assert race.n_runs == len(order)


def test_without_the_race_everyone_gets_every_seed() -> None:
    race = contest(4, 5, racing=False)
    assert len(play(race, around([0.9, 0.9, 0.2, 0.3]))) == 20
    assert not race.beaten


def test_the_baseline_gets_every_seed_even_where_it_is_beaten() -> None:
    race = contest(3, 5, baseline=2)
    order = play(race, around([0.9, 0.9, 0.1]))
    assert not race.beaten
    assert sum(trial == 2 for trial, _ in order) == 5


def test_a_config_that_may_still_win_is_never_dropped() -> None:
    race = contest(3, 5)
    play(race, around([0.9, 0.895, 0.89]))
    assert race.alive == [0, 1, 2]


def test_two_or_three_seeds_leave_nothing_to_save() -> None:
    assert contest(4, 2).looks == contest(4, 3).looks == []
    assert contest(4, 5).looks == [3]
    assert contest(4, 20).looks == [3, 5, 8, 12, 18]


@pytest.mark.parametrize("shuffle", range(5))
def test_who_is_dropped_does_not_depend_on_which_worker_is_faster(shuffle: int) -> None:
    score = around([0.9, 0.86, 0.85, 0.5, 0.3], noise=0.02)
    calm, hasty = contest(5, 8), contest(5, 8)
    play(calm, score)
    play(hasty, score, n_workers=3, shuffle=shuffle)
    assert hasty.beaten == calm.beaten
    assert calm.beaten


def test_a_race_that_goes_on_from_stored_scores_decides_the_same() -> None:
    score = around([0.9, 0.89, 0.5, 0.3])
    whole, resumed = contest(4, 6), contest(4, 6)
    order = play(whole, score)
    resumed.fill({run: score(run) for run in order[: len(order) // 2]})
    play(resumed, score)
    assert resumed.beaten == whole.beaten
    assert resumed.scores == whole.scores


def test_a_config_that_always_fails_gets_no_more_and_has_no_score() -> None:
    race = contest(3, 5)
    good = around([0.9, 0.9, 0.9])
    play(race, lambda run: None if run[0] == 1 else good(run))
    assert race.hopeless == {1: 3}
    assert race.scores_of(1) == {}


def test_a_failed_seed_is_no_score_and_does_not_stop_the_race() -> None:
    race = contest(3, 5)
    good = around([0.9, 0.9, 0.1])
    play(race, lambda run: None if run == (0, 2) else good(run))
    assert list(race.scores_of(0)) == [1, 3, 4, 5]
    assert 0 not in race.beaten


def test_minimising_drops_the_largest() -> None:
    race = contest(3, 5, direction="minimize")
    play(race, around([0.1, 0.1, 0.9]))
    assert list(race.beaten) == [2]


@pytest.mark.slow
def test_the_truly_best_is_dropped_in_at_most_one_race_in_twenty() -> None:
    dropped = n_saved = 0
    n_races = 150
    qualities = [0.0, -0.001, -2.0, -20.0]
    for seed in range(n_races):
        race = contest(4, 6)
        play(race, around(qualities, noise=1.0, seed=seed))
        dropped += 0 in race.beaten
        n_saved += 24 - race.n_runs
    assert dropped <= 0.05 * n_races + 3 * (0.05 * 0.95 * n_races) ** 0.5
    assert n_saved >= 3 * 0.5 * n_races  # the hopeless one is usually seen for what it is


def test_extending_the_seeds_keeps_what_was_run() -> None:
    score = around([0.9, 0.89])
    short, long = contest(2, 3), contest(2, 6)
    play(short, score)
    long.fill(short.scores)
    fresh = play(long, score)
    assert sorted(fresh) == list(itertools.product([0, 1], [4, 5, 6]))
