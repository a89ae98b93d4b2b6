"""``_target_``: what it finds, and what it says when it does not."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from besom.errors import ConfigError, DataError
from besom.targets import instantiate, resolve
from besom.trust import trusting


def takes(a: int, b: int = 2, *, c: Any = None) -> tuple[Any, ...]:
    return a, b, c


def refuses(**options: Any) -> None:
    raise ValueError("no such thing")


def cannot_load() -> None:
    raise DataError("The file is gone.")


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    """What these tests name beside besom's own; what is refused is in test_trust.py."""
    names = ["datetime", "json", "os.path", "builtins", "needs_another", "breaks_on_import"]
    with trusting(names):
        yield


NOT_CALLABLE = 3
HERE = __name__


def test_a_dotted_name_is_found_in_modules_classes_and_packages() -> None:
    assert resolve("datetime.datetime.fromisoformat")("2020-01-01").year == 2020
    assert resolve("json") is __import__("json")
    assert resolve("os.path.join")("a", "b") == "a/b"


def test_nested_nodes_are_built_first() -> None:
    day = {"_target_": "datetime.timedelta", "days": 2}
    node = {"_target_": f"{HERE}.takes", "a": 1, "c": {"inside": [day, 3]}}
    assert instantiate(node) == (1, 2, {"inside": [datetime.timedelta(days=2), 3]})


def test_positional_arguments_come_before_those_of_the_node() -> None:
    assert instantiate({"_target_": f"{HERE}.takes", "_args_": [5]}, 1) == (1, 5, None)
    assert instantiate({"_target_": f"{HERE}.takes", "a": 1, "b": 3}, b=4) == (1, 4, None)


def test_a_partial_is_completed_by_its_caller() -> None:
    built = instantiate({"_target_": f"{HERE}.takes", "_partial_": True, "b": 7})
    assert isinstance(built, functools.partial)
    assert built(1) == (1, 7, None)


def test_a_partial_without_arguments_is_the_function_itself() -> None:
    assert instantiate({"_target_": f"{HERE}.takes", "_partial_": True}) is takes


def test_a_mapping_whose_keys_are_all_numbers_arrives_with_numbers() -> None:
    node = {"a": {"0": 1.0, "-1": {"10": 2}}, "b": {"0": 1, "x": 2}, "c": [{"007": 1}, {}]}
    built = instantiate({"_target_": f"{HERE}.takes", **node})
    assert built == ({0: 1.0, -1: {10: 2}}, {"0": 1, "x": 2}, [{"007": 1}, {}])


def test_the_node_is_left_as_it_was() -> None:
    node = {"_target_": f"{HERE}.takes", "a": [1], "c": {"_target_": "builtins.dict"}}
    before = repr(node)
    instantiate(node)
    assert repr(node) == before


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nosuchpackage.Thing", "no module 'nosuchpackage'"),
        ("optuna.samplers.TPESampel", "Did you mean 'TPESampler'"),
        ("optuna.samplres.TPESampler", "'optuna' has no 'samplres'"),
        ("optuna.nothing_at_all", "has no 'nothing_at_all'"),
        ("not a name", "expected a dotted name"),
        ("", "expected a dotted name"),
        (3, "expected a dotted name"),
        (None, "expected a dotted name"),
    ],
)
def test_a_target_that_cannot_be_found_says_where_it_looked(target: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        instantiate({"_target_": target})
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("node", [{}, {"a": 1}, 3, None, "optuna.samplers.TPESampler"])
def test_a_node_without_a_target_is_refused_as_given(node: Any) -> None:
    with pytest.raises(ConfigError, match="Expected a mapping with a _target_"):
        instantiate(node)


def test_an_argument_it_does_not_take_is_refused_with_near_names() -> None:
    with pytest.raises(ConfigError, match="takes no argument 'n_trail'"):
        instantiate({"_target_": f"{HERE}.takes", "a": 1, "n_trail": 2})
    with pytest.raises(ConfigError, match="Did you mean 'n_startup_trials'"):
        instantiate({"_target_": "optuna.pruners.MedianPruner", "n_startup_trial": 2})


def test_a_missing_argument_is_refused_with_the_signature() -> None:
    with pytest.raises(ConfigError, match=r"missing a required argument: 'a'.*takes\(a: "):
        instantiate({"_target_": f"{HERE}.takes"})


def test_a_refusal_of_the_target_names_what_it_was_given() -> None:
    with pytest.raises(ConfigError, match=r"refuses\(x=1\) was refused: no such thing"):
        instantiate({"_target_": f"{HERE}.refuses", "x": 1})


def test_an_error_for_the_user_passes_through_as_it_is() -> None:
    with pytest.raises(DataError, match=r"^The file is gone\.$"):
        instantiate({"_target_": f"{HERE}.cannot_load"})


def test_what_is_not_callable_is_refused() -> None:
    with pytest.raises(ConfigError, match="is a int, not callable"):
        instantiate({"_target_": f"{HERE}.NOT_CALLABLE"})


def test_a_module_that_needs_a_missing_package_names_that_package(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_another.py").write_text("import not_installed_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="needs 'not_installed_at_all'"):
        instantiate({"_target_": "needs_another.thing"})


def test_a_module_that_breaks_on_import_says_so(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaks_on_import.py").write_text("value = undefined_name\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="undefined_name"):
        instantiate({"_target_": "breaks_on_import.value"})
