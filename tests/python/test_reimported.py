"""A function of a user's module that was edited since it was imported is the one in the file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from besom.errors import ConfigError
from besom.python.functions import given_function
from besom.python.reimported import as_in_file
from user_project import Project

FIRST = "def build(units=8):\n    return units\n"


@pytest.fixture
def mine(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's module, imported."""
    monkeypatch.syspath_prepend(str(project.root))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # edits come within one second here
    project.write("my_models.py", FIRST)
    importlib.invalidate_caches()
    yield importlib.import_module("my_models")
    del sys.modules["my_models"]


def test_what_has_not_changed_and_what_has_no_module_of_its_own_stays(mine: Any) -> None:
    for thing in (mine.build, np.mean, dict, lambda: 1, np.zeros(3), "quickstart", None):
        assert as_in_file(thing) is thing


def test_an_edited_function_has_its_new_parameters(project: Project, mine: Any) -> None:
    old = mine.build
    project.write("my_models.py", FIRST.replace("units=8", "units=8, dropout=0.25"))
    new = as_in_file(old)
    assert new.__defaults__ == (8, 0.25)
    assert new is mine.build
    assert as_in_file(old) is new  # a second call imports nothing
    pickled = given_function(old, "model").content
    assert b"my_models" in pickled
    assert len(pickled) < 200  # by its name: the workers import the file


def test_an_edited_class_and_its_helpers_are_the_new_ones(project: Project, mine: Any) -> None:
    text = "class Model:\n    def size(self):\n        return {n}\n"
    project.write("my_models.py", text.format(n=1))
    old = importlib.reload(mine).Model
    project.write("my_models.py", text.format(n=234))
    assert as_in_file(old)().size() == 234


def test_a_file_that_cannot_be_imported_or_lacks_the_function_is_refused(
    project: Project, mine: Any
) -> None:
    old = mine.build
    project.write("my_models.py", "def build(:\n")
    with pytest.raises(ConfigError, match="my_models has changed and cannot be imported again"):
        as_in_file(old)
    project.write("my_models.py", "other = 1\n")
    with pytest.raises(ConfigError, match=r"build is no longer in .*my_models\.py"):
        as_in_file(old)
