"""A local worker's process: started by ``besom.executors.local``, it serves over a pipe."""

from __future__ import annotations

import sys

from besom.executors.resources import resident_memory
from besom.executors.tether import tethered
from besom.executors.worker_loop import WorkerLoop


def main() -> int:
    """Run the worker whose number is the argument."""
    channel, (worker,) = tethered("worker")
    try:
        return WorkerLoop(int(worker), channel, resident_memory).serve()
    except (EOFError, OSError):  # the coordinator is gone
        return 1


if __name__ == "__main__":
    sys.exit(main())
