"""The worker's side of every executor: prepare once, then run trial after trial until told to quit.

What trials share (imports, datasets) is loaded by the ``prepare`` of the trial function's module.
The loop knows nothing of Optuna and Hydra, and of TensorFlow only what the trial function imports.
An executor gives it a ``Channel`` to the coordinator. Only plain data leaves the worker, whatever a
trial function returned.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from besom import errors, targets, trust
from besom.executors.base import Epoch, Failed, Finished, Usage
from besom.executors.channel import (
    Answer,
    Channel,
    Prepared,
    Quit,
    Run,
    Setup,
    Unprepared,
    trial_marker,
)
from besom.executors.failures import describe_exception, message_of, shorten
from besom.seam import PER_EXAMPLE, TrialConfig, TrialFunction, TrialResult

#: What in a trial's ``orders`` names a file or folder of the study.
_ARTIFACTS = {"save_model": ("path",), "mistakes": ("path",), "checkpoint": ("load", "save")}


class _CoordinatorCloses(BaseException):
    """Unwinds a trial whose coordinator closes; no ``except Exception`` of a trial stops it."""


class WorkerLoop:
    """Serves one coordinator.

    Args:
        worker: its number.
        channel: to the coordinator.
        memory: measures the resident memory of this process in bytes.
    """

    def __init__(self, worker: int, channel: Channel, memory: Callable[[], int]) -> None:
        self._worker, self._channel, self._memory = worker, channel, memory

    def serve(self) -> int:
        """Prepare, then run what is asked for; return the process's exit code.

        Raises:
            EOFError, OSError: the coordinator is gone.
        """
        setup: Setup = self._channel.receive()
        sys.path[:] = setup.sys_path
        if setup.folder is not None:
            os.chdir(setup.folder)
        trust.adopt(setup.trust)
        try:
            run_trial, facts, whole = _prepare(setup)
        except BaseException as error:
            self._channel.send(describe_unprepared(error))
            return 1
        # What is loaded stays: no later collection need look through all of TensorFlow again.
        gc.collect()
        gc.freeze()
        self._channel.send(Prepared(facts, self._memory(), whole))
        with contextlib.suppress(_CoordinatorCloses):
            while isinstance(message := self._channel.receive(), Run):
                config = with_artifact_paths(message.config, setup.artifacts)
                self._run(run_trial, message.trial, config)
        return 0

    def _run(self, run_trial: TrialFunction, trial: int, config: TrialConfig) -> None:
        with contextlib.suppress(OSError):  # a full disk costs the log, not the trial
            os.write(2, trial_marker(trial, config).encode())
        wall, cpu = time.perf_counter(), time.process_time()

        def usage() -> Usage:
            return Usage(time.perf_counter() - wall, time.process_time() - cpu, self._memory())

        report = _Report(self._channel, trial, self._worker)
        ended: Finished | Failed
        try:
            result = plain_result(run_trial(config, report))
            ended = Finished(trial, self._worker, result, usage())
        except _CoordinatorCloses:
            raise
        except BaseException as error:  # sys.exit() in a trial ends the trial, not the worker
            ended = Failed(trial, self._worker, *describe_exception(error), usage())
        finally:
            report.over = True
        self._channel.send(ended)


class _Report:
    """What a trial function is given as ``report``: asks the coordinator whether to stop."""

    def __init__(self, channel: Channel, trial: int, worker: int) -> None:
        self._channel = channel
        self._trial = trial
        self._worker = worker
        self.over = False

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Send the epoch's metrics and wait for the answer; True means stop now.

        Raises:
            TypeError: a metric is not a number.
            ValueError: the epoch is below 1, or past any that a database counts to.
            RuntimeError: the trial is over, and something of it, such as a thread, still runs.
        """
        if self.over:
            raise RuntimeError(f"trial {self._trial} is over: it can report no more epochs")
        values, number = plain_numbers(metrics, "metrics"), int(epoch)
        if not 1 <= number < 2**31:
            raise ValueError(f"report() was given epoch {number}; epochs are counted from 1")
        self._channel.send(Epoch(self._trial, self._worker, number, values))
        answer: Answer | Quit = self._channel.receive()
        if isinstance(answer, Quit):
            raise _CoordinatorCloses
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


def with_artifact_paths(config: TrialConfig, folder: str | None) -> TrialConfig:
    """A trial's config with paths for the names of its files, see ``Setup``.

    Their folders are made: whoever writes a file there need not.
    """
    if folder is None or "orders" not in config:
        return config
    orders = dict(config["orders"])
    for order, keys in _ARTIFACTS.items():
        if order in orders:
            names = {key: orders[order].get(key) for key in keys}
            paths = {key: str(Path(folder, name)) for key, name in names.items() if name}
            orders[order] = {**orders[order], **paths}
            for path in paths.values():
                with contextlib.suppress(OSError):  # what cannot be written is the function's say
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return {**config, "orders": orders}


def artifact_names(config: TrialConfig, reading: bool) -> list[str]:
    """The names of the files that a trial is told to read, or else of those it is to write."""
    orders = config.get("orders", {})
    named = [
        (key, orders[order].get(key))
        for order, keys in _ARTIFACTS.items()
        if order in orders
        for key in keys
    ]
    return [name for key, name in named if name and (key == "load") is reading]


