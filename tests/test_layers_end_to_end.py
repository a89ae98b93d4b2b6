"""Layers with entries of their own, really trained: from the sweep to the winner run again."""

from __future__ import annotations

import itertools
import json

import pytest

from besom.config import read_yaml
from besom.store.records import Outcome
from besom.study import load_record
from user_project import Project

pytestmark = [pytest.mark.long, pytest.mark.tensorflow, pytest.mark.slow]

DEEP = """
defaults: [sweep, _self_]
model: {layers: [{units: 16, activation: relu, dropout: 0.1}]}
trainer: {epochs: 1, batch_size: 256}
sweep:
  n_trials: 4
  executor: {workers: 1}
  enqueue: [{model.layers: [{units: 32, activation: tanh, dropout: 0.0}, {units: 8}]}]
  space:
    model.layers:
      length: {low: 1, high: 3}
      each:
        units: {low: 8, high: 64, log: true}
        activation: [relu, tanh, gelu]
        dropout: {low: 0.0, high: 0.5}
"""


def test_layers_are_swept_ranked_exported_trained_and_replayed(project: Project) -> None:
    project.write("sweeps/deep.yaml", DEEP)
    swept = project.run("sweep", "deep")
    assert swept.returncode == 0, swept.stderr
    study = load_record(project.root / "results", "deep")
    assert [t.outcome for t in study.trials] == [Outcome.COMPLETE] * 4
    for trial in study.trials:
        widths = [64, *(layer["units"] for layer in trial.params["model.layers"]), 10]
        weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
        assert trial.numbers["n_params"] == weights
    rows = json.loads(project.done("leaderboard", "deep", "--format", "json"))
    assert {row["trial"]: row["model.layers"] for row in rows} == {
        t.number: t.params["model.layers"] for t in study.trials
    }
    assert "32 tanh 0.0 – 8" in project.done("leaderboard", "deep", "--format", "md")
    assert (project.root / "results/deep/plots/slices.png").is_file()

    project.done("export", "deep", "-o", "best.yaml")
    trained = project.run("train", "best.yaml")
    assert trained.returncode == 0, trained.stderr
    best = rows[0]["model.layers"]
    assert read_yaml(project.root / "results/train/deep/config.yaml")["model"]["layers"] == best
    replayed = project.run("replay", "deep", str(rows[0]["trial"]))
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
