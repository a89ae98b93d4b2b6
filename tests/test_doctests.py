"""The examples (``>>>``) in the package's docstrings run, and the main classes have one."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import besom

SOURCE = Path(besom.__file__).parent

#: What opens with an example that runs: the module, and the class or function in it.
DEMANDED = {
    "besom.space": "Space",
    "besom.executors.base": "Executor",
    "besom.statistics": "claim",
    "besom.study.coordinator": "Coordinator",
}

#: Parts whose examples may load TensorFlow.
HEAVY = ("besom.training",)


def _modules_with_examples() -> list[str]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        if ">>> " in path.read_text():
            parts = path.relative_to(SOURCE.parent).with_suffix("").parts
            found.append(".".join(part for part in parts if part != "__init__"))
    return found


def _marked(module: str) -> object:
    marks = [pytest.mark.tensorflow] if module.startswith(HEAVY) else []
    return pytest.param(module, marks=marks)


@pytest.mark.parametrize("module", [_marked(name) for name in _modules_with_examples()])
def test_the_examples_in_the_docstrings_run(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what an example writes is left nowhere
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(module), optionflags=options)
    assert result.attempted > 0, f"{module} has >>> outside of a docstring"
    assert result.failed == 0, "see the output above"


@pytest.mark.parametrize("module", sorted(DEMANDED))
def test_a_main_class_opens_with_an_example(module: str) -> None:
    documented = getattr(importlib.import_module(module), DEMANDED[module])
    home = importlib.import_module(documented.__module__)
    text = f"{home.__doc__}\n{documented.__doc__}"
    examples = doctest.DocTestParser().get_examples(text)
    assert examples, f"{module}.{DEMANDED[module]} shows no example"
