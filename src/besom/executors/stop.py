"""Whether a run begins to stop, why, and how long it then waits for the epochs that still run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import StrEnum


class Ending(StrEnum):
    """How a sweep ended."""

    DONE = "done"
    BUDGET = "budget"
    INTERRUPTED = "interrupted"
    BROKEN = "broken"


class Stop:
    """The stop of one run of a sweep, once it has a reason.

    Args:
        begun: called with the reason when the sweep begins to stop, and again if it is
            interrupted while it stops.

    Attributes:
        reason: why; None as long as the sweep goes on.
        ending: how it will have ended.
    """

    def __init__(self, begun: Callable[[str], None]) -> None:
        self._begun = begun
        self._signal: str | None = None
        self.reason: str | None = None
        self.ending = Ending.DONE

    @property
    def under_way(self) -> bool:
        """Whether no new trial may start."""
        return self.reason is not None or self._signal is not None

    def interrupt(self, reason: str) -> None:
        """Note an interruption for later: in a signal's handler nothing else is safe."""
        self._signal = reason

    def apply_interruption(self) -> None:
        """Begin to stop if there was an interruption, even if it stops for another reason."""
        if self._signal is None:
            return
        signal, self._signal = self._signal, None
        before, self.reason = self.reason, None
        self.begin(f"{before}; {signal}" if before else signal, Ending.INTERRUPTED)

    def begin(self, reason: str, ending: Ending) -> None:
        """Begin to stop, unless that has begun: the first reason counts."""
        if self.reason is None:
            self.reason, self.ending = reason, ending
            self._begun(reason)


#: An epoch may take this many times the longest one seen, and never less than ``LEAST_S`` seconds.
FACTOR = 3.0
LEAST_S = 60.0


class DrainTimeout:
    """Says when a run that stops need not wait any longer for its running trials.

    A trial has ``FACTOR`` times its own longest epoch so far, before its first the longest of any
    trial, counted from when the sweep began to stop, or from the trial's last sign if that is
    later. Before any epoch has ended, nothing is known of them, and ``LEAST_S`` is all there is.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_sign: dict[int, float] = {}
        self._longest: dict[int, float] = {}
        self._longest_of_all = 0.0
        self._stopping_since = math.inf

    def started(self, trial: int) -> None:
        """A trial began, or began again."""
        self._last_sign[trial] = self._clock()
        self._longest.pop(trial, None)

    def epoch(self, trial: int) -> None:
        """An epoch of a trial ended."""
        now = self._clock()
        took = now - self._last_sign.get(trial, now)
        self._last_sign[trial] = now
        self._longest[trial] = max(took, self._longest.get(trial, 0.0))
        self._longest_of_all = max(took, self._longest_of_all)

    def ended(self, trial: int) -> None:
        """A trial ended."""
        self._last_sign.pop(trial, None)
        self._longest.pop(trial, None)

    def stopping(self) -> None:
        """From now on the running trials are only waited for."""
        self._stopping_since = min(self._clock(), self._stopping_since)

    def exhausted(self, trials: Iterable[int]) -> bool:
        """Whether none of ``trials`` is worth waiting for any longer; True if there is none."""
        now = self._clock()
        return all(now >= self._until(trial) for trial in trials)

    def _until(self, trial: int) -> float:
        longest = self._longest.get(trial, self._longest_of_all)
        since = max(self._stopping_since, self._last_sign.get(trial, 0.0))
        return since + max(LEAST_S, FACTOR * longest)
