"""Whether a sweep has begun to stop, why, and how it will have ended."""

from __future__ import annotations

from collections.abc import Callable
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
