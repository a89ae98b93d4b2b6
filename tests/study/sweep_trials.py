"""Trial functions for whole sweeps without TensorFlow: they read a besom config and train nothing.

``sweep.trial_function=sweep_trials.quadratic``. What they read beside the packaged options stands
in ``trainer``: ``seconds`` (per epoch), ``fault``, ``fault_above``, ``once``, ``trace``. A test may
hold them in their midst, see ``wait_to_pass``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import DataError, TrialDiverged
from besom.seam import Report, TrialConfig, TrialResult


def prepare(config: TrialConfig) -> dict[str, Any]:
    """The facts that a sweep checks its objective and its data by."""
    if message := config["trainer"].get("unprepared"):
        raise DataError(message)
    fingerprint = config["data"].get("fingerprint", "cheap-data")
    metrics = ["loss", "val_accuracy", "val_loss"]
    return {"metrics": metrics, "numbers": ["n_params"], "data": {"fingerprint": fingerprint}}


def quadratic(config: TrialConfig, report: Report) -> TrialResult:
    """Best at dropout 0.3 and a learning rate of 0.01; approached over the epochs.

    ``trainer.fault`` names what breaks (see ``FAULTS``), in trials whose dropout is above
    ``fault_above``; if ``once`` names a file, only where that file is not there yet.
    """
    trainer = config["trainer"]
    _trace(config, "start")
    final = value_of(config)
    history: dict[str, list[float]] = {"loss": [], "val_loss": [], "val_accuracy": []}
    for epoch in range(1, int(trainer["epochs"]) + 1):
        time.sleep(float(trainer.get("seconds", 0.0)))
        wait_to_pass(epoch)
        accuracy = final - 2.0**-epoch
        if epoch == 2 and _breaks(config):
            accuracy = FAULTS[trainer["fault"]](config)
        metrics = {"loss": 1 - accuracy, "val_loss": 1 - accuracy, "val_accuracy": accuracy}
        for name, value in metrics.items():
            history[name].append(value)
        if report(epoch, metrics):
            break
    _trace(config, "end")
    return TrialResult(history=history, numbers={"n_params": float(_units(config))})


def remarking(config: TrialConfig, report: Report) -> TrialResult:
    """As ``quadratic``; each trial has something to remark."""
    result = quadratic(config, report)
    result.environment["remarks"] = {"model": "This model cannot be saved."}
    return result


def examined(config: TrialConfig, report: Report) -> TrialResult:
    """As ``quadratic``, with a loss on each of 400 examples and a score on draws of them."""
    result = quadratic(config, report)
    shared = np.random.default_rng(0).exponential(size=400)
    own = np.random.default_rng(int(1e6 * config["model"]["dropout"])).normal(size=(3, 400))
    losses = shared / shared.mean() + 0.1 * (own - own.mean(axis=1, keepdims=True)) - 1.0
    losses += np.array(result.history["val_loss"])[:, None]
    draws = np.random.default_rng(1).normal(0.0, 0.01, size=(2, 50))
    rows = [row.astype("<f4").tobytes() for row in losses]
    scores = (draws + result.history["val_accuracy"][-1]).astype("<f4").tobytes()
    result.n_validation = 400
    result.per_example = {
        "val_loss": {"kind": "mean", "values": rows[-1], "by_epoch": rows},
        "val_accuracy": {"kind": "other", "values": scores},
    }
    return result


def unsized(config: TrialConfig, report: Report) -> TrialResult:
    """Trials of more than ``fault_above`` dropout do not know their size."""
    result = quadratic(config, report)
    if config["model"]["dropout"] > config["trainer"]["fault_above"]:
        result.numbers["n_params"] = math.nan
    return result


def told(config: TrialConfig, report: Report) -> TrialResult:
    """``trainer.really`` epochs, whatever ``epochs`` says; ``told`` counts the orders to stop."""
    trainer, n_told = config["trainer"], 0
    accuracies: list[float] = []
    while len(accuracies) < int(trainer["really"]) and not n_told:
        time.sleep(float(trainer["seconds"]))
        accuracies.append(value_of(config))
        n_told += report(len(accuracies), {"val_accuracy": accuracies[-1]})
    return TrialResult(history={"val_accuracy": accuracies}, numbers={"told": float(n_told)})


def value_of(config: TrialConfig) -> float:
    """What the trial is worth, from its config alone."""
    dropout, rate = config["model"]["dropout"], config["optimizer"]["learning_rate"]
    noise = (config["seed"] * 7919 % 1000) / 1e5
    return 1.0 - (dropout - 0.3) ** 2 - 0.05 * (math.log10(rate) + 2) ** 2 - noise


def _units(config: TrialConfig) -> int:
    return sum(config["model"].get("hidden_units", [1]))


def _trace(config: TrialConfig, what: str) -> None:
    """Append what happened to the file ``trainer.trace``: what was really run, run by run."""
    if path := config["trainer"].get("trace"):
        at = {key: config[group][key] for group, key in _WATCHED}
        line = json.dumps({"what": what, "pid": os.getpid(), "time": time.time(), **at})
        with Path(path).open("a") as file:
            file.write(line + "\n")


_WATCHED = (("model", "dropout"), ("optimizer", "learning_rate"))


def traced(trace: Path) -> list[dict[str, Any]]:
    """What is written down; a line that is being written is not there yet."""
    text = trace.read_text() if trace.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def wait_to_pass(epoch: int) -> None:
    """Stand still in the second epoch until a file of the folder ``passes`` is this run's to take.

    Where there is no such folder, runs go on. Not for ever: what a failed test leaves behind ends
    by itself. See ``sweeping.let_pass``.
    """
    passes, until = Path("passes"), time.monotonic() + 100.0
    while epoch == 2 and passes.exists() and time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, StopIteration):
            next(passes.iterdir()).unlink()
            return
        time.sleep(0.02)


def _breaks(config: TrialConfig) -> bool:
    trainer = config["trainer"]
    if trainer.get("fault") is None or config["model"]["dropout"] <= trainer["fault_above"]:
        return False
    if trainer.get("once") is None:
        return True
    try:
        os.close(os.open(trainer["once"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _exit(config: TrialConfig) -> float:
    os._exit(7)


def _segfault(config: TrialConfig) -> float:
    ctypes.string_at(0)
    return 0.0


def _kill(config: TrialConfig) -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


def _hang(config: TrialConfig) -> float:
    """In C, holding the interpreter: nothing in this process can end it."""
    return float(pow(7, 10**9) % 10)


def _allocate(config: TrialConfig) -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 128 * 1024**2
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024**2))


def _raise(config: TrialConfig) -> float:
    raise ValueError("the layer [red] is missing")


def _unstorable(config: TrialConfig) -> float:
    raise RuntimeError("bad \udcff surrogate \x00 nul")


def _indescribable(config: TrialConfig) -> float:
    raise type("Odd", (Exception,), {"__str__": lambda self: 1 / 0})


def _diverge(config: TrialConfig) -> float:
    raise TrialDiverged(2, "val_loss", math.nan)


FAULTS = {
    "exit": _exit,
    "segfault": _segfault,
    "kill": _kill,
    "hang": _hang,
    "allocate": _allocate,
    "raise": _raise,
    "unstorable": _unstorable,
    "indescribable": _indescribable,
    "diverge": _diverge,
    "report_nan": lambda config: math.nan,
    "report_inf": lambda config: math.inf,
}
