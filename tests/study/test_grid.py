"""What a user is promised of a walk through a finite space: every point once, whatever happens."""

from __future__ import annotations

import json

import optuna
import pytest
import sweeping

from besom.api import load_study
from besom.errors import SpaceError
from besom.space import parse_space
from besom.store.records import Outcome
from besom.study import make_plan, run_sweep
from besom.study.samplers import SpaceGridSampler

GRID = (
    "sweep/sampler=grid",
    "sweep.space.model.dropout=[0.1,0.2,0.3,0.4]",
    "sweep.space.optimizer.learning_rate=[0.001,0.01,0.1]",
)


@pytest.mark.parametrize("name", ["SpaceGridSampler", "SpaceBruteForceSampler"])
def test_a_grid_extended_again_and_again_visits_every_point_once(project, no_orphans, name):
    target = f"sweep.sampler._target_=besom.study.samplers.{name}"
    for n, extend in ((3, False), (4, True), (7, True), (50, True)):
        plan = make_plan("cheap", [*GRID, target, f"sweep.n_trials={n}"])
        run_sweep(plan, extend=extend)
    study = load_study("cheap")
    assert len(set(sweeping.points(study))) == len(study.trials) == 12
    assert {t.outcome for t in study.trials} == {Outcome.COMPLETE}


def test_a_grid_ends_when_its_last_points_are_running(project, no_orphans):
    trace = project.root / "trace"
    sweeping.sweep(
        *GRID, "sweep.n_trials=50", "sweep.executor.workers=3", "trainer.seconds=0.02",
        f"trainer.trace={trace}",
    )  # fmt: skip
    assert len(sweeping.runs(trace)) == len(load_study("cheap").trials) == 12


def test_a_baseline_outside_the_grid_runs_beside_it(project, no_orphans):
    sweeping.sweep(*GRID, "sweep.space.model.dropout=[0.0,0.4]", "sweep.n_trials=50")
    study = load_study("cheap")
    assert len(study.trials) == study.n_asked == 7


def test_a_sweep_over_a_small_grid_says_how_many_trials_there_are(project, no_orphans):
    said = project.done("sweep", "cheap", *GRID, "sweep.n_trials=50", "sweep.replicates=0")
    assert "cheap: 12 trials" in said
    assert "[12/12]" in said


def visits(space):
    """The points that the sampler proposes until it has none, and one more."""
    study = optuna.create_study(sampler=SpaceGridSampler(space, seed=1))
    seen = []
    while not study.sampler.exhausted(study):
        trial = study.ask()
        seen.append(space.suggest(trial).params)
        study.tell(trial, 0.0)
    assert space.suggest(study.ask()).params in seen
    return seen


def test_lists_in_order_are_walked_as_lists_not_as_permutations():
    spec = {"layers": {"length": {"low": 1, "high": 3}, "each": [8, 16, 32], "shape": "decreasing"}}
    seen = visits(parse_space(spec, base={"layers": [8]}, groups={}, choices={}))
    assert len({json.dumps(point) for point in seen}) == len(seen) == 3 + 6 + 10


def test_conditions_do_not_multiply_the_grid():
    spec = {"a": [1, 2], "b": {"choices": [1, 2, 3], "when": {"a": 2}}}
    seen = visits(parse_space(spec, base={"a": 1, "b": 1}, groups={}, choices={}))
    assert sorted(map(len, seen)) == [1, 2, 2, 2]


def test_a_grid_too_large_to_walk_says_how_large():
    spec = {name: {"type": "int", "low": 1, "high": 1000} for name in "ab"}
    space = parse_space(spec, base={"a": 1, "b": 1}, groups={}, choices={})
    with pytest.raises(SpaceError, match="1,000,000 points"):
        SpaceGridSampler(space)


def test_a_sobol_sequence_goes_on_where_it_was_extended(project, no_orphans):
    sampler = "sweep/sampler=qmc"
    whole = sweeping.sweep(sampler, "sweep.name=whole", "sweep.n_trials=9").study
    sweeping.sweep(sampler, "sweep.name=parts", "sweep.n_trials=4")
    parts = sweeping.sweep(sampler, "sweep.name=parts", "sweep.n_trials=9", extend=True).study
    # Trial 1 is drawn at random: the sequence's space is read from the first trial that is told.
    assert sweeping.points(parts)[2:] == sweeping.points(whole)[2:]


def test_a_given_config_that_differs_outside_the_space_takes_no_point_of_the_grid(
    project, no_orphans
):
    given = (
        "[{optimizer: sgd, model.dropout: 0.1, optimizer.learning_rate: 0.1},"
        " {trainer.epochs: 2, model.dropout: 0.1}]"
    )
    sweeping.sweep(*GRID, f"sweep.enqueue={given}", "sweep.n_trials=50")
    own = [
        t.config
        for t in load_study("cheap").trials
        if t.config["trainer"]["epochs"] == 3 and "momentum" not in t.config["optimizer"]
    ]
    points = [(c["model"]["dropout"], c["optimizer"]["learning_rate"]) for c in own]
    grid = {(a, b) for a in (0.1, 0.2, 0.3, 0.4) for b in (0.001, 0.01, 0.1)}
    assert grid <= set(points)
