"""How often what takes long is made again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Nothing is made again sooner than after so many seconds.
LEAST_S = 5.0
#: Nor sooner than after so many times the CPU seconds that it took: a page that a reader asks for;
#: one by itself; by itself its charts that take long; and reading the study on. All that happens by
#: itself takes 0.7 % of a core at most.
ASKED, BY_ITSELF, SLOW_BY_ITSELF, LOOKING = 20.0, 300.0, 600.0, 500.0
#: The same after a study has been read from its beginning, which happens once as a rule and costs
#: much more than reading it on: what comes next should not wait for that.
OPENING = 10.0


class Pace:
    """When something may be made again.

    Args:
        least_s: seconds that it waits in any case.
        clock: seconds that pass.
        cpu: CPU seconds of this process.
    """

    def __init__(
        self,
        least_s: float = LEAST_S,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._least_s, self._clock, self._cpu = least_s, clock, cpu
        self._ended: float | None = None
        self._cost = 0.0

    def is_due(self, times: float) -> bool:
        """Whether it may be made again after ``times`` its cost."""
        if self._ended is None:
            return True
        return self._clock() >= self._ended + max(self._least_s, times * self._cost)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Measure what is made in this block."""
        began = self._cpu()
        try:
            yield
        finally:
            self.made(self._cpu() - began)

    def made(self, cost: float) -> None:
        """It was made just now, at this cost in CPU seconds."""
        self._cost, self._ended = cost, self._clock()

    def since_s(self) -> float:
        """Seconds since it was made."""
        return 0.0 if self._ended is None else self._clock() - self._ended
