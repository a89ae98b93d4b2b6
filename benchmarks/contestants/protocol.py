"""What a contestant is told on its command line, and how it tells what it does.

Each contestant is a small script that any interpreter with its packages can run. It trains on the
arrays it is given, and appends one line of JSON for each trial that begins and each epoch that
ends, with the time of day; whoever started it knows when that was.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

#: The space of sweeps/mnist_mlp.yaml; whoever starts the contestants checks that it still is.
LAYERS = (1, 4)
UNITS = (32, 1024)
ACTIVATIONS = ("relu", "tanh", "gelu", "sigmoid")
DROPOUT = (0.0, 0.5)
LEARNING_RATE = (1e-4, 1e-1)

#: The base config, tried first by every tool.
BASE = {
    "n_layers": 2,
    "units_0": 512,
    "units_1": 256,
    "activation": "relu",
    "dropout": 0.2,
    "learning_rate": 1e-3,
}


def arguments() -> argparse.ArgumentParser:
    """Return the command line that all contestants share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True, help="append what happens to this file")
    parser.add_argument("--folder", type=Path, required=True, help="may hold what the tool writes")
    parser.add_argument("--arrays", type=Path, help="x_train, y_train, x_validation, y_validation")
    parser.add_argument("--epochs", type=int, default=10, help="the most that a trial may take")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    return parser


class EpochLog:
    """The contestant's log; opened for each line, so that it may be copied into any process."""

    def __init__(self, path: Path) -> None:
        self._path = str(Path(path).absolute())

    def start(self, trial: int | str) -> None:
        """A trial begins."""
        self._write(event="start", trial=trial)

    def epoch(self, trial: int | str, epoch: int, val_accuracy: float) -> None:
        """An epoch of a trial, from 1, has ended and been validated."""
        self._write(event="epoch", trial=trial, epoch=epoch, val_accuracy=float(val_accuracy))

    def _write(self, **what: Any) -> None:
        with open(self._path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps({"time": time.time(), **what}) + "\n")


def hidden_units(params: Any) -> list[int]:
    """Return the units of the layers that ``n_layers`` and ``units_0`` to ``units_3`` stand for."""
    return [int(params[f"units_{i}"]) for i in range(int(params["n_layers"]))]
