"""A function is the same as long as its source and the plain values that it uses are."""

from __future__ import annotations

import importlib
import linecache
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from besom.python.identity import identity_of

Define = Callable[..., Any]

BUILD = """
SCALE = 2

def helper(n):
    return n + 1

def build(units=3):
    return helper(units) * SCALE
"""


@pytest.fixture
def define(tmp_path: Path) -> Define:
    """Runs code as another script's, and returns what it calls ``build``."""
    n = 0

    def run(code: str) -> Any:
        nonlocal n
        n += 1
        file = tmp_path / f"script{n}.py"
        file.write_text(code)
        module = types.ModuleType("__main__")
        exec(compile(code, str(file), "exec"), vars(module))
        return module.build

    return run


def changed(define: Define, before: str, after: str) -> str:
    return identity_of(define(after)).changed_since(identity_of(define(before)))


@pytest.mark.parametrize(
    "after",
    [
        BUILD,
        "\n\n# moved\n" + BUILD,
        BUILD.replace("return helper(units) * SCALE", "return (helper( units )*SCALE) # twice"),
        BUILD.replace("    return helper", '    """Says what it does."""\n    return helper'),
        BUILD + "\nUNUSED = 1\n",
    ],
    ids=["the same", "moved", "laid out anew", "documented", "with something else beside"],
)
def test_layout_comments_and_what_it_does_not_use_change_nothing(
    define: Define, after: str
) -> None:
    assert changed(define, BUILD, after) == ""
    assert identity_of(define(BUILD)).digest == identity_of(define(after)).digest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("* SCALE", "+ SCALE", "has changed since"),
        ("units=3", "units=4", "has changed since"),
        ("SCALE = 2", "SCALE = 5", "uses SCALE, which was 2 and is 5"),
        ("n + 1", "n + 2", "uses helper, which has changed since"),
    ],
    ids=["its code", "a default", "a value", "a function that it calls"],
)
def test_what_has_changed_is_named(define: Define, old: str, new: str, said: str) -> None:
    assert changed(define, BUILD, BUILD.replace(old, new)) == said


CLOSURE = (
    "def make(k):\n    def build(n):\n        return n * k\n    return build\nbuild = make(K)\n"
)


def test_what_it_closes_over_counts(define: Define) -> None:
    three, four = (CLOSURE.replace("K)", f"{k})") for k in (3, 4))
    assert changed(define, three, three) == ""
    assert changed(define, three, four) == "uses k, which was 3 and is 4"


CLASS = "class build:\n    width = 1\n    def __init__(self, n):\n        self.n = n\n"


def test_a_class_is_compared_as_a_whole(define: Define) -> None:
    assert changed(define, CLASS, CLASS + "    # no more\n") == ""
    assert changed(define, CLASS, CLASS.replace("width = 1", "width = 2")) == "has changed since"


def test_a_lambda_is_told_apart_from_what_stands_on_its_line(define: Define) -> None:
    line = "build, other = (lambda n: n + 1), (lambda n: n + 2)\n"
    assert changed(define, line, line.replace("n + 2", "n + 9")) == ""
    assert changed(define, line, line.replace("n + 1", "n + 9")) == "has changed since"


def test_arguments_of_a_partial_count() -> None:
    one, two = (identity_of(partial(_add, k=k)) for k in (1, 2))
    assert two.changed_since(one) == "uses argument 'k', which was 1 and is 2"


class _Maker:
    def __init__(self, k: int) -> None:
        self.k = k

    def build(self, n: int) -> int:
        return n * self.k


def test_the_attributes_of_a_methods_object_count() -> None:
    one, again, two = (identity_of(_Maker(k).build) for k in (1, 1, 2))
    assert again.changed_since(one) == ""
    assert two.changed_since(one) == "uses its attributes, which was {'k': 1} and is {'k': 2}"


def _add(n: int, k: int) -> int:
    return n + k


def test_without_source_it_cannot_be_compared() -> None:
    made = eval("lambda n: n")
    assert identity_of(made).source is None
    assert "no source to compare" in identity_of(made).changed_since(identity_of(made))


def test_a_function_of_a_module_is_what_its_file_now_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers import the file as it is, whatever this process has imported before."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "edited_models.py"
    file.write_text("def build(n):\n    return n\n")
    module = importlib.import_module("edited_models")
    before = identity_of(module.build)
    file.write_text("# a line more\n\n\ndef build(n):\n    return n + 1  # longer\n")
    linecache.checkcache()
    assert identity_of(module.build).changed_since(before) == "has changed since"
    sys.modules.pop("edited_models")
