"""``besom study import`` of a folder: what Ray Tune or KerasTuner has found is not lost.

The folders here are written in the shape of the real ones; tests/migration runs the tuners.
"""

from __future__ import annotations

import json
import os

import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sweeping import RESULTS, stored, sweep

from besom.store.imported_params import ImportedParams
from besom.store.records import Origin, Outcome
from besom.store.storage import study_names
from tuner_folders import keras_tuner_project, ray_experiment, ray_trial
from user_project import Project

pytestmark = pytest.mark.usefixtures("project")

#: What the parameters of both folders stand for in the sweep ``cheap``.
PATHS = ("--param", "lr=optimizer.learning_rate", "--param", "dropout=model.dropout")


def test_an_experiment_of_ray_tune_s_is_all_there(project: Project) -> None:
    ray_experiment(project.root / "ray/mlp")
    said = project.done("study", "import", "old", "--from", "ray/mlp", *PATHS)
    assert said.startswith(
        "old: 7 trials (3 complete, 1 pruned, 1 diverged, 1 error, 1 unfinished); "
        "val_accuracy is maximized."
    )
    study = stored("old")
    rates = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.0001]
    assert [t.params["optimizer.learning_rate"] for t in study.trials] == rates
    first, stopped, failed, short, running, diverged, _ = study.trials
    assert first.params == {
        "optimizer.learning_rate": 0.01,
        "model.dropout": 0.1,
        "optimizer": "adam",
    }
    assert first.value == 0.8, "the last value counts, as in Ray"
    assert first.history == {"val_accuracy": [0.5, 0.9, 0.8]}
    assert first.numbers == {"loss": pytest.approx(1 / 3)}
    assert first.seconds == 6.0
    assert stopped.outcome is Outcome.PRUNED
    assert stopped.reason == "Ray Tune stopped it after 1 of 3 results"
    assert (failed.outcome, failed.reason) == (Outcome.ERROR, "ValueError: broken")
    assert (short.outcome, short.value) == (Outcome.COMPLETE, 0.6), "it ended by itself"
    assert running.outcome is Outcome.RUNNING
    assert diverged.outcome is Outcome.DIVERGED
    assert first.distributions["optimizer.learning_rate"] == FloatDistribution(
        0.0001, 0.06, log=True
    )


def test_what_never_changes_was_not_sampled_where_a_searcher_got_the_whole_config(
    project: Project,
) -> None:
    root = project.root / "ray"
    root.mkdir()
    rows = []
    for number in (1, 2):
        config = {"lr": 0.1 * number, "units": [64] * number, "depth": 3, "deep": {"batch": 32}}
        row = json.loads(ray_trial(root, number, config, [0.5])[0])
        row["evaluated_params"] = {k: config[k] for k in ("lr", "units", "depth")}
        row["evaluated_params"]["deep/batch"] = 32
        rows.append([json.dumps(row), "{}"])
    state = {"trial_data": rows, "runner_data": {"_metric": "val_accuracy", "_start_time": 1.8e9}}
    (root / "experiment_state-1.json").write_text(json.dumps(state))
    project.done("study", "import", "old", "--from", "ray")
    assert [t.params for t in stored("old").trials] == [
        {"lr": 0.1, "units": [64]},
        {"lr": 0.2, "units": [64, 64]},
    ]


def test_a_project_of_keras_tuner_s_is_all_there(project: Project) -> None:
    keras_tuner_project(project.root / "kt/tuned")
    lists = ["--param", "layers=model.hidden_units.length"]
    lists += ["--param", "units_{i}=model.hidden_units.{i}"]
    said = project.done("study", "import", "old", "--from", "kt/tuned", *PATHS, *lists)
    assert said.startswith(
        "old: 5 trials (3 complete, 1 error, 1 unfinished); val_accuracy is maxim"
    )
    study = stored("old")
    assert [t.value for t in study.trials] == [0.8, 0.9, None, None, 0.7]
    first, _, failed, *_ = study.trials
    assert first.params == {
        "optimizer.learning_rate": 0.001,
        "model.dropout": 0.30000000000000004,
        "model.hidden_units": [64, 32],
        "activation": "tanh",
        "flag": True,
    }
    assert first.numbers == {"val_loss": 1.0}
    assert first.history == {}, "the best epoch alone is no curve"
    assert failed.reason == "ValueError: broken"
    assert first.distributions == {
        "optimizer.learning_rate": FloatDistribution(1e-4, 0.1, log=True),
        "model.dropout": FloatDistribution(0.1, 0.5, step=0.1),
        "model.hidden_units.length": IntDistribution(1, 3),
        "model.hidden_units.0": IntDistribution(8, 64, step=8),
        "model.hidden_units.1": IntDistribution(8, 64, step=8),
        "activation": CategoricalDistribution(["relu", "tanh"]),
        "flag": CategoricalDistribution([True, False]),
    }


def test_what_hyperband_did_not_train_on_is_pruned(project: Project) -> None:
    keras_tuner_project(project.root / "tuned", hyperband=True)
    project.done("study", "import", "old", "--from", "tuned")
    first = stored("old").trials[0]
    assert (first.outcome, first.reason) == (Outcome.PRUNED, "Hyperband gave it 3 of 9 epochs")
    assert not [name for name in first.params if name.startswith("tuner/")]


