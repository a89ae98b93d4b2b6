"""Every slip in a space gets one message: what was given, what was expected, what to do."""

from __future__ import annotations

from typing import Any

import pytest

from besom.errors import SpaceError
from besom.space import parse_space
from space_world import BASE, CHOICES, GROUPS, space_of

NAN, INF = float("nan"), float("inf")
LIST = {"length": {"low": 1, "high": 4}, "each": [32, 64]}


def message_of(spec: dict[str, Any], **choices: str) -> str:
    with pytest.raises(SpaceError) as error:
        space_of(spec, **choices)
    assert str(error.value).startswith("sweep.space: ")
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "entry", "message"),
    [
        # paths
        ("model.hiden_units", [[1]], "not in the config. Did you mean 'model.hidden_units'"),
        ("optimzer.learning_rate", [0.1], "Did you mean 'optimizer.learning_rate'"),
        ("model.dropout.rate", [0.1], "not in the config"),
        # ranges
        ("model.dropout", {"low": 0.5, "high": 0.1}, "low (0.5) is greater than high (0.1)"),
        ("model.dropout", {"low": 0, "high": 1, "log": True}, "above 0, and low is 0"),
        ("model.dropout", {"low": -1.0, "high": 1, "log": True}, "above 0, and low is -1.0"),
        ("model.dropout", {"low": 0.1}, "high is missing"),
        ("model.dropout", {"high": 0.1, "low": None}, "low is missing"),
        ("model.dropout", {"low": NAN, "high": 1}, "low is NaN: a range is finite"),
        ("model.dropout", {"low": 0.0, "high": INF}, "high is Infinity: a range is finite"),
        ("trainer.epochs", {"low": 1, "high": 2**60}, "beyond 2**53"),
        ("model.dropout", {"low": "a", "high": 1}, 'low is "a": write a number'),
        ("model.dropout", {"low": True, "high": 1}, "low is true: write a number"),
        ("model.dropout", {"low": "1e-4", "high": 1}, 'the text "1e-4": write it without quotes'),
        ("model.dropout", {"low": 0, "high": 1, "log": "yes"}, 'log is "yes": write true or false'),
        ("model.dropout", {"type": "flaot", "low": 0, "high": 1}, 'type is "flaot": write int or'),
        ("model.dropout", {"type": "categorical", "low": 0, "high": 1}, "{choices: [...]}"),
        ("trainer.epochs", {"type": "int", "low": 1.0, "high": 2}, "low is 1.0: write an int"),
        ("trainer.epochs", {"type": "int", "low": 1, "high": 2, "step": 0.5}, "step is 0.5"),
        # steps
        ("model.dropout", {"low": 0.0, "high": 1.0, "step": 0.3}, "high can be 0.9 or 1.2, not 1"),
        ("trainer.epochs", {"low": 16, "high": 100, "step": 16}, "high can be 96 or 112, not 100"),
        ("model.dropout", {"low": 0.0, "high": 1.0, "step": 0}, "step is 0: write a number above"),
        (
            "model.dropout",
            {"low": 0.1, "high": 1, "step": 0.1, "log": True},
            "step and log exclude",
        ),
        (
            "model.dropout",
            {"low": 1.0, "high": 3.0, "step": 1, "log": True},
            "step and log exclude",
        ),
        ("trainer.epochs", {"low": 2, "high": 8, "step": 2, "log": True}, "step and log exclude"),
        # keys and forms
        ("model.dropout", {"low": 0.1, "hihg": 0.5}, "unknown key \"hihg\". Did you mean 'high'?"),
        ("model.dropout", {"chioces": [0.1]}, "Did you mean 'choices'?"),
        ("model.dropout", {"min": 0.1, "max": 0.2}, 'unknown key "min". An entry is a list of'),
        ("model.dropout", {}, "the entry is empty. An entry is a list of choices"),
        ("model.dropout", {"choices": [0.1], "low": 0.1}, '"low" belongs to a range'),
        ("model.dropout", {"choices": 0.1}, "choices is 0.1: write a list"),
        ("model.dropout", 0.2, "0.2 is a single value, nothing to sample: set it in the config"),
        ("model.batch_norm", True, "true is a single value"),
        ("model.activation", "relu", '"relu" is a single value'),
        ("model.hidden_units", "[64,32]", '"[64,32]" is a single value'),
        ("model.dropout", {"choices": [0.1], "with_own_spaces": True}, "is for config groups"),
        # choices
        ("model.activation", [], "there are no choices"),
        ("model.activation", ["relu", "tanh", "relu"], '"relu" is among the choices twice'),
        ("trainer.class_weight", [1, 1.0], "1.0 is among the choices twice"),
        ("trainer.class_weight", [{"a": 1}, {"a": 1}], '{"a": 1} is among the choices twice'),
        ("trainer.class_weight", [True, 1], "true and 1 cannot both be choices"),
        ("trainer.class_weight", ["[1]", [1]], "cannot both be choices"),
        ("trainer.class_weight", [NAN], "NaN cannot be a choice"),
        ("trainer.class_weight", [object()], "which no config can hold"),
        ("trainer.class_weight", [{0: 1.0}], "has the key 0, which is not text: quote it"),
        ("trainer.class_weight", [[{"a": {1: 2}}]], "has the key 1, which is not text: quote it"),
        # types
        ("trainer.batch_size", [16, 8.5], "8.5 is a float, but the config holds 32, an int."),
        ("trainer.batch_size", [8.0], "an int. Write 8."),
        ("trainer.batch_size", [True], "true is a bool"),
        ("trainer.batch_size", {"low": 8.5, "high": 64}, "a range of floats, but the config holds"),
        ("trainer.batch_size", "interval(16,64)", "'int(interval(...))'"),
        ("optimizer.learning_rate", ["1e-3"], "A quoted number is text: write it without quotes."),
        ("model.activation", [True], "YAML reads on, off, yes and no as bools: quote them."),
        ("model.activation", {"low": 1, "high": 3}, "List the choices instead."),
        ("model.batch_norm", [0, 1], "0 is an int, but the config holds false, a bool"),
        ("model.hidden_units", {"low": 1, "high": 4}, "A list is {length: ..., each: ...}."),
        ("model.hidden_units", [64], "Give lists to choose from"),
        # lists
        ("model.dropout", LIST, "this is a list, but the config holds 0.2, a float"),
        ("model.hidden_units.length", {"low": 1, "high": 4}, "{length: ..., each: ...}"),
        ("model.hidden_units", {"length": 2}, "each is missing"),
        ("model.hidden_units", {"each": [2]}, "length is missing"),
        ("model.hidden_units", {"lenght": 2, "each": [2]}, "Did you mean 'length'?"),
        ("model.hidden_units", {**LIST, "length": {"low": -1, "high": 4}}, "length: low is -1"),
        ("model.hidden_units", {**LIST, "length": {"low": 1.0, "high": 4}}, "a length is an int"),
        ("model.hidden_units", {**LIST, "length": 2.5}, "a length is an int"),
        ("model.hidden_units", {**LIST, "length": {"low": 3, "high": 1}}, "length: low (3) is"),
        ("model.hidden_units", {**LIST, "length": 0}, "the list is always empty: set it to []"),
        ("model.hidden_units", {**LIST, "shape": "decresing"}, "Did you mean 'decreasing'"),
        ("model.hidden_units", {**LIST, "shared": True}, 'unknown key "shared"'),
        ("model.activation", {"length": 2, "each": ["a"], "shape": "increasing"}, "are numbers"),
        ("model.hidden_units", {"length": 2, "each": {"low": 1.5, "high": 2}}, "range of floats"),
        ("model.hidden_units", {"length": 2, "each": [1.5]}, "1.5 is a float"),
        ("model.hidden_units", {"length": 2, "each": {"low": 1}}, "each: high is missing"),
        ("model.hidden_units", {"length": 2, "each": LIST}, "each: write a range or choices"),
        (
            "model.hidden_units",
            {"length": 2, "each": {"low": 1, "high": 2, "when": {"seed": 0}}},
            "each: `when` belongs to the whole entry",
        ),
    ],
)
def test_a_slip_in_an_entry_names_the_entry_and_the_remedy(
    path: str, entry: Any, message: str
) -> None:
    given = message_of({path: entry})
    assert f"'{path}'" in given
    assert message in given


