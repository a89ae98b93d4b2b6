"""A user's type checker sees besom's types."""

from __future__ import annotations

import ast
import inspect
import tomllib
import typing
from importlib import resources
from pathlib import Path

import besom
import besom.api

#: Functions, classes, arrays, frames, streams, nodes of a config.
TAKES_ANYTHING = {"build", "data", "test", "nodes"}

ROOT = Path(__file__).parents[1]


def test_the_marker_that_besom_is_typed_is_part_of_the_package() -> None:
    assert resources.files("besom").joinpath("py.typed").is_file()


def test_the_wheel_takes_the_marker_along() -> None:
    """Hatch packs all of the package's folder but what is excluded, or ignored by git."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"]["packages"] == ["src/besom"]
    assert not {"exclude", "only-include"} & {*wheel, *wheel["targets"]["wheel"]}
    assert not [line for line in (ROOT / ".gitignore").read_text().split() if "typed" in line]


def test_a_type_checker_finds_every_public_function() -> None:
    """They are imported when first used; a checker reads what stands under TYPE_CHECKING."""
    tree = ast.parse(Path(besom.__file__).read_text())
    checked = [node for node in tree.body if isinstance(node, ast.If)]
    assert [ast.unparse(node.test) for node in checked] == ["TYPE_CHECKING"]
    names = {
        alias.name
        for node in checked[0].body
        if isinstance(node, ast.ImportFrom) and node.module == "besom.api"
        for alias in node.names
    }
    assert names == set(besom.__all__)


def test_every_public_function_says_what_it_takes_and_returns() -> None:
    for name in sorted({*besom.__all__} - {"Study"}):
        function = getattr(besom.api, name)
        hints = typing.get_type_hints(function)
        assert set(hints) == {*inspect.signature(function).parameters, "return"}, name
        assert {key for key, hint in hints.items() if hint is typing.Any} <= TAKES_ANYTHING, name
