"""A clock that stands still while this process does: time limits are about what trials do.

A coordinator that is stopped (Ctrl-Z, a batch system that suspends jobs, a paused virtual machine)
answers no trial, so none gets on. A machine that sleeps needs nothing from here: the monotonic
clock of Linux and macOS sleeps with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: Whoever holds this clock reads it at least this often, in seconds, as long as it is awake.
LOOK_EVERY_S = 1.0
#: A longer time between two readings, in which nothing was computed either, is an absence.
NAP_S = 2.0


class SuspendAwareClock:
    """Seconds, monotonic, less those in which this process was stopped.

    Absence shows as a gap between two readings. What the process computed in the gap (a sampler
    may think for a while) was no absence.

    Args:
        now: seconds, monotonic.
        cpu: CPU seconds of this process.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._now, self._cpu = now, cpu
        self._seen, self._computed = now(), cpu()
        self._absent = 0.0

    def __call__(self) -> float:
        """Read it."""
        now, computed = self._now(), self._cpu()
        idle = now - self._seen - (computed - self._computed)
        if idle > NAP_S:
            self._absent += idle
        self._seen, self._computed = now, computed
        return now - self._absent
