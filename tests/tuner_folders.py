"""Folders in the shape in which Ray Tune and KerasTuner write them, small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
        ("Int", {**numbers, "name": "units_0", "min_value": 8, "max_value": 64, "step": 8}),
        ("Int", {**numbers, "name": "units_1", "min_value": 8, "max_value": 64, "step": 8}),
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
        values |= {
            "units_0": 64,
            "units_1": 32,
            "activation": "tanh",
            "flag": name == "0",
            "kernel": 3,
        }
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
            "message": "Traceback\n  in build\nValueError: broken\n" if score is None else None,
        }
        folder = root / f"trial_{name.zfill(2)}"
        folder.mkdir()
        (folder / "trial.json").write_text(json.dumps(trial))
