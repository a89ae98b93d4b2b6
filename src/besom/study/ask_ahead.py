"""Asks for trials before workers want them, where a sampler would keep workers waiting.

What one ask takes grows with the study, and many workers ask often. So where asking takes long it
is done in a thread of its own: epochs are answered meanwhile. And where it takes more than a small
share of a trial, trials are asked for in advance, as many as workers would otherwise wait for. One
more than needed would only be a trial that has learned less.
"""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from besom.study.running_trial import RunningTrial

#: An ask that takes longer than this is not made by the thread that answers workers.
LONG_S = 0.01
#: Nothing is asked ahead while an ask takes less than this share of a trial.
SMALL_SHARE = 0.01
#: While an ask is under way, look this often whether it is done.
POLL_S = 0.005
#: The thread that answers waits so long for the sampler's, each time it has read or written.
SWITCH_S = 0.0005

_N_ASKS, _N_TRIALS = 8, 100

#: A trial, or why there is none, and the seconds that asking took.
_Asked = tuple[RunningTrial | BaseException, float]


class AskAhead:
    """Trials that have been asked for and not begun, and the thread that asks for them.

    With one worker, or where asking is quick, a trial is asked for when it is taken.

    Args:
        ask: asks for a trial; what it is given is whether the trial will wait.
        begin: stores that a trial that has waited begins.
        n_workers: how many workers there are now.
        clock: seconds, monotonic.

    Attributes:
        under_way: an ask of the thread has not been noticed to have ended.
        closing: its last ask need not succeed any more.
    """

    def __init__(
        self,
        ask: Callable[[bool], RunningTrial],
        begin: Callable[[RunningTrial], RunningTrial],
        n_workers: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._begin, self._n_workers, self._clock = ask, begin, n_workers, clock
        self._waiting: deque[RunningTrial] = deque()
        self._asks: deque[float] = deque(maxlen=_N_ASKS)  # seconds that each took
        self._trials: deque[float] = deque(maxlen=_N_TRIALS)
        self._orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[_Asked] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._switch_s = sys.getswitchinterval()
        self.under_way = self.closing = False

    def __len__(self) -> int:
        """How many trials have been or are being asked for."""
        return len(self._waiting) + self.under_way

    @property
    def in_its_thread(self) -> bool:
        """Whether this is called by the sampler's thread."""
        return threading.current_thread() is self._thread

    def add(self, recovered: Iterable[RunningTrial]) -> None:
        """Trials that an earlier coordinator asked ahead: they begin first."""
        self._waiting.extend(recovered)

    def note(self, seconds: float) -> None:
        """A trial took so long."""
        if seconds > 0:
            self._trials.append(seconds)

    @property
    def depth(self) -> int:
        """How many trials should wait, ready to begin."""
        n_workers = self._n_workers()
        if n_workers == 1 or not self._trials or not self._asks:
            return 0
        share = _mean(self._asks) / _mean(self._trials)
        return 0 if share < SMALL_SHARE else min(math.ceil(n_workers * share), n_workers)

    @property
    def takes_long(self) -> bool:
        """Whether asking is left to the thread."""
        is_long = bool(self._asks) and _mean(self._asks) > LONG_S
        return self._n_workers() > 1 and (is_long or self.depth > 0)

    def order(self, n_idle: int) -> None:
        """Have the thread ask for a trial, if that takes long and there are too few.

        Args:
            n_idle: how many workers wait for a trial.
        """
        self._collect()
        if not self.under_way and self.takes_long and len(self) < max(self.depth, n_idle):
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
                self._thread.start()
                sys.setswitchinterval(min(SWITCH_S, self._switch_s))
            self.under_way = True
            self._orders.put(True)

    @property
    def ready(self) -> bool:
        """Whether ``take`` has a trial now."""
        self._collect()
        return bool(self._waiting) or not (self.under_way or self.takes_long)

    def take(self) -> RunningTrial:
        """The trial to begin next; only if there is one ready.

        Raises:
            ConfigError: the sampler cannot propose one.
        """
        if not self._waiting:
            self._take_in(self._timed(False))
            return self._waiting.popleft()
        return self._begin(self._waiting.popleft())

    def close(self) -> None:
        """End the thread. What has been asked ahead stays in the study, for a resume."""
        if self._thread is None:
            return
        self.closing = True
        self._orders.put(False)
        self._thread.join()
        sys.setswitchinterval(self._switch_s)
        self._thread, self.under_way = None, False

    def _collect(self) -> None:
        if self.under_way and not self._asked.empty():
            self.under_way = False
            self._take_in(self._asked.get())

    def _take_in(self, asked: _Asked) -> None:
        trial, seconds = asked
        self._asks.append(seconds)
        if isinstance(trial, BaseException):
            raise trial
        self._waiting.append(trial)

    def _timed(self, ahead: bool) -> _Asked:
        began = self._clock()
        trial: RunningTrial | BaseException
        try:
            trial = self._ask(ahead)
        except BaseException as error:  # raised where the trial is taken in
            trial = error
        return trial, self._clock() - began

    def _run(self) -> None:
        while self._orders.get():
            self._asked.put(self._timed(True))


def _mean(values: deque[float]) -> float:
    return sum(values) / len(values)
