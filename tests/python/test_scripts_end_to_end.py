"""A script whose functions are in ``__main__`` sweeps, and the commands go on from there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from user_project import Project

pytestmark = [pytest.mark.long, pytest.mark.tensorflow]

SCRIPT = """
import json, sys
import numpy as np
import besom

WIDTH = 8

def block(x, units, activation):
    import keras
    return keras.layers.Dense(units, activation=activation)(x)

def build(input_shape, num_classes, units, activation="relu", dropout=0):
    import keras
    inputs = keras.Input(input_shape)
    x = keras.layers.Dropout(dropout)(block(inputs, units, activation))
    return keras.Model(inputs, block(block(x, WIDTH, "relu"), num_classes, "softmax"))

def loss(y_true, y_pred):
    import keras
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    test = x[:60], y[:60]
    study = besom.sweep(
        build, data=(x[60:], y[60:]), test=test, n_trials=4,
        space={"units": (4, 32, "log"), "activation": ["relu", "tanh"], "dropout": (0.0, 0.2),
               "optimizer.learning_rate": (1e-3, 1e-1, "log")},
        trainer={"epochs": 2, "loss": loss}, executor={"workers": 2, "gpus": "none"},
    )
    run = besom.train(
        build, data=(x[60:], y[60:]), test=test, params=study.complete[1].params,
        trainer={"epochs": 3}, name="final",
    )
    print(json.dumps({
        "trials": len(study.complete), "params": sorted(study.complete[1].params),
        "epochs": len(run.history["val_accuracy"]), "test": sorted(run.test),
        "tensorflow": "tensorflow" in sys.modules,
    }))
"""


@pytest.fixture(scope="module")
def made(home: Project) -> dict[str, Any]:
    """What the script said, in a folder that has its results."""
    home.write("script.py", SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_a_script_sweeps_and_trains_functions_of_its_own_without_tensorflow(
    made: dict[str, Any],
) -> None:
    names = ["model.activation", "model.dropout", "model.units", "optimizer.learning_rate"]
    assert made == {
        "trials": 4,
        "params": names,
        "epochs": 3,
        "test": ["accuracy", "loss"],
        "tensorflow": False,
    }


def test_its_study_is_replayed_and_confirmed_on_the_sealed_test_part(
    home: Project, made: dict[str, Any]
) -> None:
    assert "bitwise equal" in home.done("replay", "build", "1")
    words = ("--top", "1", "--seeds", "2", "executor.workers=1")
    said = home.done("confirm", "build", *words)
    assert "60 test examples" in said


def test_its_best_config_and_its_runs_are_trained_again_by_the_command(
    home: Project, made: dict[str, Any]
) -> None:
    home.done("export", "build", "-o", "elsewhere.yaml")
    for config in ("elsewhere.yaml", "results/train/final/config.yaml"):
        said = home.run("train", config, "trainer.epochs=1")
        assert "Test loss" in said.stdout, said.stderr
    again = home.root / "results/train/final-2"
    assert (again / "from_python/given.json").exists()  # so it can be trained once more


def test_another_version_of_the_script_is_refused(home: Project, made: dict[str, Any]) -> None:
    home.write("script.py", SCRIPT.replace("WIDTH = 8", "WIDTH = 16"))
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert "build uses WIDTH, which was 8 and is 16" in done.stderr.splitlines()[-1]


def test_a_class_from_a_notebook_and_a_failing_function_have_their_say(home: Project) -> None:
    code = """
import numpy as np, keras, besom

class Net(keras.Model):
    def __init__(self, units=8, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(units, activation=activation)
        self.out = keras.layers.Dense(1)
    def call(self, x):
        return self.out(self.hidden(x))

x = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
study = besom.sweep(Net, data=(x, x[:, 0]), space={"units": (2, 16)}, n_trials=2,
                    trainer={"epochs": 1}, executor={"workers": 1, "gpus": "none"})
print(study.name, len(study.complete), study.objective.metric)

def broken(units=3):
    raise ValueError("no such layer")

try:
    besom.sweep(broken, data=(x, x[:, 0]), space={"units": (2, 16)}, n_trials=2)
except Exception as error:
    print(error)
"""
    home.write("net.py", code)
    done = subprocess.run([sys.executable, "net.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.strip().splitlines()
    assert first == "Net 2 val_loss"
    assert "no such layer" in " ".join(rest)
