"""Tasks besides classification from end to end: sweep, export, retrain, replay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from besom.store.records import Outcome
from besom.study import load_record
from user_project import Project

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(240)]

DATA = """
import numpy as np
from besom.training.data import Dataset

numbers = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")

def part(split, *arrays):
    rows = slice(0, 150) if split == "train" else slice(150, 200)
    return [array[rows] for array in arrays]

def table(split):
    town = np.where(numbers[:, :1] > 0, "Oslo", "Rome").astype(object)
    bought = (numbers[:, 0] + numbers[:, 1] > 1).astype("float32")
    age, size, town, bought = part(split, numbers[:, :1], numbers[:, 1:], town, bought)
    return Dataset(x={"age": age, "size": size, "town": town}, y=bought, name="table")

def stream(split):
    import tensorflow as tf

    x, y = part(split, numbers, numbers @ np.arange(3, dtype="float32"))
    batches = tf.data.Dataset.from_tensor_slices((x, y))
    if split == "test":
        return Dataset(x=batches.batch(16), name="stream")
    held = batches.skip(110).batch(16)
    return Dataset(x=batches.take(110).shuffle(50).batch(16), x_validation=held, name="stream")
"""
MODELS = """
import keras

layers = keras.layers

def table(input_shape, units=4):
    inputs = {
        name: keras.Input(shape, name=name, dtype="string" if name == "town" else "float32")
        for name, shape in input_shape.items()
    }
    lookup = layers.StringLookup(vocabulary=["Oslo", "Rome"], output_mode="one_hot")
    parts = [lookup(each) if name == "town" else each for name, each in inputs.items()]
    hidden = layers.Dense(units, activation="relu")(layers.Concatenate()(parts))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))

def stream(input_shape, training_x, units=4):
    scaled = layers.Normalization()
    scaled.adapt(training_x)
    hidden = layers.Dense(units, activation="relu")
    return keras.Sequential([keras.Input(input_shape), scaled, hidden, layers.Dense(1)])
"""
SWEEP = """
defaults:
  - sweep
  - override model: mine_{job}
  - override data: mine_{job}
  - _self_
trainer: {{epochs: 2, batch_size: 16{trainer}}}
sweep:
  n_trials: 2
  objective: {{metric: {metric}}}
  executor: {{workers: 1}}
  space:
    model.units: {{low: 2, high: 8}}
"""
CLASS_WEIGHTS = (
    ", class_weight: balanced, metrics: [accuracy, {_target_: keras.metrics.AUC, name: auc}]"
)


@pytest.mark.parametrize(
    ("job", "metric", "trainer"),
    [
        ("table", "val_auc", CLASS_WEIGHTS),
        pytest.param("stream", "val_mae", "", marks=pytest.mark.long),
    ],
)
def test_a_job_is_swept_exported_retrained_and_replayed(
    project: Project, job: str, metric: str, trainer: str
) -> None:
    project.write("mine_data.py", DATA)
    project.write("mine_models.py", MODELS)
    project.write(f"conf/data/mine_{job}.yaml", f"_target_: mine_data.{job}\n")
    project.write(f"conf/model/mine_{job}.yaml", f"_target_: mine_models.{job}\nunits: 4\n")
    sweep = SWEEP.format(job=job, metric=metric, trainer=trainer)
    project.write("sweeps/job.yaml", sweep)
    done = project.run("sweep", "job")
    assert done.returncode == 0, done.stderr
    study = load_record(Path("results"), "job")
    assert [trial.outcome for trial in study.trials] == [Outcome.COMPLETE] * 2
    assert all(trial.history[metric] for trial in study.trials)
    assert project.run("export", "job", "--trial", "1", "-o", "best.yaml").returncode == 0
    trained = project.run("train", "best.yaml", "name=again")
    assert trained.returncode == 0, trained.stderr
    measured = json.loads(Path("results/train/again/metrics.json").read_text())
    last = study.trials[1].history[metric][-1]
    assert measured["last_epoch"][metric] == pytest.approx(last, rel=1e-5)
    assert set(measured["test"]) >= {"loss", metric.removeprefix("val_")}
    replayed = project.run("replay", "job", "1")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_an_objective_that_the_task_does_not_measure_is_refused_with_one_that_it_does(
    project: Project,
) -> None:
    project.write("mine_data.py", DATA)
    project.write("mine_models.py", MODELS)
    project.write("conf/data/mine_stream.yaml", "_target_: mine_data.stream\n")
    project.write("conf/model/mine_stream.yaml", "_target_: mine_models.stream\nunits: 4\n")
    project.write("sweeps/job.yaml", SWEEP.format(job="stream", metric="val_accuracy", trainer=""))
    done = project.run("sweep", "job")
    assert done.returncode == 2
    assert "which no trial reports" in done.stderr
    assert "sweep.objective.metric=val_loss" in done.stderr
    assert not Path("results/job").exists()
