"""A process of besom's own as the coordinator holds it: spawn it, talk to it, end it, and its log.

It is a fresh Python, not a ``multiprocessing`` child, which would import the user's main script
again. What it does with its arguments is in ``besom.executors.tether``.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, Any

import besom
from besom.errors import BesomError
from besom.executors.channel import PipeChannel, after_last_marker

_LOG_TAIL_BYTES = 8192
_LOG_TAIL_LINES = 40
_KILL_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Launch:
    """How to spawn a process; a replacement is spawned the same way.

    Attributes:
        module: what Python runs.
        called: what messages call it, such as ``Worker 3``.
        first: the first message; picklable. None: it is sent later.
        environment: its whole environment.
        folder: its current folder.
        log: where its stdout and stderr are appended; None: nowhere.
        log_called: what messages call that.
        arguments: what the module is given besides its tether.
        remedy: what to do if it cannot be spawned.
    """

    module: str
    called: str
    first: Any
    environment: Mapping[str, str]
    folder: str
    log: Path | None
    log_called: str = "The worker's log"
    arguments: tuple[str, ...] = ()
    remedy: str = "Free what is short."


class ChildProcess:
    """A running process.

    Attributes:
        connection: poll it for messages; ``receive`` takes one.
        log_start: where in its log its own output begins.
        sentinel: a descriptor that turns readable when the process has ended; None where the
            system has no such thing (only Linux does), then ask ``has_ended`` now and then.

    Raises:
        BesomError: the process cannot be spawned, or its log not be written.
    """

    def __init__(self, launch: Launch) -> None:
        self._called, self._log = launch.called, launch.log
        self.log_start = 0
        self.connection, theirs = Pipe()
        self._channel = PipeChannel(self.connection)
        watchdog, our_watchdog = os.pipe()  # it ends when ours is closed
        self._descriptors = [our_watchdog]
        try:
            self._popen = self._spawn(launch, theirs.fileno(), watchdog)
        except BaseException as error:
            self._close()
            if isinstance(error, OSError):
                raise BesomError(
                    f"{launch.called} cannot be started: {error}. {launch.remedy}"
                ) from error
            raise
        finally:
            theirs.close()
            os.close(watchdog)
        self.sentinel = _open_pidfd(self._popen.pid)
        if self.sentinel is not None:
            self._descriptors.append(self.sentinel)
        if launch.first is not None:
            self.send(launch.first)

    def _spawn(self, launch: Launch, connection: int, watchdog: int) -> subprocess.Popen[bytes]:
        in_main_thread = threading.current_thread() is threading.main_thread()
        command = [
            # -P: a user's ./types.py must not shadow Python's own before sys.path is handed over.
            *(sys.executable, "-P", "-m", launch.module),
            *launch.arguments,
            *("--connection", str(connection)),
            *("--watchdog", str(watchdog)),
            *("--coordinator", str(os.getpid())),
            *(["--die-with-parent"] if in_main_thread else []),
        ]
        with self._open_log(launch.log_called) as log:
            return subprocess.Popen(
                command,
                env={**launch.environment, **_import_path(launch.environment)},
                cwd=launch.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(connection, watchdog),
                start_new_session=True,  # a terminal's Ctrl-C is the coordinator's alone
            )

    def _open_log(self, called: str) -> IO[bytes]:
        if self._log is None:
            return open(os.devnull, "wb")  # noqa: PTH123
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            log = self._log.open("ab")
        except OSError as error:
            raise BesomError(
                f"{called} {self._log} cannot be written: {error.strerror}. Make the "
                "folder writable, or choose another with results_dir."
            ) from error
        self.log_start = log.tell()
        return log

    @property
    def pid(self) -> int:
        """Its process id, and that of its process group and session."""
        return self._popen.pid

    @property
    def over(self) -> bool:
        """Whether it has been reaped, and all that belongs to it closed."""
        return not self._descriptors

    def send(self, message: Any) -> bool:
        """Send a message; False if the process is gone."""
        try:
            self._channel.send(message)
        except OSError:
            return False
        return True

    def receive(self) -> Any:
        """Wait for its next message.

        Raises:
            EOFError, OSError: the process is gone.
        """
        return self._channel.receive()

    def has_ended(self, within_s: float = 0.0) -> bool:
        """Whether the process has ended, waiting at most ``within_s`` seconds for it."""
        if self.over:
            return True
        if self.sentinel is not None:
            poll = select.poll()
            poll.register(self.sentinel, select.POLLIN)
            return bool(poll.poll(within_s * 1000))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(within_s)
        return self._popen.returncode is not None

    def kill(self) -> None:
        """Kill it and what it has spawned; does not wait."""
        if self.over:  # its number may be another's by now
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self) -> int | None:
        """Kill what is left of its process group, reap it, and close all that belongs to it.

        Returns:
            The exit code, or the negated signal; None if the kernel does not let it end.
        """
        # While it is not reaped, nothing else can have its process group's number.
        self.kill()
        status: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._popen.wait(_KILL_TIMEOUT_S)
        self._close()
        return status

    def _close(self) -> None:
        self.connection.close()
        while self._descriptors:
            os.close(self._descriptors.pop())

    def log_tail(self, of_trial: bool = False) -> str:
        """Return the end of what this process printed, or what its last trial did alone."""
        return last_lines(self.whole_tail(), of_trial)

    def whole_tail(self) -> str:
        """Return the end of its log, of a few pages."""
        return "" if self._log is None else tail_of(self._log, self.log_start)


def tail_of(log: Path | str, start: int) -> str:
    """The end of a log, from ``start`` on; empty if it cannot be read."""
    try:
        with Path(log).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def last_lines(tail: str, of_trial: bool) -> str:
    """The last lines of a log's end, or what is of the last trial alone."""
    text = after_last_marker(tail) if of_trial else tail
    return "\n".join(text.strip().splitlines()[-_LOG_TAIL_LINES:])


def _open_pidfd(pid: int) -> int | None:
    """Return a descriptor that turns readable when ``pid`` ends, None where there is none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # macOS, or a kernel or sandbox without it
        return None


def _import_path(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a ``PYTHONPATH`` by which a fresh Python finds besom, empty if it does anyway."""
    root = str(Path(besom.__file__).absolute().parents[1])
    if root in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return {}
    inherited = environment.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root])}
