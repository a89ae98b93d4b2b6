"""Trial functions for confirmations without TensorFlow: a config's quality, and noise by its seed.

They read ``model.quality``, ``model.noise``, ``seed``, and what ``trainer`` says: ``epochs``,
``seconds`` (per epoch), ``fault`` with ``fault_seeds``, ``trace``, ``log``.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from pathlib import Path
from typing import Any

from besom.errors import DataError, TrialDiverged
from besom.seam import Report, TrialConfig, TrialResult


class NoTestImages(DataError):
    """As the trainer's own of that name."""


def prepare(config: TrialConfig) -> dict[str, Any]:
    """The facts that a confirmation checks its data by."""
    return {"data": {"fingerprint": config["data"].get("fingerprint", "cheap")}}


def score_of(config: TrialConfig) -> float:
    """What a run of the config is worth: its own noise at each seed and split, never the same."""
    model = config["model"]
    of = f"{model['quality']} {config['seed']} {config['data'].get('split_seed')}"
    return float(model["quality"] + model["noise"] * random.Random(of).gauss(0.0, 1.0))


def noisy(config: TrialConfig, report: Report) -> TrialResult:
    """Approaches its score over the epochs; breaks at the seeds that ``fault_seeds`` lists."""
    trainer, history = config["trainer"], {"val_accuracy": [], "val_loss": []}
    _trace(config, "start")
    for epoch in range(1, int(trainer.get("epochs", 2)) + 1):
        time.sleep(float(trainer.get("seconds", 0.0)))
        if config["seed"] in trainer.get("fault_seeds", ()) and epoch == 2:
            _break(trainer)
        value = score_of(config) - 0.1 * (int(trainer.get("epochs", 2)) - epoch)
        history["val_accuracy"].append(value)
        history["val_loss"].append(1.0 - value)
        if report(epoch, {name: values[-1] for name, values in history.items()}):
            break
    _trace(config, "end")
    return TrialResult(history=history, numbers={"n_params": 7.0})


def measured(config: TrialConfig, report: Report) -> TrialResult:
    """The same, and its accuracy on 1,000 test images; counts what was logged before it ran."""
    log = Path(config["trainer"]["log"])
    n_logged = len(log.read_text().splitlines()) - 1 if log.exists() else 0
    result = noisy(config, report)
    result.numbers |= {"test_accuracy": score_of(config) - 0.01, "n_test": 1000.0}
    result.numbers["n_logged"] = float(n_logged)
    return result


def without_test_images(config: TrialConfig, report: Report) -> TrialResult:
    """There is no test part."""
    raise NoTestImages("data.npz has no x_test.")


def forgetful(config: TrialConfig, report: Report) -> TrialResult:
    """Not seeded: counts, in a file, how often it ran."""
    path = Path(config["trainer"]["counter"])
    count = int(path.read_text()) if path.exists() else 0
    path.write_text(str(count + 1))
    values = [0.5, 0.6 + 0.01 * count]
    for epoch, value in enumerate(values, start=1):
        report(epoch, {"val_accuracy": value})
    return TrialResult(history={"val_accuracy": values})


def _break(trainer: dict[str, Any]) -> None:
    fault = trainer["fault"]
    if fault == "diverge":
        raise TrialDiverged(2, "val_loss", math.nan)
    if fault == "raise":
        raise ValueError("the layer is missing")
    marker = Path(trainer["once"])
    if not marker.exists():  # once: a worker's death and a lack of memory are tried again
        marker.touch()
        if fault == "memory":
            raise MemoryError
        os._exit(3)


def _trace(config: TrialConfig, what: str) -> None:
    """Append what was really run to the file ``trainer.trace``."""
    if path := config["trainer"].get("trace"):
        with Path(path).open("a") as file:
            run = {"what": what, "quality": config["model"]["quality"], "seed": config["seed"]}
            file.write(json.dumps(run) + "\n")
