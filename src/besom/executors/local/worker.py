"""The worker process: prepares once, then runs trial after trial until it is told to quit.

Started by ``besom.executors.local.process`` as ``python -m besom.executors.local.worker``. What
trials share (imports, datasets) is loaded by the ``prepare`` of the trial function's module. It
knows nothing of Optuna and Hydra, and of TensorFlow only what the trial function imports.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import importlib
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, cast

from besom import errors, targets, trust
from besom.executors.base import Epoch, Failed, Finished, Usage
from besom.executors.failures import describe_exception, message_of, shorten
from besom.executors.local import parent_watchdog
from besom.executors.local.resources import resident_memory
from besom.executors.local.wire import (
    Answer,
    Prepared,
    Quit,
    Run,
    Setup,
    Unprepared,
    plain,
    plain_numbers,
    plain_result,
    receive,
    send,
    trial_marker,
)
from besom.seam import TrialConfig, TrialFunction


class _Quitting(BaseException):
    """Unwinds a trial whose coordinator closes; no ``except Exception`` of a trial stops it."""


class Worker:
    """Serves one coordinator over one connection."""

    def __init__(self, worker: int, connection: Connection) -> None:
        self._worker = worker
        self._connection = connection

    def serve(self) -> int:
        """Prepare, then run what is asked; return the process's exit code."""
        setup: Setup = receive(self._connection)
        sys.path[:] = setup.sys_path
        trust.adopt(setup.trust)
        try:
            run_trial, facts, whole = _prepare(setup)
        except BaseException as error:
            send(self._connection, _unprepared(error))
            return 1
        # What is loaded stays: no later collection need look through all of TensorFlow again.
        gc.collect()
        gc.freeze()
        send(self._connection, Prepared(facts, resident_memory(), whole))
        with contextlib.suppress(_Quitting):
            while isinstance(message := receive(self._connection), Run):
                self._run(run_trial, message)
        return 0

    def _run(self, run_trial: TrialFunction, run: Run) -> None:
        with contextlib.suppress(OSError):  # a full disk costs the log, not the trial
            os.write(2, f"{trial_marker(run.trial)}\n".encode())
        wall, cpu = time.perf_counter(), time.process_time()

        def usage() -> Usage:
            return Usage(time.perf_counter() - wall, time.process_time() - cpu, resident_memory())

        report = _Report(self._connection, run.trial, self._worker)
        ended: Finished | Failed
        try:
            result = plain_result(run_trial(run.config, report))
            ended = Finished(run.trial, self._worker, result, usage())
        except _Quitting:
            raise
        except BaseException as error:  # sys.exit() in a trial ends the trial, not the worker
            ended = Failed(run.trial, self._worker, *describe_exception(error), usage())
        finally:
            report.over = True
        send(self._connection, ended)


class _Report:
    """What a trial function is given as ``report``: asks the coordinator whether to stop."""

    def __init__(self, connection: Connection, trial: int, worker: int) -> None:
        self._connection = connection
        self._trial = trial
        self._worker = worker
        self.over = False

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Send the epoch's metrics and wait for the answer; True means stop now.

        Raises:
            TypeError: a metric is no number.
            ValueError: the epoch is below 1, or past any that a database counts to.
            RuntimeError: the trial is over, and something of it, such as a thread, still runs.
        """
        if self.over:
            raise RuntimeError(f"trial {self._trial} is over: it can report no more epochs")
        values, number = plain_numbers(metrics, "metrics"), int(epoch)
        if not 1 <= number < 2**31:
            raise ValueError(f"report() was given epoch {number}; epochs are counted from 1")
        send(self._connection, Epoch(self._trial, self._worker, number, values))
        answer: Answer | Quit = receive(self._connection)
        if isinstance(answer, Quit):
            raise _Quitting
        return answer.stop


def _prepare(setup: Setup) -> tuple[TrialFunction, dict[str, Any], bool]:
    """Import the trial function; run ``prepare`` beside it (then True) or ``prepare_another``."""
    module_name, _, function_name = setup.trial_function.partition(":")
    function = targets.resolve(f"{module_name}.{function_name}", "The trial function", True)
    if not callable(function):
        raise errors.ConfigError(
            f"The trial function {setup.trial_function!r} is a {type(function).__name__}, "
            "expected a function (config, report) -> TrialResult."
        )
    module = importlib.import_module(module_name)
    whole = setup.first or not hasattr(module, "prepare_another")
    name = "prepare" if whole else "prepare_another"
    prepare: Callable[[TrialConfig], Any] | None = getattr(module, name, None)
    facts = {} if prepare is None else prepare(setup.base_config)
    targets.follow(setup.trust.named)
    return cast("TrialFunction", function), plain(facts or {}, f"what {name} returned"), whole


def _unprepared(error: BaseException) -> Unprepared:
    _, reason, detail = describe_exception(error)
    with contextlib.suppress(OSError):
        os.write(2, detail.encode("utf-8", "backslashreplace"))
    if issubclass(type(error), errors.BesomError):
        name = type(error).__name__
        message = shorten(message_of(error))
        return Unprepared(name if hasattr(errors, name) else "BesomError", message)
    return Unprepared("BesomError", f"The workers cannot prepare: {reason}\n{detail.rstrip()}")


class _Log(io.FileIO):
    """A full disk costs the log, not the trial that prints."""

    def write(self, data: Any) -> int:
        """Write what the disk takes, and drop the rest."""
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def _log_to(descriptor: int) -> io.TextIOWrapper:
    raw = _Log(descriptor, "w", closefd=False)
    # By the line: else a death loses what was printed last.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True
    )


def main() -> int:
    """Run a worker; its arguments are ``besom.executors.local.process``'s business."""
    faulthandler.enable()  # a segmentation fault leaves the Python frames in the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="besom worker", description="Started by `besom sweep`.")
    for name in ("worker", "connection", "lifeline", "coordinator"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--die-with-parent", action="store_true")
    arguments = parser.parse_args()
    parent_watchdog.hold(arguments.lifeline, arguments.coordinator, arguments.die_with_parent)
    os.set_inheritable(arguments.connection, False)
    sys.stdout, sys.stderr = _log_to(1), _log_to(2)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"[besom] worker {arguments.worker}, process {os.getpid()}, {now}", flush=True)
    try:
        return Worker(arguments.worker, Connection(arguments.connection)).serve()
    except (EOFError, OSError):  # the coordinator is gone
        return 1


if __name__ == "__main__":
    sys.exit(main())
