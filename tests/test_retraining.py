"""A model that was not kept is trained again in a worker; what cannot be is said in a sentence."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import besom
from besom.errors import StudyError
from besom.rerun.retraining import model_file
from user_project import Project

pytestmark = pytest.mark.usefixtures("no_orphans")

TRIALS = """
from pathlib import Path
from besom.seam import TrialResult

def run(config, report):
    lr = config["optimizer"]["learning_rate"]
    report(1, {"val_accuracy": lr})
    order = config.get("orders", {}).get("save_model")
    if order and lr > 1e-9:
        Path(order["path"]).write_text(f"trained with {lr}")
    return TrialResult(history={"val_accuracy": [lr]}, best_epoch=1)

def silent(config, report):
    return run({**config, "orders": {}}, report)
"""


def study_by(project: Project, function: str) -> besom.Study:
    project.write("mine.py", TRIALS)
    words = [f"sweep.trial_function=mine.{function}", "sweep.n_trials=2", "sweep.keep_models=0"]
    return besom.sweep("cheap", words)


def test_the_trials_own_config_is_trained_and_nothing_of_it_stays(project: Project) -> None:
    study, said = study_by(project, "run"), []
    assert not study.paths.models.exists()
    with model_file(study, study.best, study.paths, said.append) as path:
        assert path.suffix == ".keras"
        trained = path.read_text()
    assert trained == f"trained with {study.best.params['optimizer.learning_rate']}"
    assert said == [
        f"No model of trial {study.best.number} of cheap was kept: training it again (1 epoch)."
    ]
    assert not list(study.paths.root.glob(".*"))
    assert besom.load_study("cheap") == study


def test_a_trial_function_that_writes_no_model_is_named(project: Project) -> None:
    study = study_by(project, "silent")
    with pytest.raises(StudyError, match=r"mine\.silent wrote no model to config\['orders'\]"):
        study.best_model()
    assert not list(study.paths.root.glob(".*"))


@pytest.mark.tensorflow
def test_a_class_that_keras_cannot_load_is_refused_with_what_it_lacks(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    class Net(keras.Model):
        def __init__(self, units: int = 8) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    Net.__module__ = "__main__"
    monkeypatch.setattr(sys.modules["__main__"], "Net", Net, raising=False)
    study = study_by(project, "run")
    kept = study.paths.model(study.best.number)
    kept.parent.mkdir()
    net = Net()
    net(np.zeros((1, 2), "float32"))
    net.save(kept)
    with pytest.raises(StudyError, match=r"unexpected keyword argument 'trainable'.*\*\*kwargs"):
        study.best_model()
