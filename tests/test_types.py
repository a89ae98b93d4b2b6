"""A user's type checker sees besom's types."""

from __future__ import annotations

import ast
import tomllib
import typing
from importlib import resources
from pathlib import Path

import besom
import besom.api

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
    for name in besom.__all__:
        function = getattr(besom.api, name)
        hints = typing.get_type_hints(function)
        code = function.__code__
        named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        assert set(hints) == {*named, "return"}, name
        assert typing.Any not in hints.values(), name
