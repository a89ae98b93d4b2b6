"""The tutorial's pictures, outputs and numbers are those of the real run that is committed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def tool() -> ModuleType:
    """``tools/tutorial.py``, which is no package."""
    spec = importlib.util.spec_from_file_location("tutorial_tool", ROOT / "tools/tutorial.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = tool()
TEXT = TOOL.PAGE.read_text()


def kept() -> str:
    """Everything that is kept of the run, as one text."""
    return "\n".join(path.read_text() for path in sorted(TOOL.KEPT.iterdir()))


def test_each_picture_is_shown_and_is_there() -> None:
    shown = set(re.findall(r"\]\(tutorial/(\S+)\)", TEXT))
    assert shown == {path.name for path in TOOL.PICTURES.iterdir()}
    assert all((TOOL.PICTURES / name).stat().st_size < 150_000 for name in shown)


def test_each_output_is_what_the_command_printed() -> None:
    outputs = TOOL.shown(TEXT)
    assert outputs
    for name, output in outputs.items():
        printed = (TOOL.KEPT / name).read_text().splitlines()
        known = {line.rstrip() for line in printed} | {"..."}
        strange = [line for line in output.splitlines() if line not in known]
        assert not strange, name


def test_each_accuracy_and_gain_on_the_page_was_measured() -> None:
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    said = re.findall(r"\d+\.\d\d(?= %| points| to)", prose)
    numbers = [float(text) for text in re.findall(r"\d+\.\d+", kept())]
    measured = {f"{n:.2f}" for n in numbers} | {f"{100 * n:.2f}" for n in numbers if n < 1}
    assert said
    assert [number for number in said if number not in measured] == []


def test_the_sweep_on_the_page_is_the_packaged_one() -> None:
    named = "# sweeps/tutorial.yaml\n"
    (on_page,) = (block for _, block in TOOL.fences(TEXT) if block.startswith(named))
    packaged = (ROOT / "sweeps/tutorial.yaml").read_text()
    header = next(i for i, c in enumerate(packaged.splitlines()) if not c.startswith("#"))
    assert on_page.removeprefix(named).splitlines() == packaged.splitlines()[header:]


@pytest.mark.parametrize("sweep", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda p: p.stem)
def test_each_packaged_sweep_says_what_confirm_found_of_its_winner(sweep: Path) -> None:
    header = re.match(r"(?:#.*\n)+", sweep.read_text())
    assert header is not None
    assert "besom confirm" in header[0]
    assert f"| `{sweep.stem}` |" in (ROOT / "docs/guide/sweeps.md").read_text()


def test_what_is_kept_names_no_folder_of_the_machine_it_was_made_on() -> None:
    assert re.findall(r"(?<![\w.])/(?:root|home|tmp|work)/\S*", kept()) == []


@pytest.mark.parametrize("command", ["train", "sweep", "leaderboard", "confirm", "export"])
def test_the_page_goes_from_one_run_to_a_confirmed_winner(command: str) -> None:
    assert command in {words[0] for words in TOOL.commands(TEXT)}
