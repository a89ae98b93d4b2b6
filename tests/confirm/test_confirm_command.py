"""``besom confirm`` as a person meets it: killed, stopped, resumed, and refused in one message."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confirm_world import runs_in

from besom.study import make_plan, run_sweep
from user_project import wait_for

if TYPE_CHECKING:
    from user_project import Project

SWEEP = """
defaults:
  - sweep
  - override sweep/pruner: none
  - override sweep/sampler: random
  - _self_
model: {quality: 0.5, noise: 0.005}
trainer: {epochs: 2, seconds: 0.0, trace: null}
sweep:
  n_trials: 4
  plots: false
  trial_function: confirm_trials.noisy
  executor: {workers: 2, gpus: none}
  space:
    model.quality: {type: float, low: 0.8, high: 0.9}
"""


@pytest.fixture
def swept(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with the study ``noisy``, swept; its runs take their time and leave a trace."""
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", here, prepend=":")
    project.write("sweeps/noisy.yaml", SWEEP)
    run_sweep(make_plan("noisy", ["trainer.seconds=0.1", f"trainer.trace={project.root}/trace"]))
    (project.root / "trace").unlink()
    return project


def test_a_killed_confirmation_goes_on_where_it_was(swept: Project, no_orphans: str) -> None:
    trace = swept.root / "trace"
    words = ("confirm", "noisy", "--on", "validation", "--seeds", "4", "--no-race")
    process = swept.spawn(*words)
    wait_for(lambda: len(runs_in(trace, "end")) >= 6, "six runs to end")
    process.kill()
    process.communicate()
    lines = (swept.root / "results/noisy/confirm/runs.jsonl").read_bytes().count(b"\n")
    assert 4 <= lines < 16
    done = swept.run(*words)
    assert done.returncode == 0, done.stderr
    assert f"{lines} runs already done" in done.stdout
    ended = runs_in(trace, "end")
    assert len(set(ended)) == 16
    assert len(ended) - 16 <= 2  # what two workers had in hand
    assert "noisy: trial" in done.stdout
    root = swept.root / "results/noisy"
    written = {path.name for path in root.iterdir()}
    assert written >= {f"confirm_validation.{kind}" for kind in ("csv", "md", "png")}
    assert not (root / "test_openings.csv").exists()


@pytest.mark.long
def test_a_stopped_confirmation_reports_what_it_has_and_exits_130(
    swept: Project, no_orphans: str
) -> None:
    trace = swept.root / "trace"
    process = swept.spawn("confirm", "noisy", "--on", "validation", "--seeds", "6", "--no-race")
    wait_for(lambda: len(runs_in(trace, "end")) >= 5, "five runs to end")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Stopped: SIGINT received." in out
    assert "so far (" in out
    assert "to run), trial" in (swept.root / "results/noisy/confirm_validation.md").read_text()


REFUSED = {
    "no such study": (["noisi"], "There is no study 'noisi'", "Did you mean 'noisy'"),
    "no such trial": (["noisy", "--trial", "9", "--on", "validation"], "no finished trial 9", ""),
    "top 0": (["noisy", "--top", "0"], "--top is 0", "at least 1"),
    "one seed": (["noisy", "--seeds", "1"], "--seeds is 1", "at least 2"),
    "a function of one's own": (["noisy"], "confirm_trials.noisy", "--on validation"),
    "a foreign word": (
        ["noisy", "model.noise=0", "--on", "validation"],
        "model.noise=0",
        "executor",
    ),
    "a foreign option": (["noisy", "--fast"], "There is no option '--fast'", ""),
    "no such executor": (
        ["noisy", "--on=validation", "executor.worker=2"],
        "no argument 'worker'",
        "",
    ),
}


def test_what_cannot_be_done_is_one_message_and_exit_code_2(swept: Project) -> None:
    before = swept.results()
    for words, said, advice in REFUSED.values():
        done = swept.besom("confirm", *words)
        assert done.exit_code == 2, (words, done.output)
        assert said in done.output, words
        assert advice in done.output, words
        assert "Traceback" not in done.output
    left = {path for path in swept.results() if path not in before}
    assert left <= {"results/noisy/confirm", "results/noisy/confirm/runs.jsonl"}


def test_quiet_prints_nothing_and_the_second_time_nothing_runs(swept: Project) -> None:
    words = ("confirm", "noisy", "--on", "validation", "--seeds", "2", "--top", "1", "--quiet")
    for _ in range(2):
        done = swept.besom(*words)
        assert (done.exit_code, done.output) == (0, "")
    assert len(runs_in(swept.root / "trace")) == 4


@pytest.mark.long
def test_a_report_is_written_again_and_its_place_is_said(swept: Project) -> None:
    page = swept.root / "results/noisy/report.html"
    page.write_text("older")
    done = swept.besom("confirm", "noisy", "--on", "validation", "--seeds", "2", "--top", "1")
    assert "To see all of it in a browser: results/noisy/report.html" in done.output
    assert 'id="confirmed"' in page.read_text()
