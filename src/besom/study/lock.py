"""One coordinator a study on this machine: a file lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType

from besom.errors import StudyError


class CoordinatorLock:
    """Held while a sweep runs; a context manager.

    The lock is the kernel's (``flock``), so a coordinator that was killed holds nothing, whatever
    it left in the file. The file's text only says who has it.

    Args:
        path: the lock file.

    Raises:
        StudyError: another coordinator is sweeping this study; names host, pid and since when.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> CoordinatorLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 4096, 0)
            os.close(descriptor)
            raise StudyError(self._held_by(holder)) from None
        os.ftruncate(descriptor, 0)
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            # Emptied, not unlinked: two others could otherwise lock two files of this name.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _held_by(self, holder: bytes) -> str:
        try:
            owner = json.loads(holder)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner["since"]))
            who = f"process {owner['pid']} on {owner['host']} since {since}"
        except (ValueError, KeyError, TypeError):
            who = "another process"
        return (
            f"The study in {self._path.parent} is being swept by {who}. "
            "Wait for it, stop it, or sweep under another name with sweep.name=NAME."
        )