@pytest.mark.parametrize(
    ("group", "entry", "message"),
    [
        ("optimizer", ["adma"], "\"adma\" is not an option of the group 'optimizer'. Did you mean"),
        ("optimizer", [3], "3 (quote it) is not an option"),
        ("optimizer", "adam", '"adam" is a single value'),
        ("optimizer", "glob(x*)", "selects nothing. Known: adam, rmsprop, sgd."),
        ("optimizer", {"low": 1, "high": 2}, "chosen from its options: adam, rmsprop, sgd"),
        ("optimizer@fast", ["adam"], "'optimizer' is a config group"),
        ("model.dropout", "glob(*)", "glob() selects options of a config group, which this is not"),
        (
            "data",
            {"choices": ["mnist"], "with_own_spaces": True},
            "none of mnist has a `space:` of its own (it stands in conf/data/<option>.yaml",
        ),
    ],
)
def test_a_slip_in_a_group(group: str, entry: Any, message: str) -> None:
    assert message in message_of({group: entry})


def test_a_path_of_another_option_names_the_option_that_has_it() -> None:
    momentum = {"low": 0.0, "high": 0.9}
    message = message_of({"optimizer.momentum": momentum})
    assert "not in the config for optimizer=adam; it is for optimizer=sgd" in message
    assert space_of({"optimizer.momentum": momentum}, optimizer="sgd").paths


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        (
            {"optimizer": ["adam", "sgd"], "optimizer.momentum": {"low": 0.0, "high": 0.9}},
            "not in the config for optimizer=adam: add `when: {optimizer: sgd}`",
        ),
        (
            {"model": ["mlp", "cnn"], "model.hidden_units": [[64]]},
            "not in the config for model=cnn: add `when: {model: mlp}`",
        ),
        (
            {"model": ["mlp", "cnn"], "model.filters": [8, 16]},
            "not in the config for model=mlp: add `when: {model: cnn}`",
        ),
        (
            {"optimizer": ["rmsprop", "sgd"], "optimizer.beta_1": [0.8]},
            "not in the config for optimizer=rmsprop; it is for optimizer=adam",
        ),
    ],
)
def test_an_unguarded_path_of_some_options_names_the_when_to_write(
    spec: dict[str, Any], remedy: str
) -> None:
    assert remedy in message_of(spec)


