"""The whole way with real training: swept, confirmed on the test images, replayed bit by bit."""

from __future__ import annotations

import base64
import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from besom.store.test_set_log import read_openings
from besom.study import make_plan, run_sweep

if TYPE_CHECKING:
    from user_project import Project

SWEEP = """
defaults:
  - sweep
  - override data: digits
  - override sweep/pruner: none
  - _self_
model: {hidden_units: [16]}
trainer: {epochs: 3}
sweep:
  n_trials: 2
  plots: false
  executor: {workers: 1, gpus: none}
  space:
    optimizer.learning_rate: {type: float, low: 1.0e-3, high: 1.0e-1, log: true}
"""


@pytest.mark.long
@pytest.mark.tensorflow
def test_swept_confirmed_and_replayed(project: Project, no_orphans: str) -> None:
    project.write("sweeps/tiny.yaml", SWEEP)
    run_sweep(make_plan("tiny"))
    root = project.root / "results/tiny"
    assert not (root / "test_openings.csv").exists()

    done = project.besom("confirm", "tiny", "--top", "1", "--seeds", "2")
    assert done.exit_code == 0, done.output
    assert "opened by 1 confirmation (2 configs, 2 seeds)" in " ".join(done.output.split())
    assert len(read_openings(root)) == 4
    runs = [json.loads(line) for line in (root / "confirm/runs.jsonl").read_text().splitlines()]
    assert len({run["numbers"]["test_accuracy"] for run in runs}) > 1
    assert {run["numbers"]["n_test"] for run in runs} == {360}
    for run in runs:  # a share of 360 images, and another seed than the sweep's
        assert run["numbers"]["test_accuracy"] * 360 == pytest.approx(
            round(run["numbers"]["test_accuracy"] * 360), abs=1e-3
        )
        assert run["seed"] in (1, 2)
        right = np.unpackbits(np.frombuffer(base64.b64decode(run["correct"]), np.uint8), count=360)
        assert right.mean() == pytest.approx(run["numbers"]["test_accuracy"], abs=1e-6)
    table = (root / "confirm.csv").read_text()
    row = next(csv.DictReader(table.splitlines()))
    names = ("gain_low", "fixed_gain_low", "fixed_gain_high", "gain_high")
    gain = [float(row[name]) for name in names]
    assert gain == sorted(gain)

    done = project.besom("confirm", "tiny", "--top", "1", "--seeds", "2", "--on", "validation")
    assert "4 runs already done" in done.output
    assert (root / "confirm_validation.csv").exists()
    assert (root / "confirm.csv").read_text() == table

    replayed = project.besom("replay", "tiny", "1")
    assert replayed.exit_code == 0, replayed.output
    assert "Trial 1 of 'tiny' is bitwise equal: 4 metrics over 3 epochs." in replayed.output
