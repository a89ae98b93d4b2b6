"""A local worker's process: started by ``besom.executors.local.process``, it serves over a pipe."""

from __future__ import annotations

import argparse
import faulthandler
import io
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from besom.executors.local import parent_watchdog
from besom.executors.local.resources import resident_memory
from besom.executors.local.wire import PipeChannel
from besom.executors.worker_loop import WorkerLoop


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
    for name in ("worker", "connection", "watchdog", "coordinator"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--die-with-parent", action="store_true")
    arguments = parser.parse_args()
    parent_watchdog.start(arguments.watchdog, arguments.coordinator, arguments.die_with_parent)
    os.set_inheritable(arguments.connection, False)
    sys.stdout, sys.stderr = _log_to(1), _log_to(2)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"[besom] worker {arguments.worker}, process {os.getpid()}, {now}", flush=True)
    try:
        channel = PipeChannel(Connection(arguments.connection))
        return WorkerLoop(arguments.worker, channel, resident_memory).serve()
    except (EOFError, OSError):  # the coordinator is gone
        return 1


if __name__ == "__main__":
    sys.exit(main())