def test_a_field_of_another_type_under_a_sampled_option_names_that_option() -> None:
    def compose(choices: Any) -> dict[str, Any]:
        return {"model": {"units": 8 if choices["model"] == "mlp" else [8, 8]}}

    with pytest.raises(SpaceError, match=r"the config holds \[8, 8\] for model=cnn, a list of int"):
        parse_space(
            {"model": ["mlp", "cnn"], "model.units": [8, 16]},
            {"model": {"units": 8}},
            {"model": ["mlp", "cnn"]},
            {"model": "mlp"},
            compose=compose,
        )


def test_an_int_range_over_an_int_and_a_float_field_stays_int() -> None:
    def compose(choices: Any) -> dict[str, Any]:
        return {"model": {"rate": 8 if choices["model"] == "mlp" else 8.0}}

    space = parse_space(
        {"model": ["mlp", "cnn"], "model.rate": {"low": 1, "high": 3}},
        {"model": {"rate": 8}},
        {"model": ["mlp", "cnn"]},
        {"model": "mlp"},
        compose=compose,
    )
    assert space.entries[1].kind == "int"


def test_without_compose_only_the_base_options_are_checked() -> None:
    spec: dict[str, Any] = {
        "optimizer": ["adam", "sgd"],
        "optimizer.momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    }
    assert parse_space(spec, BASE, GROUPS, CHOICES).paths == ("optimizer", "optimizer.momentum")
    del spec["optimizer.momentum"]["when"]
    with pytest.raises(SpaceError, match=r"optimizer\.momentum.*not in the config"):
        parse_space(spec, BASE, GROUPS, CHOICES)


def test_one_place_cannot_be_filled_twice() -> None:
    spec = {"model": {"choices": ["mlp"]}, "model.dropout": [0.1], "model.dropout@a": [0.2]}
    assert "'model.dropout' and 'model.dropout@a' may both apply" in message_of(spec)


def test_a_place_inside_another_entry_is_refused() -> None:
    spec = {"trainer.class_weight": [{"a": 1}], "trainer.class_weight.a": [1]}
    assert "it lies inside 'trainer.class_weight', which is sampled as a whole" in message_of(spec)


def test_own_spaces_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(SpaceError, match="cannot be read here"):
        parse_space(
            {"optimizer": {"choices": ["adam"], "with_own_spaces": True}}, BASE, GROUPS, CHOICES
        )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "model.droput.high",
            0.8,
            "no entry 'model.droput' to set high in. Did you mean 'model.dr",
        ),
        ("model.dropout.hihg", 0.8, "has no \"hihg\". Did you mean 'high'?"),
        ("model.activation.choices", 3, 'is ["relu", "tanh"], which has no choices to set'),
    ],
)
def test_a_slip_in_the_name_of_an_entrys_field_names_the_near_one(
    name: str, value: Any, message: str
) -> None:
    spec = {"model.dropout": {"low": 0.0, "high": 0.5}, "model.activation": ["relu", "tanh"]}
    assert message in message_of({**spec, name: value})


def test_a_type_beside_choices_is_told_what_to_write() -> None:
    said = message_of({"model.activation": {"type": "categorical", "choices": ["relu", "tanh"]}})
    assert '"type" belongs to a range' in said
    assert "write {choices: [...]}" in said


@pytest.mark.parametrize("name", ["sweep/sampler", "sweep.sampler", "sweep.n_trials"])
def test_the_search_itself_cannot_be_searched(name: str) -> None:
    said = message_of({name: ["tpe", "random"]})
    assert "cannot be searched itself" in said
    assert "besom compare" in said


def test_a_path_that_is_near_nothing_is_not_answered_with_a_page_of_paths() -> None:
    assert message_of({"xyzzy.q": [1]}).endswith("Known: data, model, optimizer, seed, trainer.")
