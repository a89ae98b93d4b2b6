"""Values as text: what differs never looks alike, and a CSV gives back what went in."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from besom.equality import same
from besom.report import tables
from besom.report.tables import param_cell
from besom.text.values import ABSENT, csv_text, is_plain, read_cell, read_text, value_text

LOOK_ALIKES: list[Any] = [
    *(1, 1.0, "1", "1.0", [1], ["1"], [1.0], [[1]], "[1]", True, "true", [True], None, "null"),
    *("", " ", "  ", "a", " a", "a ", "a  b", "a b", "a, b", ["a", "b"], ["a, b"], '"a"', "'a'"),
    *([64, 32], "64-32", ["64", "32"], ["64-32"], [], "[]", [[64, 32]], [[64], [32]], [-1, 2]),
    *({}, "{}", {"a": 1}, {"a": "1"}, "{a: 1}", {"a": [1]}, {"a: 1, b": 2}, {"a": 1, "b": 2}),
    *({"_target_": "keras.optimizers.Adam", "x": 1}, "Adam(x=1)", {"_target_": "my.Adam", "x": 1}),
    *("-", "?", "nan", float("inf"), "inf", "a\nb", "a\\nb", "a\tb", "\x1b[31m", "\\x1b[31m"),
    *("\u202eabc", "\\u202eabc", "abc", "\u200babc", "=1+2", "a=b", "a: b", "a:b", "`a`", "1e-3"),
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.from_regex(r"[-+=@]?[0-9a-z.,: \[\]{}\"'()-]{0,6}", fullmatch=True)
    | st.sampled_from([v for v in LOOK_ALIKES if isinstance(v, str)])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def test_values_that_differ_never_look_alike() -> None:
    texts = [value_text(value) for value in LOOK_ALIKES]
    assert sorted({text for text in texts if texts.count(text) > 1}) == []
    assert "" not in texts  # which means "does not apply"


@given(values, values)
def test_no_two_values_are_written_alike(one: Any, other: Any) -> None:
    if value_text(one) == value_text(other):
        assert same(one, other)
        assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(values)
def test_a_value_is_one_visible_line(value: Any) -> None:
    text = value_text(value)
    assert text
    assert text == text.strip()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([{"units": 512, "activation": "relu", "dropout": 0.2}], "512 relu 0.2"),
        ([{"a": 512, "b": "relu"}, {"b": "gelu", "a": 256}], "512 relu – 256 gelu"),
        ([{"a": "dense", "b": 64}, {"a": "conv", "c": [3, 5], "b": 8}], "dense 64 – conv 8 3-5"),
        ([{"a": None, "b": True}, {"a": "two words", "b": 1.0}], 'null true – "two words" 1.0'),
        ([{"a": "–"}, {"a": "null"}], '"–" – "null"'),
        ([{"a": 0.123456}], "0.1235"),
        ([], "[]"),
        ([{}], "[{}]"),
        ([64, 32], "64-32"),
        ([{"a": 1}, 3], "[{a: 1}, 3]"),
        ([{"_target_": "keras.layers.Dense", "units": 3}], "[Dense(units=3)]"),
    ],
)
def test_layers_are_shown_without_their_keys(value: Any, text: str) -> None:
    assert param_cell(value) == text


@given(values)
def test_a_csv_cell_gives_back_the_value(value: Any) -> None:
    frame = pd.DataFrame({"m.x": pd.Series([value, float("nan")], dtype=object)})
    rows = list(csv.reader(io.StringIO(tables.csv(frame, ["m.x"]), newline="")))
    found = [read_cell(row[0]) if row else ABSENT for row in rows[1:]]
    assert len(found) == 2
    assert type(found[0]) is type(value)
    assert found[0] == value
    assert found[1] is ABSENT


@given(st.text())
def test_a_csv_text_gives_back_the_text_and_is_never_a_formula(text: str) -> None:
    cell = csv_text(text)
    assert read_text(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert "\n" not in cell


@given(st.text(max_size=6) | st.sampled_from(["2026-01-01", "12:30", "0x1F", "1_000", "~", "on"]))
def test_text_without_quotes_is_text_to_yaml_too(text: str) -> None:
    if is_plain(text):
        assert yaml.safe_load(value_text(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([46, 140, 18], "46-140-18"),
        ([64], "[64]"),
        ([0.1, 0.2], "[0.1, 0.2]"),
        ("relu", "relu"),
        ("my own relu", "my own relu"),
        ("keras.losses.Huber", "keras.losses.Huber"),
        ("./data/mnist.npz", "./data/mnist.npz"),
        ("val_loss", "val_loss"),
        (-3, "-3"),
        (0.00031622776601683794, "0.0003162"),
        (0.99999, "1.0"),
        (900.0, "900.0"),
    ],
)
def test_what_is_plain_stays_plain(value: Any, text: str) -> None:
    assert param_cell(value) == text
