"""``when``, config groups, and the spaces that their options bring along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from besom.errors import SpaceError
from besom.space import Space, parse_space
from space_world import BASE, CHOICES, GROUPS, ask, compose, own_spaces, samples, space_of

HALF = {"low": 0.0, "high": 0.5}


def check(space: Space, path: str, applies: Any, n: int = 60) -> None:
    """In each sample, ``path`` is there exactly where ``applies(params)``; and both are seen."""
    seen = [s.params for s, _ in samples(space, n)]
    assert [path in params for params in seen] == [bool(applies(params)) for params in seen]
    assert {path in params for params in seen} == {True, False}


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ({"optimizer": "sgd"}, lambda p: p["optimizer"] == "sgd"),
        ({"optimizer": ["sgd", "rmsprop"]}, lambda p: p["optimizer"] != "adam"),
        ({"trainer.epochs": {"min": 5}}, lambda p: p["trainer.epochs"] >= 5),
        ({"trainer.epochs": {"max": 5}}, lambda p: p["trainer.epochs"] <= 5),
        ({"trainer.epochs": {"min": 3, "max": 5}}, lambda p: 3 <= p["trainer.epochs"] <= 5),
        ({"model.hidden_units.length": 2}, lambda p: len(p["model.hidden_units"]) == 2),
        ({"model.hidden_units.0": {"min": 64}}, lambda p: p["model.hidden_units"][0] >= 64),
        ({"model.activation": [None]}, lambda p: p["model.activation"] is None),
        ({"model.activation": None}, lambda p: p["model.activation"] is None),
        ({"trainer.class_weight.kind": "b"}, lambda p: p["trainer.class_weight"]["kind"] == "b"),
        ({"trainer.class_weight": [{"kind": "a"}]}, lambda p: "n" not in p["trainer.class_weight"]),
        (
            {"optimizer": "sgd", "trainer.epochs": {"min": 5}},
            lambda p: p["optimizer"] == "sgd" and p["trainer.epochs"] >= 5,
        ),
    ],
)
def test_an_entry_is_sampled_exactly_where_its_when_holds(
    when: dict[str, Any], applies: Any
) -> None:
    space = space_of(
        {
            "model.dropout": {**HALF, "when": when},
            "optimizer": "glob(*)",
            "trainer.epochs": {"low": 1, "high": 8},
            "model.hidden_units": {"length": "range(1,4)", "each": [32, 64]},
            "model.activation": ["relu", None],
            "trainer.class_weight": [{"kind": "a"}, {"kind": "b", "n": 1}],
        }
    )
    check(space, "model.dropout", applies)
    assert space.is_conditional
    assert list(space.suggest(ask()).params)[-1] != "model.dropout"


def test_conditions_chain_and_what_depends_on_an_absent_entry_is_absent() -> None:
    space = space_of(
        {
            "optimizer.nesterov": {
                "choices": [True, False],
                "when": {"optimizer.momentum": {"min": 0.3}},
            },
            "optimizer.momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
            "optimizer": ["adam", "sgd"],
        }
    )
    check(space, "optimizer.nesterov", lambda p: p.get("optimizer.momentum", 0) >= 0.3)
    assert space.paths == ("optimizer.nesterov", "optimizer.momentum", "optimizer")
    assert list(space.distributions()) == ["optimizer", "optimizer.momentum", "optimizer.nesterov"]
    assert space.entries[0].condition == "optimizer.momentum >= 0.3"


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ({"optimizer": "sgd"}, "optimizer = sgd"),
        ({"optimizer": ["sgd", "adam"]}, "optimizer in (sgd, adam)"),
        ({"trainer.epochs": {"min": 2, "max": 3}}, "2 <= trainer.epochs <= 3"),
        ({"trainer.epochs": {"max": 3}}, "trainer.epochs <= 3"),
        ({"optimizer": "sgd", "trainer.epochs": 3}, "optimizer = sgd and trainer.epochs = 3"),
        ({}, ""),
        (None, ""),
    ],
)
def test_conditions_in_words(when: Any, text: str) -> None:
    spec = {
        "optimizer": ["adam", "sgd"],
        "trainer.epochs": [1, 2, 3],
        "model.dropout": {**HALF, "when": when},
    }
    assert space_of(spec).entries[2].condition == text


def test_a_condition_on_the_config_is_settled_at_once_where_nothing_can_change_it() -> None:
    for when in ({"trainer.epochs": {"min": 10}}, {"optimizer": "adam"}, {"seed": [0, 1]}):
        space = space_of({"model.dropout": {**HALF, "when": when}})
        assert not space.is_conditional
        assert space.entries[0].condition == ""


def test_a_condition_on_the_config_is_read_in_the_config_of_the_chosen_options() -> None:
    space = space_of(
        {
            "model.dropout": {**HALF, "when": {"model.batch_norm": False}},
            "model": ["mlp", "cnn"],
        }
    )
    check(space, "model.dropout", lambda p: p["model"] == "mlp")


def test_a_sampled_value_counts_and_not_the_one_in_the_config() -> None:
    space = space_of(
        {"model.batch_norm": [True], "model.dropout": {**HALF, "when": {"model.batch_norm": True}}}
    )
    assert "model.dropout" in space.suggest(ask()).params


def test_the_length_of_a_list_in_the_config_can_be_read() -> None:
    spec = {"model.dropout": {**HALF, "when": {"model.hidden_units.length": 2}}}
    assert "model.dropout" in space_of(spec).suggest(ask()).params


def test_a_group_may_be_sampled_conditionally() -> None:
    space = space_of(
        {
            "data": ["digits", "mnist"],
            "optimizer": {"choices": ["sgd", "rmsprop"], "when": {"data": "mnist"}},
            "optimizer.momentum": {**HALF, "when": {"optimizer": "sgd"}},
            "optimizer.learning_rate": [0.1, 0.2],
        }
    )
    check(space, "optimizer", lambda p: p["data"] == "mnist")
    check(space, "optimizer.momentum", lambda p: p.get("optimizer") == "sgd")


def test_true_is_not_one_in_a_condition() -> None:
    spec = {
        "trainer.class_weight": [True, False, 2],
        "model.dropout": {**HALF, "when": {"trainer.class_weight": {"min": 1}}},
    }
    check(space_of(spec), "model.dropout", lambda p: p["trainer.class_weight"] is not True
          and p["trainer.class_weight"] == 2)  # fmt: skip


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (
            {"optimzer": "sgd"},
            "when 'optimzer': this is neither sampled nor in the config. Did you",
        ),
        ({"model.hidden_units.lenght": 2}, "this never holds, model.hidden_units.lenght is a list"),
        ({"model.depth": 2}, "neither sampled nor in the config"),
        ({"optimizer": "sgdd"}, "there is no option \"sgdd\". Did you mean 'sgd'?"),
        ({"data": "mnits"}, "there is no option \"mnits\". Did you mean 'mnist'?"),
        ({"seed": 3}, "when seed = 3: this never holds, seed is 0 here"),
        ({"model.activation": "rleu"}, "\"rleu\" is not one of the choices. Did you mean 'relu'?"),
        ({"model.activation": ["relu", "tnah"]}, "Did you mean 'tanh'?"),
        ({"model.activation": {"min": 3}}, "this never holds, model.activation is one of relu, ta"),
        ({"trainer.epochs": 9}, "this never holds, trainer.epochs is 1 .. 8"),
        ({"trainer.epochs": {"min": 9}}, "this never holds, trainer.epochs is 1 .. 8"),
        ({"trainer.epochs": "3"}, "this never holds"),
        ({"model.hidden_units.length": 7}, "this never holds, model.hidden_units.length is 1 .. 3"),
        ({"model.hidden_units.5": 32}, "this never holds"),
        ({"model.hidden_units": {"min": 3}}, "its length can be read as `.length`"),
        (
            {"trainer.class_weight.kind": "z"},
            "this never holds, trainer.class_weight.kind is one of",
        ),
        ({"trainer.class_weight.x": 1}, "this never holds, trainer.class_weight.x is not there"),
        ({"trainer.epochs": []}, "an empty list of values never holds"),
        ({"trainer.epochs": {}}, "the condition has no bounds"),
        ({"trainer.epochs": {"mim": 3}}, "unknown key \"mim\" in a condition. Did you mean 'min'?"),
        ({"trainer.epochs": {"min": 5, "max": 3}}, "min (5) is greater than max (3)"),
        ({"trainer.epochs": {"min": "5"}}, 'min is "5": write a number'),
        (["optimizer"], 'when is ["optimizer"]: write {path: value}'),
        ({"model.dropout": 0.1}, "in a circle: model.dropout -> model.dropout"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_with_its_path(when: Any, message: str) -> None:
    spec = {
        "optimizer": "glob(*)",
        "model.dropout": {**HALF, "when": when},
        "trainer.epochs": {"low": 1, "high": 8},
        "model.hidden_units": {"length": "range(1,4)", "each": [32, 64]},
        "model.activation": ["relu", "tanh"],
        "trainer.class_weight": [{"kind": "a"}, {"kind": "b", "n": 1}],
    }
    with pytest.raises(SpaceError) as error:
        space_of(spec)
    assert "model.dropout" in str(error.value)
    assert message in str(error.value)


def test_a_circle_of_conditions_is_walked_around() -> None:
    spec = {
        "seed": {"choices": [1], "when": {"model.dropout": {"min": 0}}},
        "model.dropout": {**HALF, "when": {"trainer.epochs": 1}},
        "trainer.epochs": {"choices": [1, 2], "when": {"model.activation": "relu"}},
        "model.activation": {"choices": ["relu"], "when": {"model.dropout": {"max": 1}}},
    }
    circle = "model.dropout -> trainer.epochs -> model.activation -> model.dropout"
    with pytest.raises(SpaceError, match=circle):
        space_of(spec)


def test_conditions_that_contradict_each_other_are_refused() -> None:
    spec = {
        "model": ["mlp", "cnn"],
        "model.filters": {"choices": [8, 16], "when": {"model": "cnn"}},
        "model.dropout": {**HALF, "when": {"model": "mlp", "model.filters": 8}},
    }
    with pytest.raises(SpaceError, match="with its other conditions, no model is left"):
        space_of(spec)


def test_a_narrower_choice_of_options_leaves_out_what_hangs_on_the_others() -> None:
    space = space_of(
        {
            "optimizer": "choice(adam)",
            "optimizer.momentum": {**HALF, "when": {"optimizer": "sgd"}},
            "optimizer.nesterov": {
                "choices": [True, False],
                "when": {"optimizer.momentum": {"min": 0.2}},
            },
        }
    )
    assert space.paths == ("optimizer",)
    assert space.notes == (
        "'optimizer.momentum' is left out: when optimizer = sgd: this never holds, optimizer is "
        "one of adam",
        "'optimizer.nesterov' is left out: when optimizer.momentum >= 0.2: optimizer.momentum "
        "never applies itself",
    )


# Several entries for one path.


def test_a_path_may_have_several_entries_that_exclude_each_other() -> None:
    space = space_of(
        {
            "optimizer": ["adam", "sgd"],
            "optimizer.learning_rate@adam": {
                "low": 1e-4,
                "high": 1e-2,
                "when": {"optimizer": "adam"},
            },
            "optimizer.learning_rate@sgd": {"low": 0.1, "high": 1.0, "when": {"optimizer": "sgd"}},
        }
    )
    assert space.paths == ("optimizer", "optimizer.learning_rate")
    for sample, stored in samples(space):
        rate = sample.params["optimizer.learning_rate"]
        assert (rate >= 0.1) == (sample.groups["optimizer"] == "sgd")
        assert space.decode(stored) == sample.params


@pytest.mark.parametrize(
    ("a", "b", "exclusive"),
    [
        ({"max": 2}, {"min": 3}, True),
        ({"max": 3}, {"min": 3}, False),
        ({"min": 3}, {"min": 5}, False),
        (1, 2, True),
        ([1, 2], [2, 3], False),
        ([1, 2], {"min": 3}, True),
        ({"min": 2}, [1, 2], False),
    ],
)
def test_whether_two_conditions_exclude_each_other(a: Any, b: Any, exclusive: bool) -> None:
    spec = {
        "trainer.epochs": {"low": 1, "high": 9},
        "model.dropout@a": {**HALF, "when": {"trainer.epochs": a}},
        "model.dropout@b": {**HALF, "when": {"trainer.epochs": b}},
    }
    if exclusive:
        assert len(space_of(spec)) == 3
    else:
        with pytest.raises(SpaceError, match="may both apply"):
            space_of(spec)


# Options that bring their own spaces.


def test_an_option_brings_its_own_space_tied_to_its_choice() -> None:
    space = space_of({"optimizer": {"choices": ["adam", "sgd"], "with_own_spaces": True}})
    assert space.paths == (
        "optimizer",
        "optimizer.learning_rate",
        "optimizer.beta_1",
        "optimizer.momentum",
        "optimizer.nesterov",
    )
    assert [entry.name for entry in space.entries] == [
        "optimizer",
        "optimizer.learning_rate@adam",
        "optimizer.beta_1@adam",
        "optimizer.learning_rate@sgd",
        "optimizer.momentum@sgd",
        "optimizer.nesterov@sgd",
    ]
    for sample, stored in samples(space):
        is_sgd = sample.groups["optimizer"] == "sgd"
        assert ("optimizer.momentum" in sample.params) == is_sgd
        assert ("optimizer.beta_1" in sample.params) != is_sgd
        assert ("optimizer.learning_rate@sgd" in stored) == is_sgd
        nesterov = sample.params.get("optimizer.momentum", 0.0) >= 0.5
        assert ("optimizer.nesterov" in sample.params) == nesterov
        assert space.decode(stored) == sample.params


def test_an_entry_of_the_sweep_replaces_the_options_own() -> None:
    space = space_of(
        {
            "optimizer": {"choices": ["adam", "sgd"], "with_own_spaces": True},
            "optimizer.learning_rate": [0.1, 0.01],
            "optimizer.nesterov": None,
        }
    )
    names = [entry.name for entry in space.entries]
    assert names == [
        "optimizer",
        "optimizer.beta_1@adam",
        "optimizer.momentum@sgd",
        "optimizer.learning_rate",
    ]


def test_an_option_without_a_space_of_its_own_brings_nothing() -> None:
    space = space_of({"optimizer": {"choices": ["adam", "rmsprop"], "with_own_spaces": True}})
    assert {entry.condition for entry in space.entries} == {"", "optimizer = adam"}


def test_a_slip_in_an_options_own_space_names_the_entry_and_the_option() -> None:
    def own(group: str, option: str) -> Mapping[str, Any]:
        return {"momentun": [0.9]} if option == "sgd" else {}

    spec = {"optimizer": {"choices": ["adam", "sgd"], "with_own_spaces": True}}
    with pytest.raises(SpaceError) as error:
        parse_space(spec, BASE, GROUPS, CHOICES, compose=compose, own_spaces=own)
    assert "'optimizer.momentun@sgd'" in str(error.value)
    assert "Did you mean 'optimizer.momentum'" in str(error.value)


def test_groups_inside_groups_are_groups_too() -> None:
    def nested(choices: Mapping[str, str]) -> dict[str, Any]:
        head = {"size": 1} if choices["model/head"] == "small" else {"size": 9, "depth": 2}
        return {"model": {"units": 8, "head": head}}

    groups = {"model/head": ["small", "large"]}
    chosen = {"model/head": "small"}
    for key in ("model/head", "model.head"):
        space = parse_space(
            {
                key: ["small", "large"],
                "model.head.depth": {"choices": [1, 2], "when": {key: "large"}},
            },
            nested(chosen),
            groups,
            chosen,
            compose=nested,
        )
        assert space.paths == ("model/head", "model.head.depth")
        check(space, "model.head.depth", lambda p: p["model/head"] == "large")


def test_own_spaces_are_only_asked_for_where_they_are_wanted() -> None:
    asked: list[str] = []

    def own(group: str, option: str) -> Mapping[str, Any]:
        asked.append(option)
        return own_spaces(group, option)

    spec = {"optimizer": ["adam", "sgd"], "model": ["mlp", "cnn"]}
    parse_space(spec, BASE, GROUPS, CHOICES, compose=compose, own_spaces=own)
    assert asked == []


def test_what_hangs_on_an_option_that_is_not_chosen_is_left_out_with_a_note():
    space = space_of(
        {
            "optimizer.learning_rate": {"low": 1e-3, "high": 1e-1, "when": {"data": "mnist"}},
            "model.dropout": {"low": 0.0, "high": 0.5, "when": {"optimizer.learning_rate": 0.1}},
            "trainer.epochs": {"low": 1, "high": 8},
        }
    )
    assert space.paths == ("trainer.epochs",)
    assert len(space.notes) == 2
    assert 'data is "digits" here' in space.notes[0]
