"""What the local executor's worker processes have to say, and whether they end."""

from __future__ import annotations

import math
import selectors

from besom.executors.local.worker_process import WorkerProcess
from besom.executors.pooled_executor import Signs

#: How often to look for dead workers where the system cannot tell (only Linux can).
_LOOK_EVERY_S = 0.5


class WorkerSelector(Signs[WorkerProcess]):
    """Watches the connections and the ends of a set of worker processes."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._unwatched: set[WorkerProcess] = set()  # whose end the system does not tell

    def connect(self, process: WorkerProcess) -> None:
        """Watch for messages of a process, and for its end."""
        self._selector.register(process.connection, selectors.EVENT_READ, (process, False))
        if process.sentinel is None:
            self._unwatched.add(process)
        else:
            self._selector.register(process.sentinel, selectors.EVENT_READ, (process, True))

    def mute(self, process: WorkerProcess) -> None:
        """Watch only for its end."""
        self._selector.unregister(process.connection)

    def disconnect(self, process: WorkerProcess) -> None:
        """Forget a process; call it before its descriptors are closed."""
        for key in list(self._selector.get_map().values()):
            if key.data[0] is process:
                self._selector.unregister(key.fd)
        self._unwatched.discard(process)

    def wait(self, wait_s: float) -> list[tuple[WorkerProcess, bool]]:
        """Wait for a sign of any process, at most ``wait_s`` seconds (infinity = for ever).

        Returns:
            Each process that speaks or has ended, and whether it is the latter. A process can
            stand for both; on a system that cannot tell ends, the list may be empty early.
        """
        if self._unwatched:
            wait_s = min(wait_s, _LOOK_EVERY_S)
        ready = self._selector.select(None if wait_s == math.inf else wait_s)
        signs: list[tuple[WorkerProcess, bool]] = [key.data for key, _ in ready]
        return signs + [(process, True) for process in self._unwatched if process.has_ended()]

    def close(self) -> None:
        """Stop watching."""
        self._selector.close()
