"""What the command line fixes is not searched, whatever form its entry has, and that is said."""

from __future__ import annotations

from typing import Any

import pytest

from besom.errors import SpaceError
from besom.space import Space, flatten, parse_space
from space_world import BASE, CHOICES, GROUPS, compose, own_spaces

DROPOUT = {"low": 0.0, "high": 0.5}
OWN = {"optimizer": {"choices": ["adam", "sgd"], "with_own_spaces": True}}


def fixed(spec: dict[str, Any], *paths: str, **choices: str) -> Space:
    chosen = {**CHOICES, **choices}
    return parse_space(
        spec,
        compose(chosen),
        GROUPS,
        chosen,
        compose=compose,
        own_spaces=own_spaces,
        fixed=paths,
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"model.dropout": DROPOUT},
        {"model": {"dropout": DROPOUT}},
        {
            "data": ["digits", "mnist"],
            "model.dropout@a": {**DROPOUT, "when": {"data": "digits"}},
            "model.dropout@b": {**DROPOUT, "when": {"data": "mnist"}},
        },
    ],
    ids=["plain", "nested", "labelled"],
)
def test_a_value_on_the_command_line_fixes_what_would_be_searched(spec: dict[str, Any]) -> None:
    space = fixed({**spec, "trainer.epochs": [1, 2]}, "model.dropout")
    assert "model.dropout" not in space.paths
    assert "trainer.epochs" in space.paths
    assert space.notes == ("model.dropout is fixed by the command line, and not searched",)
    assert not any("dropout" in name for name in space.spec)


def test_a_value_on_the_command_line_that_nothing_searches_is_not_spoken_of() -> None:
    space = fixed({"trainer.epochs": [1, 2]}, "model.dropout", "seed")
    assert (space.paths, space.notes) == (("trainer.epochs",), ())


def test_a_value_on_the_command_line_takes_the_place_of_every_options_own_entry() -> None:
    space = fixed(OWN, "optimizer.learning_rate")
    names = {entry.name for entry in space.entries}
    assert "optimizer.momentum@sgd" in names
    assert not any("learning_rate" in name for name in names)
    assert len([note for note in space.notes if "learning_rate" in note]) == 1


def test_a_fixed_option_keeps_its_own_space() -> None:
    space = fixed(OWN, "optimizer", optimizer="sgd")
    assert [entry.name for entry in space.entries] == [
        f"optimizer.{key}@sgd" for key in ("learning_rate", "momentum", "nesterov")
    ]
    assert "own space is searched" in space.notes[0]


def test_a_fixed_option_without_a_space_of_its_own_leaves_nothing_to_search() -> None:
    space = fixed(OWN, "optimizer", optimizer="rmsprop")
    assert (space.paths, space.spec) == ((), {})


def test_what_is_left_says_the_same_when_it_is_read_again() -> None:
    for paths in (["optimizer"], ["optimizer.learning_rate"], ["model.dropout"]):
        first = fixed({**OWN, "model": {"dropout": DROPOUT}}, *paths)
        again = fixed(first.spec)
        assert set(again.paths) - {"optimizer"} == set(first.paths) - {"optimizer"}


def test_a_nested_space_is_flattened_to_paths() -> None:
    nested = {"model": {"dropout": DROPOUT}, "optimizer": ["adam"]}
    assert flatten(nested, BASE) == {"model.dropout": DROPOUT, "optimizer": ["adam"]}


def test_own_spaces_without_choices_mean_every_option_of_the_group() -> None:
    space = fixed({"optimizer": {"with_own_spaces": True}})
    assert space.entries[0].choices == ("adam", "rmsprop", "sgd")


# What another entry's `when` reads


MOMENTUM = {"low": 0.0, "high": 0.99}
NESTEROV = {"choices": [True, False], "when": {"optimizer.momentum": {"min": 0.5}}}


@pytest.mark.parametrize("how", ["fixed", "dropped"])
@pytest.mark.parametrize("group", [{}, {"model": ["mlp", "cnn"]}], ids=["alone", "with a group"])
def test_an_entry_that_reads_what_is_no_longer_searched_is_left_out(
    how: str, group: dict[str, Any]
) -> None:
    chosen = {**CHOICES, "optimizer": "sgd"}
    spec = {**group, "optimizer.nesterov": NESTEROV, "trainer.epochs": [1, 2]}
    settled = {how: ["optimizer.momentum"]}
    space = parse_space(spec, compose(chosen), GROUPS, chosen, compose=compose, **settled)
    assert space.paths == (*group, "trainer.epochs")
    (note,) = space.notes
    assert note.startswith("'optimizer.nesterov' is left out: when optimizer.momentum >= 0.5")
    assert "optimizer.momentum is 0.0 here" in note


def test_a_condition_that_a_fixed_value_meets_holds() -> None:
    chosen = {**CHOICES, "optimizer": "sgd"}
    base = compose(chosen)
    base["optimizer"]["momentum"] = 0.7
    spec = {"optimizer.momentum": MOMENTUM, "optimizer.nesterov": NESTEROV}
    space = parse_space(spec, base, GROUPS, chosen, fixed=["optimizer.momentum"])
    assert space.paths == ("optimizer.nesterov",)


def test_a_condition_that_never_holds_as_the_sweep_is_written_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"never holds, optimizer\.momentum is 0\.0 here"):
        fixed({"optimizer.nesterov": NESTEROV}, "trainer.epochs", optimizer="sgd")
