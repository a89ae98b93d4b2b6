"""What the coordinator and a worker say to each other, whatever carries it.

The coordinator sends ``Setup`` once, then ``Run``, ``Answer`` and ``Quit``. The worker sends
``Prepared`` or ``Unprepared`` once, then the executor's own events ``Epoch``, ``Finished`` and
``Failed``. Only plain data is sent, so the coordinator never imports what a trial imports.
"""

from __future__ import annotations

import pickle
import re
import sys
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

from besom.errors import ConfigError
from besom.executors.base import Epoch, Failed, Finished
from besom.seam import TrialConfig
from besom.trust import Trust, current


@dataclass(frozen=True)
class Setup:
    """What a worker needs before its first trial.

    Attributes:
        trial_function: ``"module:function"``.
        base_config: handed to the module's ``prepare``.
        sys_path: where the coordinator imports from, so that the worker finds the same modules.
        first: whether it prepares for all; the others have ``prepare_another`` for it.
        artifacts: the folder that the names of models and checkpoints in a trial's ``orders`` are
            relative to, as the worker sees it; None: they are paths.
        folder: the current folder to work in; None: that which the worker was started in.
        trust: what the configs may run. The configs have no say in it.
    """

    trial_function: str
    base_config: TrialConfig
    sys_path: tuple[str, ...]
    first: bool = True
    artifacts: str | None = None
    folder: str | None = None
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


class Channel(Protocol):
    """One end of the connection between a worker and its coordinator; each executor has its own."""

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            OSError: the other side is gone.
        """
        ...

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            EOFError, OSError: the other side is gone.
        """
        ...


def make_setup(
    trial_function: str, base_config: TrialConfig, folder: str, artifacts: str | None = None
) -> Setup:
    """Describe this process to its workers, which work in ``folder``.

    Args:
        trial_function, base_config, artifacts: see ``Setup``.
        folder: the workers' current folder.

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
    return Setup(trial_function, base_config, sys_path, artifacts=artifacts)


def trial_marker(trial: int, config: TrialConfig) -> str:
    """The line that a worker prints before each trial, so that its output can be found.

    It calls the trial as ``orders`` does, where it is one run of a trial of several.
    """
    called = config.get("orders", {}).get("called")
    return f"{_MARKER}{called or f'trial {trial}'}\n"


def after_last_marker(text: str) -> str:
    """What a worker has printed since its last marker; all of the text, if there is none."""
    return re.split(rf"^{re.escape(_MARKER)}.*\n", text, flags=re.MULTILINE)[-1]


_MARKER = "[besom] "


class PipeChannel(Channel):
    """One end of a pipe.

    Args:
        connection: the end, which the channel does not close.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, message: Any) -> None:
        """Send a message; returns once it is in the kernel's hands.

        Raises:
            OSError: the other side is gone.
            TypeError, AttributeError, pickle.PicklingError: it holds what cannot be pickled.
        """
        self._connection.send_bytes(pickle.dumps(message, protocol=5))

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            EOFError, OSError: the other side is gone.
        """
        return pickle.loads(self._connection.recv_bytes())
