"""Sampling, storing and reading back: what a space promises the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from besom.config import read_yaml
from besom.errors import SpaceError
from besom.space import Lists, apply, parse_space
from space_world import BASE, CHOICES, GROUPS, ask, compose, samples, space_of

DESIGN_EXAMPLE: dict[str, Any] = {
    "model.hidden_units": {
        "length": {"type": "int", "low": 1, "high": 4},
        "each": {"type": "int", "low": 32, "high": 1024, "log": True},
    },
    "model.activation": ["relu", "tanh", "gelu", "silu"],
    "model.dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "optimizer": ["adam", "sgd"],
    "optimizer.learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "optimizer.momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
}


def test_the_example_of_the_design_page_samples_what_it_says() -> None:
    space = space_of(DESIGN_EXAMPLE)
    seen = samples(space, 100)
    assert {len(s.params["model.hidden_units"]) for s, _ in seen} == {1, 2, 3, 4}
    for sample, _ in seen:
        assert all(32 <= units <= 1024 for units in sample.params["model.hidden_units"])
        assert ("optimizer.momentum" in sample.params) == (sample.groups == {"optimizer": "sgd"})
        assert list(sample.params) == [path for path in space.paths if path in sample.params]
        assert sample.params == sample.groups | sample.values


def test_every_optuna_name_and_range_is_known_before_the_first_trial() -> None:
    space = space_of(DESIGN_EXAMPLE)
    known = space.distributions()
    assert known["model.hidden_units.length"] == IntDistribution(1, 4)
    assert known["model.hidden_units.3"] == IntDistribution(32, 1024, log=True)
    assert "model.hidden_units.4" not in known
    assert known["optimizer"] == CategoricalDistribution(["adam", "sgd"])
    assert known["optimizer.momentum"] == FloatDistribution(0.0, 0.99)
    for seed in range(20):
        trial = ask(seed)
        space.suggest(trial)
        assert trial.distributions.items() <= known.items()


def test_an_empty_space_is_legal_and_samples_nothing() -> None:
    space = space_of({})
    assert space.suggest(ask()).params == {}
    assert space.encode(BASE, CHOICES) == {}
    assert (len(space), space.is_conditional, space.grid().size) == (0, False, 1)


def test_null_drops_an_inherited_entry() -> None:
    assert space_of({"model.dropout": None, "model.activation": ["relu"]}).paths == (
        "model.activation",
    )


def test_entries_may_be_nested_as_the_config_is() -> None:
    nested = space_of({"model": {"dropout": {"low": 0.0, "high": 0.5}, "activation": ["relu"]}})
    assert nested.paths == ("model.dropout", "model.activation")


def test_the_type_of_a_range_is_told_by_its_bounds_and_the_config() -> None:
    space = space_of(
        {
            "trainer.batch_size": {"low": 8, "high": 64},
            "model.dropout": {"low": 0, "high": 1},
            "trainer.class_weight": {"low": 0, "high": 1},
            "optimizer.learning_rate": {"type": "int", "low": 1, "high": 3},
        }
    )
    params = space.suggest(ask()).params
    assert [type(value) for value in params.values()] == [int, float, int, float]
    assert [entry.kind for entry in space.entries] == ["int", "float", "int", "float"]


def test_int_choices_for_a_float_field_become_floats() -> None:
    space = space_of({"optimizer.learning_rate": [1, 0.1]})
    assert space.entries[0].choices == (1.0, 0.1)
    assert isinstance(space.entries[0].choices[0], float)


def test_null_stays_null_and_quoted_numbers_stay_text(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("trainer.class_weight: ['1e-3', 1e-3, null]")
    spec = read_yaml(file)
    space = parse_space(spec, BASE, GROUPS, CHOICES)
    assert space.entries[0].choices == ("1e-3", 0.001, None)
    values = {repr(s.params["trainer.class_weight"]) for s, _ in samples(space, 50)}
    assert values == {"'1e-3'", "0.001", "None"}


def test_steps_of_floats_give_the_numbers_one_would_write() -> None:
    space = space_of({"model.dropout": {"low": 0.0, "high": 0.9, "step": 0.1}})
    written = {json.dumps(s.params["model.dropout"]) for s, _ in samples(space, 200)}
    assert written == {"0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"}
    assert space.decode({"model.dropout": 0.30000000000000004}) == {"model.dropout": 0.3}
    assert space.encode({"model": {"dropout": 0.30000000000000004}}) == {"model.dropout": 0.3}


def test_lists_and_mappings_survive_a_journal_on_disk(tmp_path: Any) -> None:
    choices = [None, {"0": 1.0, "1": 2.5}, {"b": [1, 2], "a": None}, "auto", [1, 2]]
    space = space_of({"trainer.class_weight": choices, "model.hidden_units": [[64], [128, 64]]})
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.journal"))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(
        study_name="s", storage=storage, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    given = []
    for _ in range(20):
        trial = study.ask()
        given.append(space.suggest(trial).params)
        study.tell(trial, 0.0)
    again = optuna.load_study(study_name="s", storage=storage)
    assert [space.decode(trial.params) for trial in again.trials] == given
    assert all(any(p["trainer.class_weight"] == c for p in given) for c in choices)


def test_a_sample_is_a_copy_that_can_be_changed() -> None:
    space = space_of({"trainer.class_weight": [{"a": [1]}]})
    space.suggest(ask()).params["trainer.class_weight"]["a"].append(2)
    assert space.suggest(ask()).params["trainer.class_weight"] == {"a": [1]}


def test_a_mapping_with_a_target_may_stand_for_a_number() -> None:
    schedule = {"_target_": "keras.optimizers.schedules.CosineDecay", "decay_steps": 100}
    space = space_of({"optimizer.learning_rate": [0.01, schedule]})
    config = apply(BASE, {"optimizer.learning_rate": schedule})
    assert config["optimizer"]["learning_rate"] == schedule
    assert space.outside(config) == []


def test_stored_parameters_of_an_older_space_are_shown_as_they_are() -> None:
    space = space_of({"model.activation": ["relu", "tanh"]})
    stored = {"model.width": 3, "model.activation": "elu"}
    assert space.decode(stored) == {"model.activation": "elu", "model.width": 3}


# Encoding: the inverse.


def test_the_base_config_is_encoded_so_that_its_trial_is_sampled() -> None:
    space = space_of(DESIGN_EXAMPLE)
    stored = space.encode(BASE, CHOICES)
    assert stored is not None
    study = optuna.create_study()
    study.enqueue_trial(stored)
    trial = study.ask()
    sample = space.suggest(trial)
    assert trial.params == stored
    assert apply(compose({**CHOICES, **sample.groups}), sample.values) == BASE


def test_a_config_outside_the_space_gives_a_reason_for_each_path() -> None:
    space = space_of(DESIGN_EXAMPLE)
    values = {"model.hidden_units": [512] * 5, "model.dropout": 0.7, "model.activation": "elu"}
    config = apply(BASE, values)
    assert space.encode(config, CHOICES) is None
    assert space.outside(config, CHOICES) == [
        "model.hidden_units: the length of [512, 512, 512, 512, 512]: 5 is not in 1 .. 4",
        'model.activation: "elu" is not one of relu, tanh, gelu, silu',
        "model.dropout: 0.7 is not in 0.0 .. 0.5",
    ]


def test_an_option_outside_the_space_is_a_reason_too() -> None:
    space = space_of(DESIGN_EXAMPLE)
    choices = {**CHOICES, "optimizer": "rmsprop"}
    assert space.outside(compose(choices), choices) == [
        'optimizer: "rmsprop" is not one of adam, sgd'
    ]


@pytest.mark.parametrize(
    ("spec", "value", "reason"),
    [
        ({"trainer.class_weight": [True, False]}, 1, "1 is not one of true, false"),
        ({"trainer.class_weight": {"low": 1, "high": 3}}, 2.0, "2.0 is not an int"),
        ({"trainer.class_weight": {"low": 0.0, "high": 1.0}}, "0.5", '"0.5" is not a number'),
        ({"trainer.class_weight": {"low": 1, "high": 9, "step": 2}}, 4, "is not in 1 .. 9, step 2"),
        ({"trainer.class_weight": {"low": 0.0, "high": 1.0, "step": 0.25}}, 0.3, "step 0.25"),
        ({"trainer.class_weight": {"length": 2, "each": [1, 2]}}, 3, "3 is not a list"),
        ({"trainer.class_weight": {"length": 2, "each": [1, 2]}}, [1, 3], "3 is not one of 1, 2"),
        (
            {"trainer.class_weight": {"length": 2, "each": [1, 2], "shape": "decreasing"}},
            [1, 2],
            "[1, 2] is not decreasing",
        ),
        (
            {"trainer.class_weight": {"length": 2, "each": [1, 2], "shape": "constant"}},
            [1, 2],
            "[1, 2] is not constant",
        ),
    ],
)
def test_why_a_value_lies_outside(spec: dict[str, Any], value: Any, reason: str) -> None:
    space = space_of(spec)
    (given,) = space.outside({"trainer": {"class_weight": value}})
    assert given.startswith("trainer.class_weight: ")
    assert reason in given


def test_a_path_that_a_config_does_not_have_lies_outside() -> None:
    assert space_of({"model.dropout": [0.1]}).outside({"model": {}}) == [
        "model.dropout is not in this config"
    ]


def test_params_by_path_are_completed_to_a_config_for_their_groups() -> None:
    space = space_of(DESIGN_EXAMPLE)
    config, choices = space.complete({"optimizer": "sgd", "model.dropout": 0, "trainer.epochs": 3})
    assert (config["optimizer"]["momentum"], config["model"]["dropout"]) == (0.0, 0.0)
    assert config["trainer"]["epochs"] == 3
    assert choices == {**CHOICES, "optimizer": "sgd"}
    stored = space.encode(config, choices)
    assert stored is not None
    assert space.decode(stored)["optimizer.momentum"] == 0.0


def test_params_with_an_unknown_path_are_refused_with_the_near_one() -> None:
    with pytest.raises(
        SpaceError, match=r"'model\.dropuot' is not in the config.*'model\.dropout'"
    ):
        space_of({}).complete({"model.dropuot": 0.1})


def test_params_with_an_unknown_option_are_refused_with_the_near_one() -> None:
    with pytest.raises(SpaceError, match=r"\"adma\" is not an option of .*'adam'"):
        space_of({}).complete({"optimizer": "adma"})


def test_an_option_that_is_gone_is_only_a_reason() -> None:
    space = space_of({**DESIGN_EXAMPLE, "seed": {"choices": [0], "when": {"model.dropout": 0.2}}})
    choices = {**CHOICES, "optimizer": "adagrad"}
    assert space.outside(BASE, choices) == ['optimizer: "adagrad" is not one of adam, sgd']
    assert space.differences(BASE, choices) == []


def test_what_differs_beyond_the_space_is_named() -> None:
    space = space_of(DESIGN_EXAMPLE)
    config, choices = space.complete(
        {"data": "mnist", "model.dropout": 0.4, "trainer.epochs": 40, "optimizer": "sgd"}
    )
    del config["trainer"]["loss"]
    assert space.differences(config, choices) == [
        'data.name is "mnist", here "digits"',
        "trainer.epochs is 40, here 20",
        'trainer.loss is absent, here "sparse_categorical_crossentropy"',
    ]


# Lists.


@pytest.mark.parametrize("shape", ["any", "decreasing", "increasing", "constant"])
def test_the_shape_of_a_list_holds_for_every_sample(shape: str) -> None:
    length = {"low": 0, "high": 4}
    each = {"low": 1, "high": 100}
    space = space_of({"model.hidden_units": {"length": length, "each": each, "shape": shape}})
    lists = [s.params["model.hidden_units"] for s, _ in samples(space, 100)]
    assert {len(units) for units in lists} == {0, 1, 2, 3, 4}
    if shape == "constant":
        assert all(len(set(units)) <= 1 for units in lists)
    elif shape != "any":
        assert all(u == sorted(u, reverse=shape == "decreasing") for u in lists)
    else:
        assert any(u != sorted(u) and u != sorted(u, reverse=True) for u in lists)


def test_one_value_for_all_elements_is_one_parameter() -> None:
    length = {"low": 1, "high": 3}
    space = space_of(
        {"model.hidden_units": {"length": length, "each": [8, 16], "shape": "constant"}}
    )
    assert list(space.distributions()) == ["model.hidden_units.length", "model.hidden_units.each"]
    assert space.decode({"model.hidden_units.length": 3, "model.hidden_units.each": 8}) == {
        "model.hidden_units": [8, 8, 8]
    }


def test_a_fixed_length_is_no_parameter_and_makes_no_condition() -> None:
    space = space_of({"model.hidden_units": {"length": 2, "each": "8,16"}})
    assert list(space.distributions()) == ["model.hidden_units.0", "model.hidden_units.1"]
    assert not space.is_conditional
    assert space.encode({"model": {"hidden_units": [8, 16]}}) == {
        "model.hidden_units.0": 8,
        "model.hidden_units.1": 16,
    }
    assert space.encode({"model": {"hidden_units": [8]}}) is None


def test_a_sampled_length_makes_the_space_conditional() -> None:
    entry = {"length": "range(1,4)", "each": [8, 16]}
    space = space_of({"model.hidden_units": entry})
    assert space.is_conditional
    (listed,) = space.entries
    assert isinstance(listed.values, Lists)
    assert (listed.kind, listed.values.lengths, listed.choices) == ("list", (1, 2, 3), (8, 16))


def test_lists_of_lists_are_typed_too() -> None:
    space = space_of({"model.hidden_units": [[64], [128, 64], []]})
    assert space.entries[0].choices == ([64], [128, 64], [])
    with pytest.raises(SpaceError, match=r"64\.5 is a float"):
        space_of({"model.hidden_units": [[64], [64.5]]})


# Grids.


def test_a_grid_lists_each_point_once_and_leaves_out_what_does_not_apply() -> None:
    space = space_of(
        {
            "model.hidden_units": {
                "length": {"low": 0, "high": 2},
                "each": [1, 2, 3],
                "shape": "decreasing",
            },
            "optimizer": ["adam", "sgd"],
            "optimizer.nesterov": {"choices": [True, False], "when": {"optimizer": "sgd"}},
            "model.dropout": {
                "low": 0.0,
                "high": 0.5,
                "step": 0.1,
                "when": {"model.hidden_units.length": {"min": 2}},
            },
        }
    )
    points = list(space.grid())
    assert space.grid().size == len(points) == (1 + 3 + 6 * 6) * 3
    params = [json.dumps(space.decode(point)) for point in points]
    assert len(set(params)) == len(points)
    study = optuna.create_study()
    for point in points[:: len(points) // 7]:
        study.enqueue_trial(point)
        assert space.suggest(study.ask()).params == space.decode(point)


def test_a_grid_is_counted_without_walking_through_it() -> None:
    each = {"low": 1, "high": 1000}
    space = space_of({"model.hidden_units": {"length": 5, "each": each}, "trainer.epochs": [1, 2]})
    assert space.grid().size == 2 * 1000**5


@pytest.mark.parametrize(
    ("text", "values"),
    [("range(1,5)", [1, 2, 3, 4]), ("int(interval(1,3))", [1, 2, 3]), ("5,3", [5, 3])],
)
def test_a_grid_means_what_the_grammar_means(text: str, values: list[int]) -> None:
    points = list(space_of({"trainer.epochs": text}).grid())
    assert points == [{"trainer.epochs": value} for value in values]


def test_a_grid_over_float_intervals_is_refused_with_their_names() -> None:
    space = space_of(DESIGN_EXAMPLE)
    with pytest.raises(SpaceError) as error:
        space.grid()
    assert "'model.dropout', 'optimizer.learning_rate', 'optimizer.momentum'" in str(error.value)
    assert "Give a step or a list of choices" in str(error.value)


# Applying.


def test_applying_leaves_the_config_alone_and_types_by_what_it_holds() -> None:
    before = json.dumps(BASE)
    config = apply(BASE, {"model.dropout": 0, "model.hidden_units.1": 8, "seed": 3})
    assert json.dumps(BASE) == before
    assert config["model"]["hidden_units"] == [512, 8]
    assert repr(config["model"]["dropout"]) == "0.0"
    assert config["seed"] == 3


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("trainer.batch_size", 8.5, "8.5 is a float, but the config holds 32, an int"),
        ("trainer.batch_size", True, "true is a bool"),
        ("model.dropout", "0.5", "A quoted number is text: write it without quotes"),
        ("model.activation", 3, '3 is an int, but the config holds "relu", text'),
        ("model.batch_norm", 1, "1 is an int, but the config holds false, a bool"),
        ("model.hidden_units", 64, "a list of ints. Give lists to choose from"),
        ("model.hidden_units", ["a"], '"a" is text'),
        ("model.hidden_units.2", 64, "is not in the config"),
        ("model.hidden_units.length", 64, "is not in the config"),
        ("model.nothing.inside", 64, "is not in the config"),
        ("optimizer", "adam", '"adam" is text, but the config holds'),
    ],
)
def test_applying_refuses_what_does_not_fit(path: str, value: Any, message: str) -> None:
    with pytest.raises(SpaceError) as error:
        apply(BASE, {path: value})
    assert str(error.value).startswith(f"'{path}'")
    assert message in str(error.value)


def test_null_takes_anything_and_anything_takes_null() -> None:
    assert apply(BASE, {"trainer.class_weight": [1, "a"]})["trainer"]["class_weight"] == [1, "a"]
    assert apply(BASE, {"model.activation": None})["model"]["activation"] is None


def test_sampling_ten_entries_costs_little() -> None:
    import time
    import timeit

    space = space_of(
        {
            **DESIGN_EXAMPLE,
            "trainer.batch_size": [16, 32, 64],
            "trainer.epochs": {"low": 1, "high": 9},
            "data.validation_split": {"low": 0.1, "high": 0.3, "step": 0.1},
            "optimizer.nesterov": {"choices": [True, False], "when": {"optimizer": "sgd"}},
        }
    )
    trials = [optuna.trial.FixedTrial(stored) for _, stored in samples(space, 20)]
    runs = timeit.repeat(
        lambda: [*map(space.suggest, trials)], timer=time.process_time, number=1, repeat=5
    )
    assert min(runs) / len(trials) < 1e-3
