"""What holds for every space and every sample, tried on spaces that hypothesis makes up."""

from __future__ import annotations

import copy
import json
from typing import Any

import optuna
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from besom.errors import SpaceError
from besom.space import ListEntry, Sample, Space, apply
from besom.space.kinds import same
from besom.space.paths import lookup
from space_world import CHOICES, compose, space_of

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

floats = st.floats(1e-6, 1e3, allow_nan=False).map(lambda x: float(f"{x:.4g}"))
texts = st.sampled_from(["relu", "tanh", "gelu", "1e-3", "null", "true", "", "über", "[1, 2]"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


@st.composite
def int_ranges(draw: st.DrawFn, lowest: int = 1) -> dict[str, Any]:
    """A range of ints, plain, stepped or log."""
    low, n = draw(st.integers(lowest, 64)), draw(st.integers(0, 20))
    if draw(st.booleans()):
        return {"type": "int", "low": low, "high": low + n, "log": low > 0 and draw(st.booleans())}
    step = draw(st.integers(1, 9))
    return {"low": low, "high": low + n * step, "step": step}


@st.composite
def float_ranges(draw: st.DrawFn) -> dict[str, Any]:
    """A range of floats, plain, stepped or log; written in decimals, as people write them."""
    if draw(st.booleans()):
        low, high = sorted([draw(floats), draw(floats)])
        return {"type": "float", "low": low, "high": high, "log": draw(st.booleans())}
    digits = draw(st.integers(0, 4))
    low, step, n = draw(st.integers(-99, 99)), draw(st.integers(1, 99)), draw(st.integers(0, 30))
    scaled = [float(f"{x}e-{digits}") for x in (low, low + n * step, step)]
    return {"type": "float", **dict(zip(("low", "high", "step"), scaled, strict=True))}


def label(value: Any) -> Any:
    """What Optuna stores for a choice: it takes True for 1, and equal labels for one choice."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def choices(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Lists of choices that Optuna can tell apart."""
    return st.lists(values, min_size=1, max_size=4, unique_by=label)


lists = st.fixed_dictionaries(
    {
        "length": st.tuples(st.integers(0, 2), st.integers(1, 3)).map(
            lambda n: {"low": n[0], "high": n[0] + n[1]}
        ),
        "each": int_ranges() | choices(st.integers(1, 99)),
        "shape": st.sampled_from(["any", "constant", "decreasing", "increasing"]),
    }
)
entries = {
    "model": choices(st.sampled_from(["mlp", "cnn"])),
    "optimizer": choices(st.sampled_from(["adam", "sgd", "rmsprop"])),
    "model.dropout": float_ranges() | choices(floats | st.none()),
    "model.activation": choices(texts | st.none()),
    "model.batch_norm": choices(st.booleans()),
    "model.hidden_units": lists | choices(st.lists(st.integers(1, 99), max_size=3)),
    "optimizer.learning_rate": float_ranges() | choices(st.integers(1, 9) | floats),
    "optimizer.momentum": float_ranges(),
    "trainer.batch_size": int_ranges() | choices(st.integers(1, 512)),
    "trainer.epochs": int_ranges(),
    "trainer.class_weight": choices(plain),
}
#: What only one option has; the base options of these spaces are mlp and sgd.
guards = {
    "model.hidden_units": {"model": "mlp"},
    "optimizer.momentum": {"optimizer": "sgd"},
}


@st.composite
def conditions(draw: st.DrawFn, path: str, entry: Any) -> dict[str, Any]:
    """A condition on an entry that some of its values meet."""
    if isinstance(entry, list):
        return {path: draw(st.lists(st.sampled_from(entry), min_size=1, max_size=2))}
    name, bounds = (f"{path}.length", entry["length"]) if "length" in entry else (path, entry)
    bound = draw(st.sampled_from([bounds["low"], bounds["high"]]))
    return {name: draw(st.sampled_from([{"min": bound}, {"max": bound}, bound]))}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """A space over the world of the tests; an entry may depend on any that come earlier in a
    hidden order, which is not the order they are written in."""
    paths = draw(st.permutations(sorted(entries)))[: draw(st.integers(1, len(entries)))]
    bodies = {path: draw(entries[path]) for path in sorted(paths)}
    spec: dict[str, Any] = {}
    for path in paths:
        when: dict[str, Any] = {}
        if spec and draw(st.booleans()):
            outer = draw(st.sampled_from(sorted(spec)))
            when = draw(conditions(outer, bodies[outer]))
        for group, option in guards.get(path, {}).items():
            if group in bodies:
                assume(option in bodies[group])
                when[group] = option
        body = bodies[path]
        guarded = {**(body if isinstance(body, dict) else {"choices": body}), "when": when}
        spec[path] = guarded if when else body
    written = {path: spec[path] for path in draw(st.permutations(sorted(spec)))}
    try:
        return space_of(written, model="mlp", optimizer="sgd")
    except SpaceError as error:
        assume("is left" not in str(error) and "in a circle" not in str(error))
        raise


@st.composite
def sampled(draw: st.DrawFn) -> tuple[Space, Sample, dict[str, Any]]:
    """A space, a sample of it, and the Optuna parameters it came from."""
    space, seed = draw(spaces()), draw(st.integers(0, 2**31))
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    return space, space.suggest(trial), trial.params


def composed(sample: Sample) -> dict[str, Any]:
    """The config of a sample, as the study composes it."""
    base = {**CHOICES, "optimizer": "sgd", **sample.groups}
    return apply(compose(base), sample.values)


@SETTINGS
@given(sampled())
def test_whatever_is_sampled_applies_and_reads_back_as_the_same_typed_value(
    made: tuple[Space, Sample, dict[str, Any]],
) -> None:
    _, sample, _ = made
    config = composed(sample)
    for path, value in sample.values.items():
        assert same(lookup(config, path), value)
        assert type(lookup(config, path)) is type(value)


@SETTINGS
@given(sampled())
def test_what_is_stored_decodes_to_what_was_sampled_even_from_json(
    made: tuple[Space, Sample, dict[str, Any]],
) -> None:
    space, sample, stored = made
    assert same(space.decode(stored), sample.params)
    assert same(space.decode(json.loads(json.dumps(stored))), sample.params)
    assert [*space.decode(stored)] == [*sample.params]


@SETTINGS
@given(sampled())
def test_a_sampled_config_lies_in_the_space_and_encodes_to_itself(
    made: tuple[Space, Sample, dict[str, Any]],
) -> None:
    space, sample, stored = made
    config, chosen = composed(sample), {**CHOICES, "optimizer": "sgd", **sample.groups}
    assert space.outside(config, chosen) == []
    again = space.encode(config, chosen)
    assert again is not None
    assert again.keys() == stored.keys()
    assert same(space.decode(again), sample.params)
    assert space.differences(config, chosen) == []
    replayed = space.suggest(optuna.trial.FixedTrial(again))
    assert same(replayed.params, sample.params)


@SETTINGS
@given(sampled())
def test_every_parameter_is_known_before_and_inside_its_distribution(
    made: tuple[Space, Sample, dict[str, Any]],
) -> None:
    space, _, stored = made
    known = space.distributions()
    for name, value in stored.items():
        assert known[name]._contains(known[name].to_internal_repr(value))


@SETTINGS
@given(sampled())
def test_what_a_when_excludes_is_absent_and_nothing_else(
    made: tuple[Space, Sample, dict[str, Any]],
) -> None:
    space, sample, stored = made
    params = sample.params
    for entry in space.entries:
        expected = True
        for condition in entry.conditions:
            outer = condition.source.path
            value = params.get(outer)
            if condition.source.rest:
                value = len(value) if outer in params else None
            expected = expected and outer in params and condition.test.matches(value)
        assert (entry.path in params) == expected
        if not expected:
            assert not entry.distributions().keys() & stored.keys()
        elif isinstance(entry, ListEntry) and entry.shape != "constant":
            spread = [name for name in stored if name.startswith(f"{entry.path}.")]
            assert len(spread) == len(params[entry.path]) + entry.has_length


@SETTINGS
@given(spaces())
def test_a_small_grid_is_counted_right_and_every_point_is_a_trial(space: Space) -> None:
    if any(entry.size is None for entry in space.entries):
        return
    size = space.grid().size
    if size > 500:
        return
    points = [space.decode(point) for point in space.grid()]
    assert len(points) == size
    assert len({json.dumps(point, sort_keys=True) for point in points}) == size
    for point in space.grid():
        trial = optuna.trial.FixedTrial(copy.deepcopy(point))
        assert same(space.suggest(trial).params, space.decode(point))
