"""A trial function that knows folds and trains nothing: what it reads stands in ``trainer``.

``seconds`` (per epoch), ``breaks`` (``[repeat, fold]`` of the run in which ``fault`` happens at
epoch 2, of all trials but the baseline), ``trace``, ``deterministic`` (the seed changes nothing).
It can be held in its midst as ``sweep_trials`` can.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from sweep_trials import value_of, wait_to_pass

from besom.errors import TrialDiverged
from besom.seam import Report, TrialConfig, TrialResult

#: Examples in the fold ``i``: this many, and ``i`` more.
N_LEAST = 40


def prepare(config: TrialConfig) -> dict[str, Any]:
    """Folds are understood; the run that workers prepare with is among the facts."""
    return {
        "metrics": ["val_accuracy", "val_loss"],
        "numbers": ["n_params"],
        "folds": True,
        "prepared_with": config.get("run"),
        "data": {"fingerprint": "folded"},
    }


def n_validation(fold: int) -> int:
    return N_LEAST + fold


def run(config: TrialConfig, report: Report) -> TrialResult:
    """As good as ``sweep_trials.quadratic``; the folds differ in their examples."""
    which, trainer = config.get("run", {}), config["trainer"]
    fold, repeat = which.get("fold", 0), which.get("repeat", 0)
    _trace(config, "start")
    seed = 0 if trainer["deterministic"] else config["seed"]
    worth = value_of({**config, "seed": seed})
    rng = np.random.default_rng([seed, fold, int(1e6 * config["model"]["dropout"])])
    n, right, losses = n_validation(fold), list[Any](), list[Any]()
    history: dict[str, list[float]] = {"val_accuracy": [], "val_loss": []}
    for epoch in range(1, int(trainer["epochs"]) + 1):
        time.sleep(float(trainer["seconds"]))
        wait_to_pass(epoch)
        right.append(rng.random(n) < worth - 2.0**-epoch)
        losses.append((1.0 - right[-1] + 0.1 * rng.random(n)).astype("<f4"))
        accuracy, loss = float(right[-1].mean()), float(losses[-1].mean())
        if epoch == 2 and trainer["breaks"] == [repeat, fold] and config["model"]["dropout"] != 0.2:
            if trainer["fault"] == "raise":
                raise ValueError("the layer is missing")
            if trainer["fault"] == "diverge":
                raise TrialDiverged(2, "val_loss", math.nan)
            accuracy = math.nan
        history["val_accuracy"].append(accuracy)
        history["val_loss"].append(loss)
        if report(epoch, {"val_accuracy": accuracy, "val_loss": loss}):
            break
    _trace(config, "end")
    bits = [np.packbits(row).tobytes() for row in right]
    rows = [row.tobytes() for row in losses]
    best = int(np.argmax(history["val_accuracy"]))
    return TrialResult(
        history=history,
        best_epoch=best + 1,
        numbers={"n_params": 10.0},
        n_validation=n,
        correct=bits[best],
        correct_by_epoch=bits,
        per_example={"val_loss": {"kind": "mean", "values": rows[best], "by_epoch": rows}},
    )


def _trace(config: TrialConfig, what: str) -> None:
    if path := config["trainer"]["trace"]:
        at = {
            **config.get("run", {}),
            "seed": config["seed"],
            "dropout": config["model"]["dropout"],
            "learning_rate": config["optimizer"]["learning_rate"],
            "orders": sorted(config.get("orders", {})),
        }
        line = json.dumps({"what": what, "pid": os.getpid(), "time": time.time(), **at})
        with Path(path).open("a") as file:
            file.write(line + "\n")
