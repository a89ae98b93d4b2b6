"""What a sweep called from Python shows while it runs, and how it is stopped."""

from __future__ import annotations

import importlib.util
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import besom
from besom.store.records import Outcome
from notebook_kernel import stopped_and_run_again
from user_project import Project

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

SWEEP = 'import besom; besom.sweep("cheap", ["sweep.n_trials=3"]{more})'


def script(more: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SWEEP.format(more=more)], capture_output=True, text=True, check=False
    )


def on_a_terminal(more: str = "") -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP.format(more=more)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux's way to say that nobody writes any more
            piece = b""
        if not piece:
            break
        written += piece
    os.close(ours)
    assert process.wait() == 0, written.decode()
    return written.decode()


@pytest.mark.long
def test_a_script_whose_output_is_no_terminal_prints_nothing() -> None:
    done = script()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.long
def test_progress_true_prints_one_line_per_trial_where_there_is_no_terminal() -> None:
    done = script(", progress=True")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "cheap: 3 trials, 1 worker"
    assert [line[:5] for line in lines[1:]] == ["[1/3]", "[2/3]", "[3/3]"]


@pytest.mark.long
def test_a_terminal_shows_a_panel_unless_told_not_to() -> None:
    assert "/3" in on_a_terminal()
    assert on_a_terminal(", fresh=True, progress=False") == ""


@pytest.mark.skipif(
    importlib.util.find_spec("ipykernel") is None, reason="needs ipykernel to run a cell"
)
def test_the_stop_button_ends_the_sweep_in_good_order_and_the_same_cell_goes_on(
    project: Project,
) -> None:
    cell = (
        "import besom\n"
        'besom.sweep("cheap", ["sweep.n_trials=6", "trainer.seconds=0.3", "trainer.trace=trace"])'
    )
    stopped, again = stopped_and_run_again(cell, project.root / "trace", project.root)
    assert stopped["ename"] == "KeyboardInterrupt"
    assert "the same call continues the sweep" in (stopped["evalue"] or "")
    assert again["status"] == "ok", again
    study = besom.load_study("cheap")
    assert [t.outcome for t in study.trials] == [Outcome.COMPLETE] * 6
    assert Path("results/cheap/leaderboard.md").is_file()


@pytest.mark.long
def test_a_module_that_changed_between_two_calls_is_the_new_one_in_the_workers(
    project: Project,
) -> None:
    """Also where the caller has imported the old one."""
    trial = """
from besom.seam import TrialResult

def run(config, report):
    report(1, {{"val_accuracy": {value}}})
    return TrialResult(history={{"val_accuracy": [{value}]}}, best_epoch=1)
"""
    code = f"""
import pathlib, besom
file = pathlib.Path("mine.py")
words = ["sweep.trial_function=mine.run", "sweep.n_trials=1"]
for value in ("0.25", "0.8125"):
    file.write_text({trial!r}.format(value=value))
    import mine
    print(besom.sweep("cheap", words, fresh=True).best.value)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["0.25", "0.8125"], "")
