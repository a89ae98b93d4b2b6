"""The workers of one executor: which are idle, run which trial or were told to quit, and what they
have to say.

The pool and the selector only keep track. What follows from a message, a death or a limit is
decided in ``besom.executors.local.executor``.
"""

from __future__ import annotations

import math
import selectors
from collections.abc import Callable

from besom.executors.channel import Run
from besom.executors.local.process import WorkerProcess
from besom.executors.local.slot import Assignment, Slot

#: How long a worker that was told to quit may take to shut down.
_QUIT_TIMEOUT_S = 5.0


class WorkerPool:
    """Slots, the jobs they run, jobs that wait for one, and processes that were told to quit.

    Args:
        clock: seconds, monotonic; that of the slots.

    Attributes:
        slots: the workers, by their number.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.slots: list[Slot] = []
        self._held: list[Assignment] = []  # assigned to workers that turned out to be dead
        self._leaving: dict[WorkerProcess, float] = {}  # told to quit, and when to kill them

    @property
    def idle(self) -> int:
        """How many more jobs can be assigned now."""
        return max(0, sum(slot.idle for slot in self.slots) - len(self._held))

    @property
    def processes(self) -> list[WorkerProcess]:
        """Every process that may be alive."""
        return [*(slot.process for slot in self.slots), *self._leaving]

    @property
    def deadline(self) -> float:
        """When the next process's time is up, in seconds of the clock, or infinity."""
        trials = (slot.deadline for slot in self.slots)
        return min((*trials, *self._leaving.values()), default=math.inf)

    def running(self, trial: int) -> Slot | None:
        """The worker that runs a trial, None if it has ended."""
        runs = (slot for slot in self.slots if slot.job is not None and slot.job.trial == trial)
        return next(runs, None)

    def assign(self, job: Assignment) -> Slot | None:
        """Send a job to an idle worker, and return that; None: there was none, so it is held."""
        for slot in self.slots:
            # A send fails if the worker is dead, which the selector is about to say.
            if slot.idle and slot.process.send(Run(job.trial, job.config)):
                slot.take(job)
                return slot
        self._held.append(job)
        return None

    def next_held(self) -> Assignment | None:
        """Take the job that has been held longest."""
        return self._held.pop(0) if self._held else None

    def expect_end(self, process: WorkerProcess) -> None:
        """Note that a process was told to quit, or killed, and is no longer any slot's."""
        self._leaving[process] = self._clock() + _QUIT_TIMEOUT_S

    def forget(self, process: WorkerProcess) -> None:
        """Note that a process has ended."""
        self._leaving.pop(process, None)

    def kill_overdue(self) -> None:
        """Kill the processes that were expected to end by now."""
        now = self._clock()
        for process, until in self._leaving.items():
            if until <= now:
                process.kill()
                self._leaving[process] = math.inf

    def clear(self) -> None:
        """Forget everything."""
        for account in (self.slots, self._held, self._leaving):
            account.clear()


#: How often to look for dead workers where the system cannot tell (only Linux can).
_LOOK_EVERY_S = 0.5


class WorkerSelector:
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