def test_a_sweep_learns_from_a_folder_s_trials(project: Project, no_orphans: str) -> None:
    ray_experiment(project.root / "theirs")
    project.done("study", "import", "old", "--from", "theirs", *PATHS)
    assert "neither ties nor a correction" in " ".join(project.done("leaderboard", "old").split())
    sweep("sweep.n_trials=1", "sweep.warm_start=old")
    taken = [t for t in stored().trials if t.origin is Origin.WARM_START]
    assert [t.values for t in taken] == [(0.8,), (0.6,), (0.65,)]


def test_a_folder_of_several_asks_which(project: Project) -> None:
    ray_experiment(project.root / "ray/mlp")
    ray_experiment(project.root / "ray/cnn")
    said = project.besom("study", "import", "old", "--from", "ray").output
    assert "ray holds cnn and mlp: choose one with --study" in said
    project.done("study", "import", "old", "--from", "ray", "--study", "mlp")
    assert stored("old").facts["imported"] == {"from": "ray/mlp", "study": "mlp"}


def test_another_metric_can_be_chosen_and_a_direction(project: Project) -> None:
    ray_experiment(project.root / "mlp", metric=None)
    said = project.besom("study", "import", "old", "--from", "mlp").output
    assert "does not say what it optimised" in said
    assert "loss and val_accuracy" in said
    words = ["--from", "mlp", "--metric", "loss"]
    assert "loss is minimized" in project.done("study", "import", "a", *words)
    said = project.done("study", "import", "b", *words, "--direction", "maximize")
    assert "loss is maximized" in said
    words = ["--from", "mlp", "--metric", "val_accuracy", "--metric", "loss"]
    said = project.done("study", "import", "c", *words)
    assert "val_accuracy is maximized and loss is minimized" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "empty"], "empty is a folder, but not of Ray Tune or KerasTuner"),
        (["--from", "kt", "--study", "kp"], "no study 'kp'. Known: kt."),
        (["--from", "kt", "--metric", "val_acc"], "No trial in kt has reported 'val_acc'"),
        (["--from", "kt", "--direction", "up"], "'up' is not one of"),
        (["--from", "kt", *["--direction", "minimize"] * 2], "1 metric (val_accuracy), but 2"),
        (["--from", "kt", "--param", "width_{i}=x.{i}"], "no trial has 'width_{i}'"),
        (["--from", "kt", "--param", "lr{i}=x"], "stands for a number in both"),
        (["--from", "odd"], "odd is not as Ray Tune and KerasTuner write it"),
        (["--from", "cut"], "oracle.json cannot be read"),
        (["--from", "pipe"], "oracle.json is a named pipe"),
        (["--from", "none"], "none has no trials"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_said_and_nothing_is_left(
    project: Project, words: list[str], message: str
) -> None:
    keras_tuner_project(project.root / "kt")
    nothing = '{"start_order": [], "hyperparameters": {"space": []}}'
    for name, text in (("odd", "[1]"), ("cut", '{"start'), ("none", nothing)):
        project.write(f"{name}/oracle.json", text)
    for name in ("empty", "pipe"):
        (project.root / name).mkdir()
    os.mkfifo(project.root / "pipe/oracle.json")
    result = project.besom("study", "import", "old", *words)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert study_names(RESULTS) == []
    assert not (RESULTS / "old").exists()


def test_a_pickle_of_ray_s_is_never_loaded(project: Project) -> None:
    ray_experiment(project.root / "mlp")
    for name in ("tuner.pkl", "searcher-state-1.pkl", "train_1_lr=0.01/params.pkl"):
        project.write(f"mlp/{name}", "cos\nsystem\n(S'touch canary'\ntR.")
    project.done("study", "import", "old", "--from", "mlp")
    assert not (project.root / "canary").exists()


# Parameters that make a list


def test_numbered_parameters_are_one_list_as_long_as_its_length() -> None:
    given = {"n": "model.layers.length", "units_{i}": "model.layers.{i}.units"}
    given["act_{i}"] = "model.layers.{i}.activation"
    named = ImportedParams(["n", "units_1", "units_2", "act_1", "act_2", "lr"], given)
    assert named.paths["units_1"] == "model.layers.0.units", "a list begins at 0"
    values = {"n": 1, "units_1": 64, "units_2": 32, "act_1": "relu", "act_2": "tanh", "lr": 0.1}
    assert named.values(values, {}) == {
        "model.layers": [{"units": 64, "activation": "relu"}],
        "lr": 0.1,
    }
    assert named.values({"units_1": 64, "act_1": "relu"}, {}) == {
        "model.layers": [{"units": 64, "activation": "relu"}]
    }


def test_what_lacks_an_element_is_no_list() -> None:
    named = ImportedParams(["n", "u0", "u1"], {"n": "units.length", "u{i}": "units.{i}"})
    assert named.values({"n": 2, "u0": 64}, {}) == {"units.length": 2, "units.0": 64}
    assert named.values({"n": 0, "u0": 64}, {}) == {"units": []}
    named = ImportedParams(["conv1.5", "lr"], {})
    assert named.values({"conv1.5": 64, "lr": 0.1}, {}) == {"conv1.5": 64, "lr": 0.1}


def test_lists_that_were_stored_as_text_are_lists() -> None:
    named = ImportedParams(["units", "name"], {})
    choices = {
        "units": CategoricalDistribution(["[64]", "[128,64]"]),
        "name": CategoricalDistribution(["[CLS]", "plain"]),
    }
    values = {"units": "[128,64]", "name": "[CLS]"}
    assert named.values(values, choices) == {"units": [128, 64], "name": "[CLS]"}
