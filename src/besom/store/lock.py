"""One coordinator per study on this machine: a file lock that ends with its process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Literal

from besom.errors import StudyError

Command = Literal["sweep", "confirm"]

_DOING = {"sweep": "being swept", "confirm": "being confirmed"}
_INSTEAD = {
    "sweep": "Wait for it, stop it, or sweep under another name with sweep.name=NAME.",
    "confirm": "Wait for it, or stop it.",
}


class CoordinatorLock:
    """Held while a command runs a study's trials; a context manager.

    The lock is the kernel's (``flock``), so a coordinator that was killed holds nothing, whatever
    it left in the file. The file's text only says who has it.

    Args:
        path: the lock file.
        command: which command wants it: ``sweep`` or ``confirm``.

    Raises:
        StudyError: another coordinator has this study; named are its command, host and process.
    """

    def __init__(self, path: Path, command: Command) -> None:
        self._path, self._command = path, command
        self._descriptor: int | None = None

    def __enter__(self) -> CoordinatorLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 4096, 0)
            os.close(descriptor)
            raise StudyError(
                f"The study in {self._path.parent} is {_describe_holder(holder)}. "
                f"{_INSTEAD[self._command]}"
            ) from None
        os.ftruncate(descriptor, 0)
        owner = {
            "command": self._command,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": time.time(),
        }
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *error: object) -> None:
        if self._descriptor is not None:
            # Emptied, not unlinked: two others could otherwise lock two files of this name.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _describe_holder(holder: bytes) -> str:
    """Who holds the lock, by the text in the lock file."""
    try:
        owner = json.loads(holder)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner["since"]))
        doing = _DOING[owner["command"]]
        return f"{doing} by process {owner['pid']} on {owner['host']} since {since}"
    except (ValueError, KeyError, TypeError):
        return "in use by another process"
