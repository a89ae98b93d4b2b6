"""No worker outlives its coordinator, and no child of a worker its worker.

The coordinator holds the writing end of a pipe and never writes. When it ends,
however it ends, the kernel closes that end, and the worker's whole process group is killed: its
children too, and even while a long C call holds the interpreter. Three nets, for what each misses:

- ``O_ASYNC`` with ``F_SETSIG`` (Linux, fcntl(2)): the kernel itself kills the group;
- a thread that waits for the end of the file: everywhere, but it needs the interpreter to run;
- ``PR_SET_PDEATHSIG`` (Linux, prctl(2)): holds even if a fork of the coordinator kept the pipe.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def start(pipe: int, coordinator: int, die_with_parent: bool) -> None:
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


def _wait_for_end(pipe: int) -> None:
    try:
        os.read(pipe, 1)
    except OSError:  # the trial closed descriptors that are not its own: the other nets hold
        return
    _kill_group()


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
