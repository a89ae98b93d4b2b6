"""Hydra's own sweep grammar, in YAML and on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from besom.errors import ConfigError, SpaceError
from besom.space import Entry, split_overrides
from besom.space.domains import Range
from space_world import space_of


def entry_of(path: str, text: str) -> Entry:
    (entry,) = space_of({path: text}).entries
    return entry


@pytest.mark.parametrize(
    ("path", "text", "values"),
    [
        ("model.activation", "choice(relu,tanh)", ("relu", "tanh")),
        ("model.activation", "relu,tanh", ("relu", "tanh")),
        ("model.activation", "null,relu", (None, "relu")),
        ("model.activation", "'1e-3',relu", ("1e-3", "relu")),
        ("trainer.batch_size", "16,32", (16, 32)),
        ("trainer.batch_size", "choice(64,16,32)", (64, 16, 32)),
        ("trainer.batch_size", "sort(64,16,32)", (16, 32, 64)),
        ("trainer.batch_size", "shuffle(choice(16,32))", (16, 32)),
        ("trainer.batch_size", "int(choice('16',32))", (16, 32)),
        ("model.dropout", "0,0.5", (0.0, 0.5)),
        ("model.dropout", "float(choice(0,1))", (0.0, 1.0)),
        ("model.batch_norm", "true,false", (True, False)),
        ("model.hidden_units", "[64],[128,64]", ([64], [128, 64])),
        ("trainer.class_weight", "null,{a:1,b:'2'},auto", (None, {"a": 1, "b": "2"}, "auto")),
        ("optimizer", "adam,sgd", ("adam", "sgd")),
        ("optimizer", "choice(sgd)", ("sgd",)),
        ("optimizer", "glob(*)", ("adam", "rmsprop", "sgd")),
        ("optimizer", "glob(*, exclude=rms*)", ("adam", "sgd")),
    ],
)
def test_choices_are_typed_as_hydra_types_them(path: str, text: str, values: Any) -> None:
    choices = entry_of(path, text).choices
    assert choices == values
    assert choices is not None
    assert [type(choice) for choice in choices] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "low", "high", "step", "log"),
    [
        ("range(1,5)", 1, 4, 1, False),
        ("range(5)", 0, 4, 1, False),
        ("range(1,10,2)", 1, 9, 2, False),
        ("range(1,11,2)", 1, 9, 2, False),
        ("range(5,1,-2)", 3, 5, 2, False),
        ("sort(range(1,5),reverse=true)", 1, 4, 1, False),
        ("shuffle(range(1,5))", 1, 4, 1, False),
        ("int(range(1.0,5.0))", 1, 4, 1, False),
        ("tag(log,range(1,129))", 1, 128, 1, True),
        ("int(interval(1,3))", 1, 3, 1, False),
        ("tag(log,int(interval(1,128)))", 1, 128, 1, True),
        ("int(tag(log,interval(1,128)))", 1, 128, 1, True),
    ],
)
def test_ranges_of_ints(text: str, low: int, high: int, step: int, log: bool) -> None:
    entry = entry_of("trainer.batch_size", text)
    assert isinstance(entry.values, Range)
    assert (entry.kind, entry.low, entry.high) == ("int", low, high)
    assert (entry.values.step or 1, entry.values.log) == (step, log)


@pytest.mark.parametrize(
    ("text", "low", "high", "step", "log"),
    [
        ("range(0.0,1.0,0.25)", 0.0, 0.75, 0.25, False),
        ("range(0,1,0.1)", 0.0, 0.9, 0.1, False),
        ("range(0.0,2.1,0.7)", 0.0, 1.4, 0.7, False),
        ("range(0.0,1.05,0.25)", 0.0, 1.0, 0.25, False),
        ("range(1.0,0.0,-0.25)", 0.25, 1.0, 0.25, False),
        ("float(range(1,5))", 1.0, 4.0, 1.0, False),
        ("interval(1e-4, 1e-1)", 1e-4, 1e-1, None, False),
        ("interval(0,1)", 0.0, 1.0, None, False),
        ("tag(log, interval(1e-4, 1e-1))", 1e-4, 1e-1, None, True),
    ],
)
def test_ranges_of_floats(
    text: str, low: float, high: float, step: float | None, log: bool
) -> None:
    entry = entry_of("model.dropout", text)
    assert isinstance(entry.values, Range)
    assert (entry.kind, entry.low, entry.high) == ("float", low, high)
    assert (entry.values.step, entry.values.log) == (step, log)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tag(log interval(0.1,0.5))", '"tag(log interval(0.1,0.5))" is not Hydra\'s grammar'),
        ("choice(0.1,0.2", "is not Hydra's grammar"),
        ("choice(null,0.1)", "choice() takes no null: write the values without it (null,a,b)"),
        ("shuffle(null,0.1)", "shuffle() takes no null: write the values without it (null,a,b)"),
        ("choice()", "empty choice is not legal"),
        ("choice(range(1,3),4)", "is not Hydra's grammar"),
        ("", '"" is a single value'),
        ("0.5", '"0.5" is a single value'),
        ("tag(lgo, interval(0.1,0.5))", "unknown tag 'lgo'"),
        ("tag(log, choice(0.1,0.5))", "choices have no log scale"),
        ("tag(log, range(0.1,0.5,0.1))", "step and log exclude each other"),
        ("tag(log, interval(0,1))", "above 0, and low is 0.0"),
        ("interval(1,0)", "low (1.0) is greater than high (0.0)"),
        ("interval(0,inf)", "high is Infinity"),
        ("range(1,1)", '"range(1,1)" is empty'),
        ("range(5,1)", '"range(5,1)" is empty'),
        ("range(1,5,0)", "is not a finite range"),
        ("range(1,inf)", "is not a finite range"),
        ("range(nan,2.0)", "is not a finite range"),
        ("nan,1.0", "NaN cannot be a choice"),
        ("0.1,0.1", "0.1 is among the choices twice"),
    ],
)
def test_a_slip_in_the_grammar_quotes_it(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as error:
        space_of({"model.dropout": text})
    assert "'model.dropout'" in str(error.value)
    assert message in str(error.value)


def test_the_grammar_can_stand_in_choices_beside_a_when() -> None:
    spec = {"optimizer": {"choices": "glob(*)", "with_own_spaces": True}}
    assert space_of(spec).entries[0].choices == ("adam", "rmsprop", "sgd")


def test_overrides_are_told_from_sweeps() -> None:
    plain, sweeps = split_overrides(
        [
            "optimizer.learning_rate=tag(log, interval(1e-4,1e-1))",
            "sweep.n_trials=20",
            "model=choice(mlp,cnn)",
            "model.hidden_units=[64,32]",
            "data.path='a,b'",
            "trainer.batch_size=16,32",
            "~data",
            "+extra=1",
            "model=cnn,mlp",
        ]
    )
    assert plain == [
        "sweep.n_trials=20",
        "model.hidden_units=[64,32]",
        "data.path='a,b'",
        "~data",
        "+extra=1",
    ]
    assert sweeps == {
        "optimizer.learning_rate": "tag(log, interval(1e-4,1e-1))",
        "trainer.batch_size": "16,32",
        "model": "cnn,mlp",
    }


def test_sweeping_overrides_are_entries_of_a_space() -> None:
    _, sweeps = split_overrides(["model=choice(mlp,cnn)", "model.dropout=range(0,0.5,0.1)"])
    assert space_of(sweeps).grid().size == 10


def test_a_label_gives_a_path_a_second_entry_on_the_command_line() -> None:
    assert split_overrides(["optimizer.learning_rate@sgd=interval(0.1,1)"])[1] == {
        "optimizer.learning_rate@sgd": "interval(0.1,1)"
    }


@pytest.mark.parametrize("text", ["model=choice(mlp,cnn", "model.dropout", "a b=1", "", "a=[1"])
def test_an_override_that_is_no_syntax_is_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        split_overrides(["seed=1", text])
    assert f"{text!r} is not an override: " in str(error.value)
    assert "Expected KEY=VALUE" in str(error.value)


@pytest.mark.parametrize("prefix", ["+", "++", "~"])
def test_a_swept_key_cannot_be_added_or_deleted(prefix: str) -> None:
    with pytest.raises(ConfigError, match="a swept key is one that the config has"):
        split_overrides([f"{prefix}model.x=1,2"])


def test_the_entries_of_a_pasted_hydra_sweeper_block_are_a_space() -> None:
    block = {
        "model": "mlp,cnn",
        "model.dropout": "interval(0.0, 0.5)",
        "trainer.batch_size": "choice(16, 32)",
        "optimizer.learning_rate": "tag(log, interval(1e-4, 1e-1))",
    }
    assert [entry.kind for entry in space_of(block).entries] == [
        "group",
        "float",
        "choice",
        "float",
    ]
