"""Lists whose elements are mappings of entries, and lists that have the length of another."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from besom.config.tree import apply
from besom.errors import SpaceError
from besom.space import Space, parse_space
from besom.study.samplers import build_sampler
from space_world import BASE, CHOICES, GROUPS, ask, samples, space_of

LAYERS: dict[str, Any] = {
    "length": {"low": 1, "high": 4},
    "each": {
        "units": {"low": 16, "high": 512, "log": True},
        "activation": ["relu", "tanh", "gelu"],
        "dropout": "interval(0.0, 0.5)",
    },
}
BLOCKS: dict[str, Any] = {
    "kind": ["dense", "conv"],
    "units@dense": {"choices": [64, 128], "when": {"kind": "dense"}},
    "units@conv": {"choices": [8, 16], "when": {"kind": "conv"}},
    "kernel": {"choices": [3, 5], "when": {"kind": "conv", "units": {"min": 16}}},
}
UNITS: dict[str, Any] = {"length": [1, 2, 3], "each": [8, 16]}
FOLLOWING: dict[str, Any] = {"length": "model.hidden_units.length", "each": [0.1, 0.2]}


def over(layers: Any, spec: dict[str, Any]) -> Space:
    """A space over a config that holds these layers."""
    base = apply(BASE, {"model.layers": layers})
    return parse_space({"model.layers": spec}, base, GROUPS, CHOICES)


def test_each_element_has_entries_of_its_own() -> None:
    space = space_of({"model.layers": LAYERS})
    seen = samples(space, 60)
    assert {len(s.params["model.layers"]) for s, _ in seen} == {1, 2, 3, 4}
    for sample, stored in seen:
        layers = sample.params["model.layers"]
        assert all([*layer] == ["units", "activation", "dropout"] for layer in layers)
        assert len(stored) == 1 + 3 * len(layers)
        assert space.decode(stored) == sample.params
    deep = [s.params["model.layers"] for s, _ in seen if len(s.params["model.layers"]) == 4]
    assert any(len({layer["activation"] for layer in layers}) > 1 for layers in deep)
    names = space.distributions()
    assert list(names)[:2] == ["model.layers.length", "model.layers.0.units"]
    assert "model.layers.3.dropout" in names


def test_a_when_inside_an_element_reads_the_elements_other_entries() -> None:
    space = space_of({"model.layers": {"length": 2, "each": BLOCKS}})
    seen = set()
    for sample, stored in samples(space, 60):
        for i, layer in enumerate(sample.params["model.layers"]):
            assert layer["units"] in ((64, 128) if layer["kind"] == "dense" else (8, 16))
            assert ("kernel" in layer) == (layer["units"] == 16)
            assert f"model.layers.{i}.units@{layer['kind']}" in stored
            seen.add((layer["kind"], "kernel" in layer))
        assert space.encode(apply(BASE, sample.values)) == stored
    assert seen == {("dense", False), ("conv", False), ("conv", True)}
    assert space.is_conditional


def test_the_grid_has_every_list_of_elements_once() -> None:
    space = space_of({"model.layers": {"length": [1, 2], "each": BLOCKS}})
    points = [str(space.decode(point)) for point in space.grid()]
    assert len(points) == len(set(points)) == space.grid().size == 5 + 25
    assert space_of({"model.layers": {**LAYERS, "each": {"a": [1, 2]}}}).grid().size == 30
    with pytest.raises(SpaceError, match=r"no grid: 'model\.layers' can take infinitely many"):
        space_of({"model.layers": LAYERS}).grid()


def test_one_element_for_all_is_sampled_once() -> None:
    space = space_of({"model.layers": {"length": 3, "each": BLOCKS, "shape": "constant"}})
    for sample, stored in samples(space, 10):
        first, *others = sample.params["model.layers"]
        assert others == [first, first]
        assert all(name.startswith("model.layers.each.") for name in stored)
    assert space.grid().size == 5


def test_lists_and_lists_of_their_length_may_stand_in_an_element() -> None:
    kernels = {"length": {"low": 1, "high": 2}, "each": [3, 5]}
    each = {"strides": {"length": "kernels.length", "each": [1, 2]}, "kernels": kernels}
    space = space_of({"model.layers": {"length": 2, "each": each}})
    for sample, stored in samples(space, 20):
        for layer in sample.params["model.layers"]:
            assert len(layer["strides"]) == len(layer["kernels"])
        assert space.decode(stored) == sample.params
    assert space.grid().size == (2 * 2 + 4 * 4) ** 2


def test_a_list_may_have_the_length_of_another_wherever_it_is_written() -> None:
    space = space_of({"model.rates": FOLLOWING, "model.hidden_units": UNITS})
    for sample, stored in samples(space, 20):
        assert len(sample.params["model.rates"]) == len(sample.params["model.hidden_units"])
        assert "model.rates.length" not in stored
        assert space.decode(stored) == sample.params
        assert space.encode(apply(BASE, sample.values)) == stored
    assert space.grid().size == len(list(space.grid())) == 4 + 16 + 64
    assert str(space.entries[0]) == "list of model.hidden_units.length x (0.1, 0.2)"
    assert space.entries[0].condition == ""


def test_a_list_follows_another_that_is_chosen_whole_or_follows_itself() -> None:
    chosen = space_of({"model.rates": FOLLOWING, "model.hidden_units": [[64], [32, 16]]})
    lengths = {
        (len(s.params["model.hidden_units"]), len(s.params["model.rates"]))
        for s, _ in samples(chosen, 30)
    }
    assert lengths == {(1, 1), (2, 2)}
    third = {"length": "model.rates.length", "each": {"units": [1, 2]}}
    space = space_of({"model.layers": third, "model.rates": FOLLOWING, "model.hidden_units": UNITS})
    for sample, _ in samples(space, 20):
        assert len({len(value) for value in sample.params.values()}) == 1


def test_a_list_whose_leader_does_not_apply_does_not_apply_either() -> None:
    spec = {
        "model": ["mlp", "cnn"],
        "model.hidden_units": {**UNITS, "when": {"model": "mlp"}},
        "model.rates": FOLLOWING,
    }
    for sample, stored in samples(space_of(spec), 20):
        is_mlp = sample.groups["model"] == "mlp"
        assert ("model.rates" in sample.params) == is_mlp
        assert space_of(spec).decode(stored) == sample.params


def test_a_list_fixed_on_the_command_line_still_gives_its_length() -> None:
    spec = {"model.hidden_units": UNITS, "model.rates": FOLLOWING}
    space = parse_space(spec, BASE, GROUPS, CHOICES, fixed=["model.hidden_units"])
    assert len(space.suggest(ask()).params["model.rates"]) == 2
    base = apply(BASE, {"model.hidden_units": []})
    space = parse_space(spec, base, GROUPS, CHOICES, fixed=["model.hidden_units"])
    assert space.paths == ()
    assert space.notes[-1] == (
        "'model.rates' is left out: its length is that of model.hidden_units, which is [] here"
    )


def test_an_options_own_space_may_have_layers_and_lists_of_one_length() -> None:
    own = {
        "hidden_units": UNITS,
        "rates": {"length": "hidden_units.length", "each": [0.1, 0.2]},
        "layers": {"length": 1, "each": BLOCKS},
    }
    space = space_of(
        {"model": {"choices": ["mlp", "cnn"], "with_own_spaces": True}},
        lambda _, option: own if option == "mlp" else {},
    )
    for sample, stored in samples(space, 20):
        params = sample.params
        assert ("model.layers" in params) == (params["model"] == "mlp")
        assert len(params.get("model.rates", [])) == len(params.get("model.hidden_units", []))
        assert space.decode(stored) == params


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", "NSGAIISampler", "QMCSampler"])
def test_every_sampler_takes_elements_with_entries(sampler: str) -> None:
    spec = {"model.layers": {**LAYERS, "each": {**LAYERS["each"], **BLOCKS_BY_ACTIVATION}}}
    space = space_of({**spec, "model.rates": {**FOLLOWING, "length": "model.layers.length"}})
    node = {"_target_": f"optuna.samplers.{sampler}", "seed": 0}
    study = optuna.create_study(sampler=build_sampler(node, space, 0))
    for number in range(14):
        trial = study.ask()
        sample = space.suggest(trial)
        assert space.decode(trial.params) == sample.params
        study.tell(trial, float(number))


BLOCKS_BY_ACTIVATION = {"slope": {"choices": [0.1, 0.2], "when": {"activation": ["relu", "gelu"]}}}


def test_the_values_take_the_types_of_the_elements_in_the_config() -> None:
    held = [{"units": 64, "dropout": 0, "activation": None}, {"units": 8, "dropout": 0.5}]
    space = over(held, {"length": 2, "each": {"units": [4, 8], "dropout": [0, 1], "new": [1]}})
    (layer, _) = space.suggest(ask()).params["model.layers"]
    assert [type(value) for value in layer.values()] == [int, float, int]
    for each, why in (
        ({"units": [1.5, 2]}, r"'units': 1\.5 is a float, but the config holds 64, an int"),
        ({"dropout": ["a"]}, r"'dropout': \"a\" is text, but the config holds 0\.5, a float"),
        ({"unit": [1, 2]}, r"unit: no element in the config has this\. Did you mean 'units'"),
    ):
        with pytest.raises(SpaceError, match=rf"'model\.layers': each: {why}"):
            over(held, {"length": 2, "each": each})


def test_what_the_space_does_not_have_lies_outside_and_says_where() -> None:
    space = space_of({"model.layers": LAYERS})
    inside = {"units": 32, "activation": "relu", "dropout": 0}
    for layers, why in (
        (None, "null is not a list"),
        ([inside] * 5, "the length of"),
        ([{**inside, "units": 8}], "units: 8 is not in 16 .. 512, log"),
        ([inside, {"units": 32}], '{"units": 32} has no activation'),
        ([{**inside, "bias": True}], "has bias, which is not sampled there"),
        ([32], "32 is not a mapping"),
    ):
        (reason,) = space.outside(apply(BASE, {"model.layers": layers}))
        assert reason.startswith("model.layers: ")
        assert why in reason
    assert space.outside(apply(BASE, {"model.layers": [inside]})) == []


def test_other_entries_may_depend_on_an_element() -> None:
    when = {"model.layers.length": {"min": 2}, "model.layers.1.activation": "relu"}
    space = space_of({"model.layers": LAYERS, "model.dropout": {"choices": [0.1], "when": when}})
    for sample, _ in samples(space, 40):
        layers = sample.params["model.layers"]
        expected = len(layers) > 1 and layers[1]["activation"] == "relu"
        assert ("model.dropout" in sample.params) == expected


def test_the_space_is_summed_up_in_words() -> None:
    assert str(space_of({"model.layers": LAYERS}).entries[0]) == (
        "list of 1 .. 4 x (units: 16 .. 512, log; activation: relu, tanh, gelu; "
        "dropout: 0.0 .. 0.5)"
    )
    (entry,) = space_of({"model.layers": {"length": [1, 2], "each": BLOCKS}}).entries
    assert "kernel: 3, 5 when kind = conv and units >= 16" in str(entry)


@pytest.mark.parametrize(
    ("each", "why"),
    [
        ({}, "each has no entries: write a range, choices, or a mapping of entries such as"),
        ({"units": None}, "each has no entries"),
        ({"units": 64}, r"each: units: 64 is a single value, .*: write \[64\]"),
        ({"units": [1], "activation": "relu"}, r'activation: "relu" is a single value'),
        ({"lo": 1, "high": 3}, "each: unknown key \"lo\"\\. Did you mean 'low'"),
        ({"units": {"low": 3}}, "each: units: high is missing"),
        (
            {"units": {"low": 1, "hig": 3}},
            "each: units: unknown key \"hig\"\\. Did you mean 'high'",
        ),
        ({"a.b": [1, 2]}, "a.b: an element's key is text without dots"),
        ({True: [1, 2]}, r"without dots \(quote it\)"),
        ({"a": [1, 2], "when": {"a": 1}}, "`when` belongs to the whole entry"),
        ({"a": {"choices": [1, 2], "when": 3}}, "each: a: when is 3: write {path: value}"),
        ({"a": {"choices": [1, 2], "when": {"b": 3}}}, "reads the element's other entries"),
        ({"a": [1], "b": {"choices": [1], "when": {"a": 2}}}, "2 is not one of the choices"),
        ({"a@x": [1, 2], "a@y": [2, 3]}, "'a@x' and 'a@y' may both apply"),
        ({"length": 2, "each": [1, 2]}, "each: write a range or choices, or a mapping of entries"),
        ({"a": {"choices": [1], "with_own_spaces": True}}, "with_own_spaces is for config groups"),
        (
            {
                "a": {"choices": [1, 2], "when": {"b": 1}},
                "b": {"choices": [1, 2], "when": {"a": 1}},
            },
            "each: the conditions go in a circle: a -> b -> a",
        ),
    ],
)
def test_an_element_with_a_slip_in_it_is_refused_in_a_sentence(each: Any, why: str) -> None:
    with pytest.raises(SpaceError, match=why) as caught:
        space_of({"model.layers": {"length": 2, "each": each}})
    assert str(caught.value).startswith("sweep.space: 'model.layers': ")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"model.rates": FOLLOWING}, r"length: model\.hidden_units is not sampled: write a number"),
        (
            {"model.rates": {**FOLLOWING, "length": "model.hidden_units"}},
            r"write model\.hidden_units\.length for the length of that list",
        ),
        (
            {"model.rates": {**FOLLOWING, "length": "model.rates.length"}},
            "it claims its own length: write a number or a range",
        ),
        (
            {
                "model.rates": FOLLOWING,
                "model.hidden_units": {**UNITS, "length": "model.rates.length"},
            },
            "it and 'model.hidden_units' claim each other's length: give one of them a number",
        ),
        (
            {
                "model.rates": {**FOLLOWING, "length": "model.dropout.length"},
                "model.dropout": [0.1],
            },
            r"length: model\.dropout is no list",
        ),
        (
            {
                "model.rates": {**FOLLOWING, "length": "model.hiden_units.length"},
                "model.hidden_units": UNITS,
            },
            "is not sampled.* Did you mean 'model.hidden_units'",
        ),
        (
            {
                "model.rates": FOLLOWING,
                "model.hidden_units": {**UNITS, "when": {"model.rates.length": 2}},
            },
            r"go in a circle: .*, or give a list a length of its own\.",
        ),
        ({"model.layers": {**LAYERS, "shape": "increasing"}}, "needs elements that are numbers"),
        (
            {"model.hidden_units": {"length": 2, "each": {"choice": [1, 2]}}},
            r"is a mapping of entries \(choice\), .* are ints\. Did you mean 'choices'",
        ),
        (
            {
                "model.layers": LAYERS,
                "model.dropout": {"choices": [0.1], "when": {"model.layers.0.actvation": "relu"}},
            },
            "is not there: an element has units, activation, dropout",
        ),
    ],
)
def test_lists_that_cannot_be_sampled_are_refused_in_a_sentence(
    spec: dict[str, Any], why: str
) -> None:
    with pytest.raises(SpaceError, match=why):
        space_of(spec)


def test_an_entry_called_type_is_no_range() -> None:
    space = space_of({"model.layers": {"length": 1, "each": {"type": ["a", "b"]}}})
    assert space.grid().size == 2
