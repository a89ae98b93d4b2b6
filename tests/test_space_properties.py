"""What holds for every space and every sample, tried on spaces that hypothesis makes up."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import optuna
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from besom.config import read_yaml
from besom.config.search_path import packaged_config_dirs
from besom.config.tree import MISSING, lookup
from besom.equality import same
from besom.errors import SpaceError
from besom.report.export import dump
from besom.space import Lists, Sample, Space, apply
from besom.space.domains import Domain
from besom.space.entries import Condition
from besom.space.structs import Struct
from besom.study import make_plan
from besom.study.samplers import build_sampler
from space_strategies import ENTRIES, Spec, specs
from space_world import CHOICES, compose, space_of
from user_project import CHEAP_SWEEP, Project

SETTINGS = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SAMPLERS = {
    "random": {"_target_": "optuna.samplers.RandomSampler"},
    "tpe": {
        "_target_": "optuna.samplers.TPESampler",
        "n_startup_trials": 2,
        "multivariate": True,
        "group": None,
    },
    "grid": {"_target_": "besom.study.samplers.SpaceGridSampler"},
}
optuna.logging.set_verbosity(optuna.logging.WARNING)

#: No larger grid is walked.
MOST_POINTS = 500
#: Trials of each space: enough for tpe to model two of them.
N_TRIALS = 4

Point = tuple[Sample, dict[str, Any]]
"""A sample, and the Optuna parameters it came from."""


def accepted(spec: Spec, **base: str) -> Space:
    """The space of a spec; two conditions drawn by chance may exclude each other."""
    try:
        return space_of(spec.entries, lambda _, option: spec.own.get(option, {}), **base)
    except SpaceError as error:
        chance = ("is left", "never ", "in a circle", "is not one of the choices")
        assume(not any(text in str(error) for text in chance))
        raise


spaces = specs().map(lambda spec: accepted(spec, model="mlp", optimizer="sgd"))


def is_small(space: Space) -> bool:
    """Whether every point of it can be walked."""
    endless = any(entry.size is None for entry in space.entries)
    return not endless and space.grid().size <= MOST_POINTS


@st.composite
def sampled(draw: st.DrawFn) -> tuple[Space, list[Point]]:
    """A space, and what a sampler that can take it draws from it."""
    space, seed = draw(spaces), draw(st.integers(0, 2**31))
    names = [n for n in SAMPLERS if n in ("random", "tpe") or is_small(space)]
    node = {**SAMPLERS[draw(st.sampled_from(names))], "seed": seed}
    study = optuna.create_study(sampler=build_sampler(node, space, 0))
    points = []
    for number in range(N_TRIALS):
        trial = study.ask()
        points.append((space.suggest(trial), trial.params))
        study.tell(trial, float(number))
    return space, points


def composed(sample: Sample) -> dict[str, Any]:
    """The config of a sample, as the study composes it."""
    base = {**CHOICES, "optimizer": "sgd", **sample.groups}
    return apply(compose(base), sample.values)


def assert_holds(config: dict[str, Any], sample: Sample) -> None:
    """The config holds each sampled value, of the same type."""
    for path, value in sample.values.items():
        assert same(lookup(config, path), value), path
        assert type(lookup(config, path)) is type(value), path


def whatever_is_sampled_applies_and_reads_back_as_the_same_typed_value(
    space: Space, points: list[Point]
) -> None:
    for sample, _ in points:
        assert_holds(composed(sample), sample)


def what_is_stored_decodes_to_what_was_sampled_even_from_json(
    space: Space, points: list[Point]
) -> None:
    for sample, stored in points:
        assert same(space.decode(stored), sample.params)
        assert same(space.decode(json.loads(json.dumps(stored))), sample.params)
        assert [*space.decode(stored)] == [*sample.params]


def a_sampled_config_lies_in_the_space_and_encodes_to_itself(
    space: Space, points: list[Point]
) -> None:
    for sample, stored in points:
        config, chosen = composed(sample), {**CHOICES, "optimizer": "sgd", **sample.groups}
        assert space.outside(config, chosen) == []
        again = space.encode(config, chosen)
        assert again is not None
        assert again.keys() == stored.keys()
        assert same(space.decode(again), sample.params)
        assert space.differences(config, chosen) == []
        replayed = space.suggest(optuna.trial.FixedTrial(again))
        assert same(replayed.params, sample.params)


def every_parameter_is_known_before_and_inside_its_distribution(
    space: Space, points: list[Point]
) -> None:
    known = space.distributions()
    for _, stored in points:
        for name, value in stored.items():
            assert known[name]._contains(known[name].to_internal_repr(value))


def what_a_when_excludes_is_absent_and_nothing_else(space: Space, points: list[Point]) -> None:
    for sample, stored in points:
        params, config = sample.params, composed(sample)
        applying = {}
        for entry in space.entries:
            applies = True
            for condition in entry.conditions:
                source = condition.source
                there = source.path in params if source.sampled else True
                value = params.get(source.path) if source.sampled else lookup(config, source.path)
                if there and source.rest:
                    value = len(value)
                applies = applies and there and condition.test.matches(value)
            if not applies:
                assert not entry.distributions().keys() & stored.keys()
                continue
            assert applying.setdefault(entry.path, entry) is entry
            if (
                isinstance(entry.values, Lists)
                and isinstance(entry.values.each, Domain)
                and entry.values.shape != "constant"
            ):
                spread = [name for name in stored if name.startswith(f"{entry.path}.")]
                assert len(spread) == len(params[entry.path]) + entry.values.has_length
        assert applying.keys() == params.keys()


def a_list_has_the_shape_that_was_asked_for(space: Space, points: list[Point]) -> None:
    for entry in space.entries:
        shape = entry.values.shape if isinstance(entry.values, Lists) else "any"
        for values in (s.params[entry.path] for s, _ in points if entry.path in s.params):
            if shape == "constant":
                assert all(same(value, values[0]) for value in values)
            elif shape != "any":
                assert values == sorted(values, reverse=shape == "decreasing")


def an_element_holds_what_its_own_conditions_say(space: Space, points: list[Point]) -> None:
    for entry in space.entries:
        if not (isinstance(entry.values, Lists) and isinstance(entry.values.each, Struct)):
            continue
        for sample, _ in points:
            for element in sample.params.get(entry.path, []):
                applying = {
                    inner.path
                    for inner in entry.values.each.entries
                    if all(_holds(condition, element) for condition in inner.conditions)
                }
                assert applying == element.keys()
                assert len(element.get("strides", [])) in (0, len(element.get("kernel", [])))


def _holds(condition: Condition, element: dict[str, Any]) -> bool:
    value = lookup(element, condition.path, lengths=True)
    return value is not MISSING and condition.test.matches(value)


PROMISES = (
    whatever_is_sampled_applies_and_reads_back_as_the_same_typed_value,
    what_is_stored_decodes_to_what_was_sampled_even_from_json,
    a_sampled_config_lies_in_the_space_and_encodes_to_itself,
    every_parameter_is_known_before_and_inside_its_distribution,
    what_a_when_excludes_is_absent_and_nothing_else,
    a_list_has_the_shape_that_was_asked_for,
    an_element_holds_what_its_own_conditions_say,
)


@SETTINGS
@given(sampled())
def test_every_promise_holds_for_every_space_and_sample(made: tuple[Space, list[Point]]) -> None:
    """All of them on the same spaces: making these up takes most of the time."""
    for holds in PROMISES:
        holds(*made)


@settings(SETTINGS, max_examples=30)
@given(spaces)
def test_a_small_grid_is_counted_right_and_every_point_is_a_trial(space: Space) -> None:
    assume(is_small(space))
    points = [space.decode(point) for point in space.grid()]
    assert len(points) == space.grid().size
    assert len({json.dumps(point, sort_keys=True) for point in points}) == len(points)
    for point in space.grid():
        trial = optuna.trial.FixedTrial(copy.deepcopy(point))
        assert same(space.suggest(trial).params, space.decode(point))


PACKAGED = packaged_config_dirs()[0]
REAL = sorted(ENTRIES.keys() - {"model.batch_norm", "trainer.class_weight"})


@settings(SETTINGS, max_examples=8)
@given(specs(REAL, follows=False), st.integers(0, 99))
def test_a_sweep_file_composes_with_whatever_is_sampled(
    project: Project, spec: Spec, seed: int
) -> None:
    accepted(spec, model="mlp", optimizer="sgd")
    for option, own in spec.own.items():
        content = read_yaml(Path(PACKAGED, "optimizer", f"{option}.yaml"))
        project.write(f"conf/optimizer/{option}.yaml", dump({**content, "space": own}))
    head = CHEAP_SWEEP.partition("sweep:\n")[0].partition("trainer:\n")[0]
    project.write("sweeps/made.yaml", head + dump({"sweep": {"space": spec.entries}}))
    words = ["trainer.loss=sparse_categorical_crossentropy"]  # which entries may depend on
    words += ["optimizer=sgd"] * (spec.entries.get("optimizer") is None)
    plan = make_plan("made", words)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(3):
        trial = study.ask()
        sample = plan.space.suggest(trial)
        config = plan.trial_config(sample, seed=5)
        assert_holds(config, sample)
        assert config["seed"] == sample.values.get("seed", 5)
        for group, option in sample.groups.items():
            packaged = read_yaml(Path(PACKAGED, group, f"{option}.yaml"))
            assert config[group]["_target_"] == packaged["_target_"]
        assert same(plan.space.decode(trial.params), sample.params)