def describe_unprepared(error: BaseException) -> Unprepared:
    """What a worker says when it cannot take trials, and prints."""
    _, reason, detail = describe_exception(error)
    with contextlib.suppress(OSError):
        os.write(2, detail.encode("utf-8", "backslashreplace"))
    if issubclass(type(error), errors.BesomError):
        name = type(error).__name__
        message = shorten(message_of(error))
        return Unprepared(name if hasattr(errors, name) else "BesomError", message)
    return Unprepared("BesomError", f"The workers cannot prepare: {reason}\n{detail.rstrip()}")


def plain(value: Any, where: str) -> Any:
    """Return ``value`` as dicts, lists and scalars; numpy's scalars become Python's.

    Raises:
        TypeError: it holds anything else; the message says ``where`` and what.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise TypeError(f"{where} is an integer of {value.bit_length()} bits, expected at most 64")
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Mapping):
        return {_text(key): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, where) for item in value]
    if isinstance(value, str):  # subclasses: an enum, numpy.str_
        return _text(value)
    for scalar in (bool, int, float):
        if isinstance(value, scalar):  # numpy.float64
            return scalar(value)
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return plain(item(), where)
    raise TypeError(f"{where} is a {_kind(value)}: only dicts, lists, text and numbers may leave")


def plain_numbers(values: Mapping[str, Any], where: str) -> dict[str, float]:
    """Return a mapping of names to Python floats.

    Raises:
        TypeError: it is not a mapping, or a value is not a number; says ``where`` and what.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} is a {_kind(values)}, expected names to numbers")
    return {_text(name): _number(value, f"{where}[{name!r}]") for name, value in values.items()}


def plain_result(result: Any) -> TrialResult:
    """Return a copy of what a trial function returned, made of plain data only.

    Raises:
        TypeError: it is not a ``TrialResult``, or holds what may not leave the worker.
        ValueError: the lists of its history differ in length, or its predictions do not fit them.
    """
    if not isinstance(result, TrialResult):
        raise TypeError(
            f"the trial function returned a {_kind(result)}, expected a besom.seam.TrialResult"
        )
    history = {
        _text(metric): [_number(value, f"history[{metric!r}]") for value in values]
        for metric, values in result.history.items()
    }
    if len({len(values) for values in history.values()}) > 1:
        lengths = ", ".join(f"{metric}: {len(values)}" for metric, values in history.items())
        raise ValueError(f"the lists of the history differ in length ({lengths})")
    best_epoch = None if result.best_epoch is None else int(result.best_epoch)
    n_epochs = max(map(len, history.values()), default=0)
    if best_epoch is not None and not 1 <= best_epoch <= n_epochs:
        raise ValueError(f"best_epoch is {best_epoch}, expected 1 to {n_epochs}, or None")
    checked: dict[str, Any] = {
        "history": history,
        "numbers": plain_numbers(result.numbers, "numbers"),
        "best_epoch": best_epoch,
        "correct": None if result.correct is None else bytes(result.correct),
        "correct_by_epoch": _plain_epochs(result),
        "per_example": {
            _text(metric): _plain_examples(_text(metric), known, result)
            for metric, known in result.per_example.items()
        },
    }
    names = [f.name for f in fields(TrialResult) if f.name not in checked]
    return TrialResult(**checked, **{name: plain(getattr(result, name), name) for name in names})


def _plain_epochs(result: TrialResult) -> list[bytes] | None:
    if result.correct_by_epoch is None:
        return None
    rows = [bytes(row) for row in result.correct_by_epoch]
    if len(rows) != result.epochs:
        raise ValueError(
            f"correct_by_epoch has {len(rows)} entries for {result.epochs} epochs of history"
        )
    size = (int(result.n_validation) + 7) // 8
    if wrong := [len(row) for row in rows if len(row) != size]:
        raise ValueError(
            f"correct_by_epoch has an entry of {wrong[0]} bytes, expected {size}: one bit each for "
            f"{result.n_validation} validation examples (numpy.packbits)"
        )
    return rows


def _plain_examples(metric: str, known: Any, result: TrialResult) -> dict[str, Any]:
    """What is kept of each example by a metric, checked to be as many bytes as it must be."""
    where, n = f"per_example[{metric!r}]", int(result.n_validation)
    found = plain(known, where)
    if not isinstance(found, dict) or found.get("kind") not in PER_EXAMPLE:
        raise ValueError(f"{where} has no kind of {', '.join(PER_EXAMPLE)}")
    rows = [found.get("values"), *(found.get("by_epoch") or ())]
    if len(rows) not in (1, 1 + result.epochs):
        raise ValueError(f"{where} has {len(rows) - 1} epochs for {result.epochs} of history")
    n_rows = int(found.get("units") or n)
    size = {"share": (n + 7) // 8, "mean": 4 * n_rows}.get(found["kind"])
    for row in rows:
        if not isinstance(row, bytes):
            raise TypeError(f"{where} holds a {_kind(row)}, expected bytes")
        if len(row) != size and (size is not None or len(row) % 8 or not row):
            expected = "float32 twice for each draw" if size is None else f"{size} bytes"
            raise ValueError(f"{where} has a row of {len(row)} bytes, expected {expected}")
    return found


def _text(value: Any) -> str:
    """Of exactly the class str: a subclass's instance would bring its class along."""
    return str.__str__(str(value))


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{where} is a {_kind(value)}, expected a number") from None


def _kind(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
