"""What the coordinator and a worker say to each other, and how it travels.

Separates the words from who says them. The coordinator sends ``Setup`` once, then ``Run``,
``Answer`` and ``Quit``. The worker sends ``Prepared`` or ``Unprepared`` once, then the executor's
own events ``Epoch``, ``Finished`` and ``Failed``. Only plain data travels, so the coordinator never
imports what a trial imports.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from besom.errors import ConfigError
from besom.executors.base import Epoch, Failed, Finished
from besom.seam import TrialConfig, TrialResult
from besom.trust import Trust, current


@dataclass(frozen=True)
class Setup:
    """What a worker needs before its first trial.

    Attributes:
        trial_function: ``"module:function"``.
        base_config: handed to the module's ``prepare``.
        sys_path: where the coordinator imports from, so that the worker finds the same modules.
        trust: what the configs may run. The configs have no say in it.
        first: whether it prepares for all; the others have ``prepare_another`` for it.
    """

    trial_function: str
    base_config: TrialConfig
    sys_path: tuple[str, ...]
    first: bool = True
    trust: Trust = field(default_factory=current)


@dataclass(frozen=True)
class Run:
    """Run this trial now."""

    trial: int
    config: TrialConfig


@dataclass(frozen=True)
class Answer:
    """The answer to the worker's last ``Epoch``."""

    stop: bool


@dataclass(frozen=True)
class Quit:
    """End: at once if idle, else at the next report."""


@dataclass(frozen=True)
class Prepared:
    """The worker takes trials.

    Attributes:
        facts: what it returned.
        memory_bytes: its resident memory before the first trial.
        whole: whether it was ``prepare`` that ran, and not ``prepare_another``.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    memory_bytes: int = 0
    whole: bool = True


@dataclass(frozen=True)
class Unprepared:
    """The worker cannot take trials, and ends.

    Attributes:
        error: the name of the exception's class if ``besom.errors`` has it, else ``BesomError``.
        message: for the user.
    """

    error: str
    message: str


ToWorker = Setup | Run | Answer | Quit
FromWorker = Prepared | Unprepared | Epoch | Finished | Failed


def make_setup(trial_function: str, base_config: TrialConfig, folder: str) -> Setup:
    """Describe this process to its workers, which work in ``folder``.

    Raises:
        ConfigError: the trial function is not named as workers could import it.
    """
    module, colon, function = trial_function.partition(":")
    if not (module and colon and function):
        raise ConfigError(f"The trial function is {trial_function!r}, expected 'module:function'.")
    if module == "__main__":
        raise ConfigError(
            f"The trial function {trial_function!r} is in the script itself, which workers cannot "
            "import: put it in a module beside the script."
        )
    sys_path = tuple(str(entry) or folder for entry in sys.path)
    if folder not in sys_path:  # a user's own modules, as `python -m` would find them
        sys_path = (folder, *sys_path)
    return Setup(trial_function, base_config, sys_path)


def send(connection: Connection, message: ToWorker | FromWorker) -> None:
    """Send a message; returns once it is in the kernel's hands.

    Raises:
        OSError: the other side is gone.
        TypeError, AttributeError, pickle.PicklingError: it holds what cannot be pickled.
    """
    connection.send_bytes(pickle.dumps(message, protocol=5))


def receive(connection: Connection) -> Any:
    """Wait for the next message.

    Raises:
        EOFError, OSError: the other side is gone.
    """
    return pickle.loads(connection.recv_bytes())


def trial_marker(trial: int) -> str:
    """Return the line that a worker prints before each trial, so that its output can be found."""
    return f"[besom] trial {trial}"


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
        TypeError: it is no mapping, or a value is no number; the message says ``where`` and what.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} is a {_kind(values)}, expected names to numbers")
    return {_text(name): _number(value, f"{where}[{name!r}]") for name, value in values.items()}


def plain_result(result: Any) -> TrialResult:
    """Return a copy of what a trial function returned, made of plain data only.

    Raises:
        TypeError: it is no ``TrialResult``, or holds what may not leave the worker.
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
    return TrialResult(
        history=history,
        numbers=plain_numbers(result.numbers, "numbers"),
        best_epoch=best_epoch,
        stopped_early=bool(result.stopped_early),
        n_validation=int(result.n_validation),
        correct=None if result.correct is None else bytes(result.correct),
        correct_by_epoch=_plain_epochs(result),
        environment=plain(result.environment, "environment"),
    )


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
            f"{result.n_validation} validation images (numpy.packbits)"
        )
    return rows


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
