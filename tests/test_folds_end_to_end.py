"""Folds with real training: every example is predicted once, and the final model has seen all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from besom.store.records import StudyRecord
from besom.store.storage import load_record
from user_project import Project

pytestmark = [pytest.mark.long, pytest.mark.tensorflow, pytest.mark.timeout(300)]

SWEEP = """
defaults:
  - sweep
  - override data: digits
  - override sweep/pruner: none
  - _self_
model: {hidden_units: [16]}
trainer: {epochs: 3, batch_size: 128, patience: 2, restore_best: true}
sweep:
  n_trials: 2
  plots: false
  folds: 3
  executor: {workers: 1, gpus: none}
  space:
    optimizer.learning_rate: {type: float, low: 1.0e-3, high: 1.0e-1, log: true}
"""


@pytest.fixture(scope="module")
def folded(home: Project) -> StudyRecord:
    """Digits in three folds."""
    home.write("sweeps/folded.yaml", SWEEP)
    done = home.run("sweep", "folded")
    assert done.returncode == 0, done.stderr
    assert "1,437 training examples in 3 folds stratified by class" in done.stdout
    return load_record(home.root / "results", "folded")


def test_a_score_rests_on_every_training_example(folded: StudyRecord) -> None:
    for trial in folded.trials:
        assert trial.n_validation == 1437
        assert trial.correct is not None
        right = np.unpackbits(np.frombuffer(trial.correct, np.uint8), count=1437)
        assert right.mean() == pytest.approx(trial.value)
        assert [run["fold"] for run in trial.runs] == [0, 1, 2]


def test_predictions_are_those_that_the_score_is_made_of(
    home: Project, folded: StudyRecord
) -> None:
    said = home.done("export", "folded", "--trial", "1", "--predictions")
    assert "Training the 3 folds of trial 1 again" in said
    frame = pd.read_csv("folded.csv")
    assert list(frame["example"]) == list(range(1437))
    assert sorted(frame["fold"].unique()) == [0, 1, 2]
    assert (frame["label"] == frame["prediction"]).mean() == pytest.approx(folded.trials[1].value)


def test_a_trial_is_replayed_bit_by_bit(home: Project, folded: StudyRecord) -> None:
    assert "Trial 1 of 'folded' is bitwise equal: 4 metrics" in home.done("replay", "folded", "1")


def test_the_best_config_trains_on_all_examples_as_long_as_the_folds_found(
    home: Project, folded: StudyRecord
) -> None:
    path = Path("results/folded/best.yaml")
    assert "# Trained on all of the training part, for as many epochs" in path.read_text()
    best = yaml.safe_load(path.read_text())
    trial = folded.trials[best["source"]["trial"]]
    assert best["data"]["validation_split"] == 0
    trainer = best["trainer"]
    assert (trainer["epochs"], trainer["patience"]) == (trial.best_epoch, None)
    assert (trainer["monitor"], trainer["restore_best"]) == (None, False)
    said = home.done("train", str(path))
    assert "validation" not in said
    metrics = json.loads(Path("results/train/folded/metrics.json").read_text())
    assert set(metrics["last_epoch"]) == {"loss", "accuracy"}
    assert metrics["best_epoch"] == trial.best_epoch


def test_the_exported_model_is_trained_on_all_examples_first(
    home: Project, folded: StudyRecord
) -> None:
    import keras

    said = home.done("export", "folded", "--model")
    assert "was kept: training it again on all of the training part" in said
    model = keras.models.load_model("folded.keras")
    assert model.input_shape == (None, 8, 8)


def test_a_confirmation_on_the_test_examples_trains_as_the_final_model_is_trained(
    home: Project, folded: StudyRecord
) -> None:
    done = home.done("confirm", "folded", "--top", "1", "--seeds", "2")
    assert "measured on the test examples, each trained on all of the training part" in done
    lines = Path("results/folded/confirm/runs.jsonl").read_text().splitlines()
    for run in map(json.loads, lines):
        assert set(run["history"]) == {"loss", "accuracy"}
        assert len(run["history"]["loss"]) == folded.trials[run["trial"]].best_epoch
        assert run["numbers"]["n_test"] == 360
    refused = home.besom("confirm", "folded", "--new-split")
    assert refused.exit_code == 2
    assert "on the test examples each config is trained on all of the training" in refused.output


def test_a_series_is_predicted_from_its_past_by_folds_and_repeats(home: Project) -> None:
    rng = np.random.default_rng(0)
    load, kind = rng.normal(size=60), rng.choice(["a", "b"], 60)
    pd.DataFrame({"load": load, "kind": kind, "price": load + 0.1 * rng.normal(size=60)}).to_csv(
        "series.csv", index=False
    )
    data = ["data=csv", "data.path=series.csv", "data.target=price", "data.order=true"]
    short = ["trainer.epochs=2", "sweep.n_trials=1", "sweep.executor.workers=1"]
    several = ["sweep.folds=2", "sweep.repeats=2", "sweep.name=series"]
    done = home.run("sweep", "quickstart", "model=mlp", *data, *short, *several)
    assert done.returncode == 0, done.stderr
    assert "60 training examples in 2 folds by time" in done.stdout
    (trial,) = load_record(home.root / "results", "series").trials
    assert trial.n_validation == 40
    values: Any = [run["value"] for run in trial.runs]
    assert trial.value == pytest.approx(np.mean(values))
    assert "is bitwise equal" in home.done("replay", "series", "0")
    home.done("export", "series", "--predictions", "-o", "predicted.csv")
    assert list(pd.read_csv("predicted.csv")["example"]) == list(range(20, 60))
