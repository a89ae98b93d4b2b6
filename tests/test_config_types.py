"""One rule says which values may stand in a place: in overrides, exports, spaces, enqueued ones."""

from __future__ import annotations

import re
from typing import Any

import pytest

from besom.config import apply
from besom.config.tree import leaves, lookup
from besom.config.types import check_group
from besom.errors import BesomError, ConfigError, SpaceError
from besom.space import parse_space

SCHEDULE = {"_target_": "keras.optimizers.schedules.CosineDecay", "decay_steps": 9}


def by_override(value: Any, reference: Any) -> None:
    check_group("model", {"x": value}, {"x": reference})


def by_space(value: Any, reference: Any) -> None:
    parse_space({"model.x": [value]}, {"model": {"x": reference}}, {}, {})


def by_enqueueing(value: Any, reference: Any) -> None:
    apply({"model": {"x": reference}}, {"model.x": value})


RULES = pytest.mark.parametrize("check", [by_override, by_space, by_enqueueing])


@RULES
@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (None, 0.2),
        (None, True),
        (None, [8]),
        (3, "auto"),
        ([0, 2], "auto"),
        ("x", None),
        (1, 0.2),
        (SCHEDULE, 0.01),
        (SCHEDULE, "adam"),
        ([1, 2], [8]),
        ([1, 0.5], [0.2]),
        ([], [8]),
        (["a", SCHEDULE], ["accuracy"]),
        ([1, "a"], [2, "b"]),
        ({"a": 1, "b": "x"}, {"a": 0.5}),
        ({**SCHEDULE, "decay_steps": "x"}, {**SCHEDULE, "_target_": "keras.Other"}),
    ],
)
def test_a_value_that_may_stand_somewhere_may_do_so_in_every_form(
    check: Any, value: Any, reference: Any
) -> None:
    check(value, reference)


@RULES
@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (8.0, 8),
        (True, 8),
        (1, False),
        ("0.5", 0.2),
        (3, "relu"),
        (True, "relu"),
        (8, [8]),
        ("a", [8]),
        ([8.5], [8]),
        (["a", 1], ["accuracy"]),
        (3, {"a": 1}),
        ({"a": "x"}, {"a": 1}),
        ({"a": 1}, 0.2),
        (SCHEDULE, True),
        (SCHEDULE, [8]),
    ],
)
def test_a_value_that_may_not_stand_somewhere_is_refused_in_every_form(
    check: Any, value: Any, reference: Any
) -> None:
    with pytest.raises(BesomError):
        check(value, reference)


def test_a_refusal_inside_a_list_or_a_mapping_says_where() -> None:
    with pytest.raises(ConfigError, match=re.escape("model.x.1 is 'a', expected a whole number")):
        by_override([1, "a"], [8])
    with pytest.raises(ConfigError, match=re.escape("model.x.a is 'x', expected a number")):
        by_override({"a": "x"}, {"a": 0.5})
    with pytest.raises(SpaceError, match=re.escape('"x" is text (at a), but the config holds')):
        by_space({"a": "x"}, {"a": 0.5})


def test_an_int_becomes_a_float_where_floats_stand() -> None:
    config = apply({"x": 0.5, "y": [0.5], "z": {"a": 0.5}}, {"x": 1, "y": [1], "z": {"a": 1}})
    assert str(config) == "{'x': 1.0, 'y': [1.0], 'z': {'a': 1.0}}"


# Dotted paths


@pytest.mark.parametrize(
    ("path", "value"),
    [("", {"a": [8, {"b": None}]}), ("a.0", 8), ("a.1.b", None)],
)
def test_a_path_leads_to_the_value_there(path: str, value: Any) -> None:
    assert lookup({"a": [8, {"b": None}]}, path) == value


@pytest.mark.parametrize("path", ["b", "a.2", "a.-1", "a.0.b", "a.length", "a."])
def test_a_path_that_is_not_there_leads_nowhere(path: str) -> None:
    assert lookup({"a": [8, {"b": None}]}, path) not in (8, None)


def test_leaves_are_lists_empty_mappings_and_scalars() -> None:
    assert leaves({"a": {"b": [1], "c": {}}, "d": None}) == {"a.b": [1], "a.c": {}, "d": None}
    assert leaves({}) == {}
