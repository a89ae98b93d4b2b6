"""One coordinator per study's folder: a file lock that ends with its process."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

from besom.store.holder import Command, Holder, held

#: Whoever only looks whether a lock is held has it for an instant, and writes no name into it.
_PROBED_S = 0.5


class CoordinatorLock:
    """Held while a command runs a study's trials; a context manager.

    The lock is the kernel's (``flock``), so a coordinator that was killed holds nothing, whatever
    it left in the file. The file's text only says who has it.

    Args:
        path: the lock file.
        command: which command wants it, such as ``sweep`` or ``confirm``.

    Raises:
        StudyError: another coordinator has this study; named are its command, host and process.
    """

    def __init__(self, path: Path, command: Command) -> None:
        self._path, self._command = path, command
        self._descriptor: int | None = None

    def __enter__(self) -> CoordinatorLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        until = time.monotonic() + _PROBED_S
        while not _locked(descriptor):
            holder = os.pread(descriptor, 4096, 0)
            if holder or time.monotonic() > until:
                os.close(descriptor)
                what = f"The study in {self._path.parent}"
                raise held(what, Holder.read(holder), self._command)
            time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        owner = Holder.this_process(self._command).described()
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *error: object) -> None:
        if self._descriptor is not None:
            # Emptied, not unlinked: two others could otherwise lock two files of this name.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock in this file; None: nobody, or someone who has not said who yet."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Holder.read(os.pread(descriptor, 4096, 0))
    finally:
        os.close(descriptor)
    return None
