"""Trial functions without TensorFlow, cheap or broken in one known way, for workers to import.

Each is named as ``"cheap_trials:quadratic"``; what it reads of its config is in its docstring.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from besom.errors import DataError, TrialDiverged
from besom.seam import Report, TrialConfig, TrialResult

EPOCHS = 3


def prepare(config: TrialConfig) -> dict[str, Any]:
    """Say what the worker was prepared with."""
    facts: dict[str, Any] = {"pid": os.getpid(), "name": config.get("name")}
    if config.get("restless"):  # each worker reads something else
        facts[config["restless"]] = {"fingerprint": str(os.getpid())}
    return facts


def _run(config: TrialConfig, report: Report, final: float) -> TrialResult:
    """Epochs that approach ``final`` from below, halving the gap each time."""
    history: dict[str, list[float]] = {"val_accuracy": []}
    stopped = False
    for epoch in range(1, int(config.get("epochs", EPOCHS)) + 1):
        history["val_accuracy"].append(final - 2.0**-epoch)
        if stopped := report(epoch, {"val_accuracy": history["val_accuracy"][-1]}):
            break
    return TrialResult(
        history=history, best_epoch=len(history["val_accuracy"]), numbers={"stopped": stopped}
    )


def noop(config: TrialConfig, report: Report) -> TrialResult:
    """Nothing at all."""
    return TrialResult()


def quadratic(config: TrialConfig, report: Report) -> TrialResult:
    """``1 - (x - 0.3)^2 - (y - 0.7)^2`` of ``x`` and ``y`` (default 0) after ``epochs``."""
    x, y = float(config.get("x", 0.0)), float(config.get("y", 0.0))
    return _run(config, report, 1.0 - (x - 0.3) ** 2 - (y - 0.7) ** 2)


def judged(config: TrialConfig, report: Report) -> TrialResult:
    """Says, as real training does, which of 200 images were right after each of three epochs."""
    import numpy as np  # the others need it not, and start sooner

    rng = np.random.default_rng(int(1e6 * config["optimizer"]["learning_rate"]))
    right = rng.random((EPOCHS, 200)) < 0.9
    accuracy = right.mean(axis=1).tolist()
    for epoch, value in enumerate(accuracy, start=1):
        report(epoch, {"val_accuracy": value})
    counts = EPOCHS - 1
    if config["trainer"]["restore_best"]:
        counts = int(np.argmax(accuracy))
    bits = [row.tobytes() for row in np.packbits(right, axis=1)]
    return TrialResult(
        history={"val_accuracy": accuracy},
        best_epoch=counts + 1,
        n_validation=200,
        correct=bits[counts],
        correct_by_epoch=bits,
    )


def named(config: TrialConfig, report: Report) -> TrialResult:
    """What the function of this module does that ``function`` names (default: quadratic)."""
    function = globals()[str(config.get("function", "quadratic"))]
    return function(config, report)  # type: ignore[no-any-return]


def sleeper(config: TrialConfig, report: Report) -> TrialResult:
    """Sleeps ``seconds`` (default 0.1) and reports nothing."""
    time.sleep(float(config.get("seconds", 0.1)))
    return TrialResult(history={"val_accuracy": [0.5]}, best_epoch=1)


def slow_epochs(config: TrialConfig, report: Report) -> TrialResult:
    """``epochs`` epochs of ``seconds`` (default 0.05) each; obeys the answer to a report."""

    def report_after_sleep(epoch: int, metrics: dict[str, float]) -> bool:
        time.sleep(float(config.get("seconds", 0.05)))
        return report(epoch, metrics)

    return _run(config, report_after_sleep, 1.0)


def raiser(config: TrialConfig, report: Report) -> TrialResult:
    """Raises ValueError with the text ``message``."""
    raise ValueError(config.get("message", "no such layer"))


def user_error(config: TrialConfig, report: Report) -> TrialResult:
    """Raises what a user can mend."""
    raise DataError("The images are 28 x 28, the model expects 32 x 32.")


def system_exit(config: TrialConfig, report: Report) -> TrialResult:
    """Calls sys.exit."""
    sys.exit(3)


def diverger(config: TrialConfig, report: Report) -> TrialResult:
    """NaN at epoch 2, raised as divergence."""
    report(1, {"val_accuracy": 0.5})
    raise TrialDiverged(2, "loss", math.nan)


def nan_reporter(config: TrialConfig, report: Report) -> TrialResult:
    """NaN at epoch 2, reported and returned without a word."""
    values = [0.5, math.nan, 0.6]
    for epoch, value in enumerate(values, start=1):
        if report(epoch, {"val_accuracy": value}):
            return TrialResult(history={"val_accuracy": values[:epoch]}, best_epoch=1)
    return TrialResult(history={"val_accuracy": values}, best_epoch=1)


def exiter(config: TrialConfig, report: Report) -> TrialResult:
    """Ends its process with the exit code ``code`` (default 3) after an epoch."""
    report(1, {"val_accuracy": 0.5})
    os._exit(int(config.get("code", 3)))


def segfaulter(config: TrialConfig, report: Report) -> TrialResult:
    """Reads the null pointer."""
    print("about to read the null pointer")
    ctypes.string_at(0)
    return TrialResult()


def killed(config: TrialConfig, report: Report) -> TrialResult:
    """Is killed, as the kernel's out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return TrialResult()


