"""A space as a mapping: each of its forms becomes an entry that a YAML could have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from besom.errors import SpaceError
from besom.python.spaces import base_value, space_of


def entry(value: Any) -> Any:
    return space_of({"units": value}, ["units"], "build")["model.units"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ((16, 512), {"low": 16, "high": 512}),
        ((16, 512, "log"), {"low": 16, "high": 512, "log": True}),
        ((0.0, 0.5, 0.1), {"low": 0.0, "high": 0.5, "step": 0.1}),
        (range(16, 65, 16), {"type": "int", "low": 16, "high": 64, "step": 16}),
        (["relu", "gelu"], ["relu", "gelu"]),
        ([(3, 3), (5, 5)], [[3, 3], [5, 5]]),
        ([np.int64(1), np.float32(0.5)], [1, 0.5]),
        ("tag(log, interval(1e-4, 1e-1))", "tag(log, interval(1e-4, 1e-1))"),
        ({"low": 1, "high": 4, "when": {"optimizer": "sgd"}},) * 2,
        (
            {"length": (1, 3), "each": (16, 256, "log")},
            {"length": {"low": 1, "high": 3}, "each": {"low": 16, "high": 256, "log": True}},
        ),
        (
            {"length": (1, 3), "each": {"units": (16, 256), "activation": ["relu", "tanh"]}},
            {
                "length": {"low": 1, "high": 3},
                "each": {"units": {"low": 16, "high": 256}, "activation": ["relu", "tanh"]},
            },
        ),
        (
            FloatDistribution(1e-4, 1e-1, log=True),
            {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        ),
        (
            IntDistribution(2, 8, step=2),
            {"type": "int", "low": 2, "high": 8, "log": False, "step": 2},
        ),
        (CategoricalDistribution(["a", "b"]), ["a", "b"]),
    ],
)
def test_each_form_of_an_entry_is_understood(written: Any, meant: Any) -> None:
    assert entry(written) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (("relu", "gelu"), "a tuple is a range, (low, high)"),
        ((1,), "a list is choices"),
        ((1, 2, 3, 4), "a list is choices"),
        ((1, 2, "exp"), 'ends with "exp"'),
        (range(3, 3), "which is empty"),
        ([object()], "is a object, expected numbers, text"),
    ],
)
def test_what_is_no_entry_is_refused_by_its_name(written: Any, said: str) -> None:
    with pytest.raises(SpaceError, match="units") as refused:
        entry(written)
    assert said in str(refused.value)


def test_a_bare_name_is_a_parameter_of_the_function_and_a_dotted_one_any_path() -> None:
    given = {"units": [1], "optimizer.learning_rate": [0.1], "optimizer": ["sgd"], "seed": [0, 1]}
    assert list(space_of(given, ["units"], "build")) == [
        *("model.units", "optimizer.learning_rate", "optimizer", "seed")
    ]


@pytest.mark.parametrize("name", ["unit", "model.unit"])
def test_a_name_that_the_function_does_not_have_is_refused_with_a_similar_one(name: str) -> None:
    with pytest.raises(SpaceError, match=r"build has no parameter 'unit'. Did you mean 'units'"):
        space_of({name: [1]}, ["units"], "build")


def test_what_an_entry_reads_of_other_parameters_has_their_bare_names_too() -> None:
    given = {
        "units": {"length": (1, 3), "each": (8, 64)},
        "rates": {"length": "units.length", "each": (0.0, 0.5)},
        "alpha": {"low": 0.0, "high": 1.0, "when": {"activation": "elu", "optimizer": "sgd"}},
        "activation": ["relu", "elu"],
    }
    space = space_of(given, list(given), "build")
    assert space["model.rates"]["length"] == "model.units.length"
    assert space["model.alpha"]["when"] == {"model.activation": "elu", "optimizer": "sgd"}


def test_a_function_that_takes_any_keyword_takes_any_name() -> None:
    assert list(space_of({"anything": [1]}, None, "build")) == ["model.anything"]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ({"low": 16, "high": 256, "log": True}, 64),
        ({"low": 0.0, "high": 0.5}, 0.25),
        ({"low": 0, "high": 64, "step": 16}, 32),
        (["relu", "gelu"], "relu"),
        ("choice(a,b)", "a"),
        ("interval(0,1)", 0.5),
        ({"length": {"low": 2, "high": 2}, "each": {"low": 8, "high": 8}}, [8, 8]),
        (
            {"length": {"low": 1, "high": 1}, "each": {"units": {"low": 4, "high": 4}}},
            [{"units": 4}],
        ),
    ],
)
def test_a_parameter_without_a_default_starts_in_the_middle(entry: Any, value: Any) -> None:
    assert base_value(entry) == value
