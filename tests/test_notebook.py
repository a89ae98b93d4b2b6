"""docs/notebook.ipynb runs, and what its text says is what happens."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import besom
from notebook_kernel import executed, shown
from user_project import Project

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"

pytestmark = [pytest.mark.long, pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(400)]

if missing := [m for m in ("nbclient", "ipykernel") if importlib.util.find_spec(m) is None]:
    pytest.skip(f"needs {', '.join(missing)} to run a notebook", allow_module_level=True)


@pytest.fixture(scope="module")
def cells(home: Project) -> list[dict[str, Any]]:
    return executed(NOTEBOOK, home.root)


def cell_with(cells: list[dict[str, Any]], text: str) -> dict[str, Any]:
    """The first cell with this in its source."""
    return next(cell for cell in cells if text in "".join(cell["source"]))


def test_the_sweep_of_a_function_shows_its_progress_and_then_the_leaderboard(
    cells: list[dict[str, Any]],
) -> None:
    page = shown(cell_with(cells, "n_trials=3"), "text/html")
    assert '<pre class="besom">' in page
    assert "3/3" in page
    assert "digits-notebook: best val_accuracy" in page
    assert "hidden" not in page
    assert "<th>units</th>" in page


def test_no_cell_but_the_one_that_is_refused_prints_to_stderr(cells: list[dict[str, Any]]) -> None:
    for cell in cells:
        assert not [o for o in cell["outputs"] if o.get("name") == "stderr"], cell["outputs"]


def test_the_best_model_predicts_in_the_notebook(cells: list[dict[str, Any]]) -> None:
    assert "model.units" in shown(cell_with(cells, "study.best.params"))
    text = shown(cell_with(cells, "best_model()"))
    assert float(text.split("%")[0].strip("'")) > 30


def test_frames_and_figures_are_shown_as_such(cells: list[dict[str, Any]]) -> None:
    assert "<table" in shown(cell_with(cells, "study.leaderboard()"), "text/html")
    assert "complete" in shown(cell_with(cells, "study.dataframe()"), "text/html")
    assert shown(cell_with(cells, "study.plot"), "image/png")


def test_the_same_call_goes_on_and_a_changed_function_is_refused_in_one_line(
    cells: list[dict[str, Any]],
) -> None:
    assert shown(cell_with(cells, "len(study.trials)")).endswith("5")
    (refusal,) = [o for o in cell_with(cells, "Dropout")["outputs"] if o["output_type"] == "error"]
    (line,) = refusal["traceback"]
    assert "build has changed since" in line
    assert "fresh=True" in line
    assert "name='digits-notebook-2'" in line


def test_the_command_line_reads_what_the_notebook_made(
    home: Project, cells: list[dict[str, Any]]
) -> None:
    study = besom.load_study("digits-notebook")
    assert len(study.complete) == 5
    assert repr(study) in [shown(cells[-1])]
    assert "units" in home.done("leaderboard", "digits-notebook", "--format", "md")
