"""What a killed process leaves half-written is gone after the next run, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sweeping import assert_whole, sweep

from besom.store.paths import StudyPaths, remove_leftovers, temporary_prefix, write_atomically
from user_project import Project, wait_for

#: A sweep that hangs in the middle of writing its leaderboard.
HANGING = """
import os, time
os.fsync = lambda descriptor: time.sleep(600)
from besom.cli import main
main()
"""


def hidden(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


@pytest.mark.usefixtures("no_orphans")
def test_a_sweep_killed_while_it_wrote_leaves_nothing_after_its_resume(project: Project) -> None:
    folder = StudyPaths.of(project.root / "results", "cheap").root
    words = ("sweep", "cheap", "sweep.n_trials=2")
    swept = subprocess.Popen([sys.executable, "-c", HANGING, *words], stdout=subprocess.DEVNULL)
    wait_for(lambda: hidden(folder), "the leaderboard to be begun")
    swept.send_signal(signal.SIGKILL)
    swept.wait()
    (left,) = hidden(folder)
    assert left.startswith(f".leaderboard.csv.{swept.pid}-")
    sweep("sweep.n_trials=2")
    assert_whole(2)
    assert hidden(folder) == []


@pytest.mark.parametrize(
    "name",
    [
        "models/.partial-trial-3.keras",
        "checkpoints/.trial-3.partial",
        "confirm/.test.md.4194305-abcdefgh",  # no such process can be
    ],
)
def test_leftovers_are_removed_wherever_they_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("half")
    remove_leftovers(tmp_path)
    assert hidden(tmp_path) == []


def test_a_folder_that_was_never_finished_is_removed_whole(tmp_path: Path) -> None:
    (tmp_path / ".mnist-mlp.4194305-abcdefgh" / "plots").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    "name", [".DS_Store", ".gitignore", ".leaderboard.md.swp", ".notes.markdown", ".nfs000000abc"]
)
def test_hidden_files_of_others_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert hidden(tmp_path) == [name]


def test_what_a_live_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    parent = tmp_path / f".history.png.{os.getppid()}-abcdefgh"
    parent.touch()
    remove_leftovers(tmp_path)
    assert parent.exists()


def test_a_temporary_file_says_which_process_writes_it(tmp_path: Path) -> None:
    assert temporary_prefix(tmp_path / "x.csv") == f".x.csv.{os.getpid()}-"
    write_atomically(tmp_path / "x.csv", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
