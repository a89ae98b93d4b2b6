"""``besom study import`` of a folder: what Ray Tune or KerasTuner has found is not lost.

The folders here are written in the shape of the real ones; tests/migration runs the tuners.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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
from user_project import Project

pytestmark = pytest.mark.usefixtures("project")

#: What the parameters of both folders stand for in the sweep ``cheap``.
PATHS = ("--param", "lr=optimizer.learning_rate", "--param", "dropout=model.dropout")


def ray_trial(
    root: Path,
    number: int,
    config: dict[str, Any],
    values: list[Any],
    status: str = "TERMINATED",
    stopped: bool = False,
) -> list[str]:
    """A trial's folder, and its line in the experiment's state."""
    folder = root / f"train_{number}_lr={config['lr']}"
    folder.mkdir()
    lines = [
        {
            "val_accuracy": value,
            "loss": 1.0 / step,
            "done": stopped and step == len(values),
            "training_iteration": step,
            "time_total_s": 2.0 * step,
            "pid": 17,
            "hostname": "node",
        }
        for step, value in enumerate(values, start=1)
    ]
    (folder / "result.json").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    if status == "ERROR":
        traceback = (
            'Failure # 1\n  File "train.py", line 3\n    train: here\nValueError: broken\nwhy\n'
        )
        (folder / "error.txt").write_text(traceback)
    told = {
        "config": config,
        "evaluated_params": {k: v for k, v in config.items() if k != "epochs"},
        "experiment_tag": f"{number}_lr={config['lr']}",
        "status": status,
        "relative_logdir": folder.name,
    }
    return [json.dumps(told), json.dumps({"start_time": 1.8e9 + number})]


def ray_experiment(root: Path, metric: str | None = "val_accuracy") -> None:
    """Trials that end in every way, listed in the order in which they ended."""
    root.mkdir(parents=True)

    def config(dropout: float, lr: float) -> dict[str, Any]:
        return {"lr": lr, "dropout": dropout, "optimizer": "adam", "epochs": 3}

    rows = [
        ray_trial(root, 2, config(0.2, 0.02), [0.4], stopped=True),
        ray_trial(root, 10, config(0.5, 0.0001), [0.6, 0.7, 0.65]),
        ray_trial(root, 1, config(0.1, 0.01), [0.5, 0.9, 0.8]),
        ray_trial(root, 3, config(0.3, 0.03), [], status="ERROR"),
        ray_trial(root, 4, config(0.4, 0.04), [0.5, 0.6]),
        ray_trial(root, 5, config(0.4, 0.05), [0.5], status="RUNNING"),
        ray_trial(root, 6, config(0.4, 0.06), [0.5, 0.6, float("nan")]),
    ]
    state = {"trial_data": rows, "runner_data": {"_metric": metric, "_start_time": 1.8e9}}
    (root / "experiment_state-2026-01-01_10-00-00.json").write_text('{"trial_data": []}')
    (root / "experiment_state-2026-01-01_12-00-00.json").write_text(json.dumps(state))


def keras_tuner_project(root: Path, hyperband: bool = False) -> None:
    """Trials that end in every way."""
    numbers = {"step": None, "sampling": "linear"}
    space = [
        ("Float", {**numbers, "name": "lr", "min_value": 1e-4, "max_value": 0.1}),
        ("Float", {**numbers, "name": "dropout", "min_value": 0.1, "max_value": 0.55}),
        ("Int", {**numbers, "name": "layers", "min_value": 1, "max_value": 3, "step": 1}),
        ("Choice", {"name": "activation", "values": ["relu", "tanh"]}),
        ("Boolean", {"name": "flag"}),
        ("Fixed", {"name": "kernel", "value": 3}),
    ]
    space[0][1]["sampling"], space[1][1]["step"] = "log", 0.1
    root.mkdir(parents=True)
    oracle = {
        "hyperparameters": {"space": [{"class_name": c, "config": said} for c, said in space]},
        "start_order": ["0", "1", "2", "3", "10"],
    }
    (root / "oracle.json").write_text(json.dumps(oracle))
    for name, score, status in (
        ("0", 0.8, "COMPLETED"),
        ("1", 0.9, "COMPLETED"),
        ("10", 0.7, "COMPLETED"),
        ("2", None, "FAILED"),
        ("3", None, "RUNNING"),
    ):
        values = {"lr": 0.001 * (1 + int(name)), "dropout": 0.30000000000000004, "layers": 2}
        values |= {"activation": "tanh", "flag": name == "0", "kernel": 3}
        if hyperband:
            values |= {"tuner/epochs": 3 if name == "0" else 9, "tuner/bracket": 1}
        metrics = {
            "val_accuracy": {
                "direction": "max",
                "observations": [{"value": [score, score], "step": 4}] if score else [],
            },
            "val_loss": {
                "direction": "min",
                "observations": [{"value": [1.0], "step": 4}] if score else [],
            },
        }
        trial = {
            "trial_id": name,
            "hyperparameters": {"values": values},
            "metrics": {"metrics": metrics},
            "score": score,
            "status": status,
            "message": "Traceback\n  in build\nValueError: broken\n"
            if status == "FAILED"
            else None,
        }
        folder = root / f"trial_{name.zfill(2)}"
        folder.mkdir()
        (folder / "trial.json").write_text(json.dumps(trial))


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
    said = project.done("study", "import", "old", "--from", "kt/tuned", *PATHS)
    assert said.startswith(
        "old: 5 trials (3 complete, 1 error, 1 unfinished); val_accuracy is maxim"
    )
    study = stored("old")
    assert [t.value for t in study.trials] == [0.8, 0.9, None, None, 0.7]
    first, _, failed, *_ = study.trials
    assert first.params == {
        "optimizer.learning_rate": 0.001,
        "model.dropout": 0.30000000000000004,
        "layers": 2,
        "activation": "tanh",
        "flag": True,
    }
    assert first.numbers == {"val_loss": 1.0}
    assert first.history == {}, "the best epoch alone is no curve"
    assert failed.reason == "ValueError: broken"
    assert first.distributions == {
        "optimizer.learning_rate": FloatDistribution(1e-4, 0.1, log=True),
        "model.dropout": FloatDistribution(0.1, 0.5, step=0.1),
        "layers": IntDistribution(1, 3),
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
        (["--from", "kt", "--param", "units_{i}=x.{i}"], "no trial has 'units_{i}'"),
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


def test_a_list_that_lacks_an_element_is_left_out() -> None:
    named = ImportedParams(["n", "u0", "u1"], {"n": "units.length", "u{i}": "units.{i}"})
    assert named.values({"n": 2, "u0": 64}, {}) == {}
    assert named.values({"n": 0, "u0": 64}, {}) == {"units": []}


def test_lists_that_were_stored_as_text_are_lists() -> None:
    named = ImportedParams(["units", "name"], {})
    choices = {
        "units": CategoricalDistribution(["[64]", "[128,64]"]),
        "name": CategoricalDistribution(["[CLS]", "plain"]),
    }
    values = {"units": "[128,64]", "name": "[CLS]"}
    assert named.values(values, choices) == {"units": [128, 64], "name": "[CLS]"}
