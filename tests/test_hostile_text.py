"""Studies full of hostile text: every command shows them, and nothing in them does anything."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from besom.text.printable import hidden_in
from besom.text.values import read_cell
from user_project import Project

SWEEP = """
defaults:
  - sweep
  - override sweep/pruner: none
  - override sweep/sampler: random
  - _self_
sweep:
  n_trials: 8
  plots: false
  trial_function: hostile_trials.run_trial
  executor: {workers: 1, gpus: none}
  objective: {metric: "=val_accuracy \\e[31m", epoch: last, direction: maximize}
  space:
    model.dropout: {low: 0.0, high: 0.5}
    model.activation: ["=1+2", "+cmd", "@x", "[bold]b[/bold]", "[/x]", "\\e[31mred", "", "a|b"]
"""
COMMANDS = [
    *(["leaderboard", "one"], ["leaderboard", "one", "--sort", "activation"], ["list"]),
    *(["leaderboard", "one", "--format", form] for form in ("csv", "json", "md")),
    *(["ledger", "one"], ["ledger", "one", "--format", "csv"], ["ledger", "one", "--format", "md"]),
    *(["compare", "one", "two"], ["compare", "one", "two", "--format", "csv"]),
    *(["compare", "one", "two", "--format", form] for form in ("md", "json")),
    *(["diff", "one", "0", "1", "--format", form] for form in ("table", "csv", "md", "json")),
    *(
        ["export", "one"],
        ["plot", "one"],
        ["confirm", "one"],
        ["leaderboard", "\x1b[31m", "\x1b[2J"],
    ),
]


@pytest.mark.long
def test_every_command_shows_a_hostile_study_and_does_nothing_it_says(project: Project) -> None:
    project.write("sweeps/hostile.yaml", SWEEP)
    done = project.run("sweep", "hostile", "sweep.name=one")
    assert done.returncode == 0, done.stderr
    assert not hidden_in(done.stdout + done.stderr)
    # One line a trial, though their messages have two.
    assert sum(line.startswith("[") for line in done.stdout.splitlines()) == 8
    assert project.besom("sweep", "hostile", "sweep.name=two", "seed=3").exit_code == 0
    for words in COMMANDS:
        shown = project.besom(*words)
        assert shown.exit_code in (0, 2), (words, shown.output, shown.exception)
        assert not hidden_in(shown.output), words
        assert "Traceback" not in shown.output
    files = [path for path in project.root.rglob("*") if path.suffix in (".md", ".csv", ".yaml")]
    written = {path.name for path in files}
    assert {"leaderboard.md", "leaderboard.csv", "ledger.csv", "one-two.csv"} <= written
    for path in files:
        assert not hidden_in(path.read_text(encoding="utf-8")), path
    for path in (path for path in files if path.suffix == ".csv"):
        _assert_no_formula(path)
    _assert_values_come_back(project)


def _assert_no_formula(path: Path) -> None:
    for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")):
        for cell in row:
            if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
                float(cell)  # a number is no formula


def _assert_values_come_back(project: Project) -> None:
    frame = json.loads(project.besom("leaderboard", "one", "--format", "json").stdout)
    text = project.besom("leaderboard", "one", "--format", "csv").stdout
    for row, value in zip(csv.DictReader(io.StringIO(text)), frame, strict=True):
        assert read_cell(row["model.activation"]) == value["model.activation"]
