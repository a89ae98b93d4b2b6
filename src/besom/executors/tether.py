"""A process of besom's own as it sees itself: tied to the coordinator, its output a log.

``besom.executors.process`` spawns it. It never outlives its coordinator, nor does any child of it
that stays in its process group. The coordinator holds the writing end of a pipe and never writes.
When it ends, however it ends, the kernel closes that end, and the whole process group is killed:
even while a long C call holds the interpreter. Three nets, for what each misses:

- ``O_ASYNC`` with ``F_SETSIG`` (Linux, fcntl(2)): the kernel itself kills the group;
- a thread that waits for the end of the file: everywhere, but it needs the interpreter to run;
- ``PR_SET_PDEATHSIG`` (Linux, prctl(2)): holds even if a fork of the coordinator kept the pipe.

Where something else may kill this process alone, a guard keeps the first two: a fork of it that
does nothing else.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import fcntl
import io
import os
import select
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from besom.executors.channel import PipeChannel

_PR_SET_PDEATHSIG = 1


def tethered(called: str) -> tuple[PipeChannel, list[str]]:
    """Begin a process that the coordinator has spawned.

    Args:
        called: what its log calls it.

    Returns:
        Its channel to the coordinator, and the arguments that are its own.
    """
    faulthandler.enable()  # a segmentation fault leaves the Python frames in the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="besom", description="Started by `besom sweep`.")
    for name in ("connection", "watchdog", "coordinator"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--die-with-parent", action="store_true")
    parser.add_argument("--guarded", action="store_true")
    arguments, own = parser.parse_known_args()
    if arguments.guarded:
        _leave_guard(arguments.watchdog)
    end_with_coordinator(arguments.watchdog, arguments.coordinator, arguments.die_with_parent)
    os.set_inheritable(arguments.connection, False)
    sys.stdout, sys.stderr = log_to(1), log_to(2)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"[besom] {' '.join([called, *own])}, process {os.getpid()}, {now}", flush=True)
    return PipeChannel(Connection(arguments.connection)), own


class _Log(io.FileIO):
    """A full disk costs the log, not the trial that prints."""

    def write(self, data: Any) -> int:
        """Write what the disk takes, and drop the rest."""
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def log_to(descriptor: int) -> io.TextIOWrapper:
    """A text stream to a descriptor that never raises for want of space."""
    raw = _Log(descriptor, "w", closefd=False)
    # By the line: else a death loses what was printed last.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True
    )


def end_with_coordinator(pipe: int, coordinator: int, die_with_parent: bool) -> None:
    """Tie this process group to the coordinator; ends the process if that is gone already.

    Args:
        pipe: the reading end of the coordinator's pipe.
        coordinator: the coordinator's process id.
        die_with_parent: use ``PR_SET_PDEATHSIG`` too. It strikes when the parent *thread* that
            spawned this process ends, so only the main thread's children may.
    """
    os.set_inheritable(pipe, False)
    if sys.platform == "linux":
        fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        if die_with_parent:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(
        target=_wait_for_end, args=(pipe,), name="parent watchdog", daemon=True
    ).start()
    # It may have ended before all that was in place.
    if os.getppid() != coordinator or select.select([pipe], [], [], 0)[0]:
        _kill_group()


def _leave_guard(pipe: int) -> None:
    """Leave a process in this group that outlives this one, and ends the group in its place."""
    if os.fork():
        return
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    os.closerange(0, pipe)
    os.closerange(pipe + 1, 4096)
    _wait_for_end(pipe)
    os._exit(1)


def _wait_for_end(pipe: int) -> None:
    try:
        os.read(pipe, 1)
    except OSError:  # the trial closed descriptors that are not its own: the other nets hold
        return
    _kill_group()


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
