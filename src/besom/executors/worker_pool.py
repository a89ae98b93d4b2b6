"""The workers of one executor: which are idle, run which trial or were told to quit.

The pool only keeps track. What follows from a message, a death or a limit is decided in
``besom.executors.pooled_executor``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic

from besom.executors.channel import Run
from besom.executors.slot import Assignment, Slot, W

#: How long a worker that was told to quit may take to shut down.
_QUIT_TIMEOUT_S = 5.0


class WorkerPool(Generic[W]):
    """Slots, the jobs they run, jobs that wait for one, and processes that were told to quit.

    Args:
        clock: seconds, monotonic; that of the slots.

    Attributes:
        slots: the workers.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.slots: list[Slot[W]] = []
        self._held: list[Assignment] = []  # assigned to workers that turned out to be dead
        self._leaving: dict[W, float] = {}  # told to quit, and when to kill them

    @property
    def idle(self) -> int:
        """How many more jobs can be assigned now."""
        return max(0, sum(slot.idle for slot in self.slots) - len(self._held))

    def slot_of(self, process: W) -> Slot[W] | None:
        """The worker whose present process this is; None if it was replaced."""
        return next((slot for slot in self.slots if slot.process is process), None)

    @property
    def processes(self) -> list[W]:
        """Every process that may be alive."""
        return [*(slot.process for slot in self.slots), *self._leaving]

    @property
    def deadline(self) -> float:
        """When the next process's time is up, in seconds of the clock, or infinity."""
        trials = (slot.deadline for slot in self.slots)
        return min((*trials, *self._leaving.values()), default=math.inf)

    def running(self, trial: int) -> Slot[W] | None:
        """The worker that runs a trial, None if it has ended."""
        runs = (slot for slot in self.slots if slot.job is not None and slot.job.trial == trial)
        return next(runs, None)

    def assign(self, job: Assignment) -> Slot[W] | None:
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

    def expect_end(self, process: W) -> None:
        """Note that a process was told to quit, or killed, and is no longer any slot's."""
        self._leaving[process] = self._clock() + _QUIT_TIMEOUT_S

    def forget(self, process: W) -> None:
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