def hanger(config: TrialConfig, report: Report) -> TrialResult:
    """Reports an epoch, then never returns from a C call that holds the interpreter."""
    report(1, {"val_accuracy": 0.5})
    return TrialResult(numbers={"never": pow(7, 10**9) % 10})


def hanger_with_child(config: TrialConfig, report: Report) -> TrialResult:
    """Starts a process that sleeps for a minute, reports, and hangs in a C call."""
    subprocess.Popen(["sleep", "60"])
    return hanger(config, report)


def allocator(config: TrialConfig, report: Report) -> TrialResult:
    """Allocates without end under an address space limit 256 MiB above what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 256 * 1024**2
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024**2))


def aborting_allocator(config: TrialConfig, report: Report) -> TrialResult:
    """Runs out of memory as a C++ library does: prints std::bad_alloc and aborts."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def grower(config: TrialConfig, report: Report) -> TrialResult:
    """Keeps ``megabytes`` (default 64) for ever."""
    _KEPT.append(os.urandom(1024) * (int(config.get("megabytes", 64)) * 1024))
    return TrialResult(numbers={"pid": os.getpid()})


_KEPT: list[bytes] = []


def process_number(config: TrialConfig, report: Report) -> TrialResult:
    """Says which process ran it."""
    return TrialResult(numbers={"pid": os.getpid()})


def environment(config: TrialConfig, report: Report) -> TrialResult:
    """Returns the environment variables named in ``names``."""
    return TrialResult(environment={name: os.environ.get(name) for name in config["names"]})


def unpicklable(config: TrialConfig, report: Report) -> TrialResult:
    """Returns what cannot leave the process."""
    return TrialResult(environment={"lock": threading.Lock()})


def wrong_type(config: TrialConfig, report: Report) -> TrialResult:
    """Returns a number instead of a result."""
    return 0.9  # type: ignore[return-value]


def chatterer(config: TrialConfig, report: Report) -> TrialResult:
    """Prints 20 MB."""
    for _ in range(200):
        print("x" * 100_000)
    return TrialResult()


def descriptor_closer(config: TrialConfig, report: Report) -> TrialResult:
    """Closes every file descriptor, the worker's own too, and stays alive."""
    os.closerange(3, 256)
    time.sleep(30)
    return TrialResult()


def late_reporter(config: TrialConfig, report: Report) -> TrialResult:
    """Leaves a thread behind that reports in the midst of the next trial, which says what came."""
    if _LATE:
        _NEXT.set()
        _LATE[0].join(30)
        return TrialResult(environment={"said": "".join(_SAID)})

    def late() -> None:
        _NEXT.wait()
        try:
            report(1, {"val_accuracy": 0.5})
        except RuntimeError as error:
            _SAID.append(str(error))

    _LATE.append(threading.Thread(target=late, daemon=True))
    _LATE[0].start()
    return TrialResult()


_LATE: list[threading.Thread] = []
_NEXT = threading.Event()
_SAID: list[str] = []
