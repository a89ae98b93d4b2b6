"""Workers that exist in a simulation only, for measuring the coordinator alone.

Time is the coordinator's own: the clock runs with the CPU seconds of this process, whatever else
the machine does, and jumps ahead where the coordinator has nothing to do but wait. So 10,000 trials
of half a minute on 64 workers take as long as the coordinator works on them.
"""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from besom.executors.base import Epoch, Event, Executor, Finished, Ready, Started, Usage
from besom.seam import TrialConfig, TrialResult

#: A message from the coordinator to a worker or back: half of what an epoch costs on Ray.
LATENCY_S = 0.0011 / 2


class CoordinatorClock:
    """Seconds that the coordinator has worked or waited.

    Args:
        is_working: whether another thread than the one that waits has work to do.
    """

    def __init__(self, is_working: Callable[[], bool]) -> None:
        self._is_working = is_working
        self._skipped_s, self._simulating_s = 0.0, time.process_time()

    def __call__(self) -> float:
        """Seconds since the clock was made."""
        return self.worked_s + self._skipped_s

    @property
    def worked_s(self) -> float:
        """CPU seconds of the coordinator, without those of the simulation."""
        return time.process_time() - self._simulating_s

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What this thread does meanwhile is not the coordinator's work."""
        began = time.thread_time()
        try:
            yield
        finally:
            self._simulating_s += time.thread_time() - began

    def wait_until(self, moment: float) -> None:
        """Let time pass: really while another thread works, else at once."""
        while (left := moment - self()) > 0:
            if not self._is_working():
                self._skipped_s += left
                return
            time.sleep(min(left, 0.001))


@dataclass
class _Trial:
    number: int
    worker: int
    result: TrialResult
    epoch_s: float
    began: float
    epoch: int = 0
    asked: float = 0.0  # when its last epoch reached the coordinator


@dataclass
class Waits:
    """What the workers waited for.

    Attributes:
        answers_s: for each epoch, how long the coordinator took to answer it.
        idle_by_trial, seconds_by_trial: for each trial, how long its worker had waited for it and
            how long it then ran.
    """

    answers_s: list[float] = field(default_factory=list)
    idle_by_trial: list[float] = field(default_factory=list)
    seconds_by_trial: list[float] = field(default_factory=list)


class VirtualWorkers(Executor):
    """An executor whose workers train nothing.

    Args:
        n_workers: how many.
        seconds: the shortest and the longest trial.
        run: what a trial gives; its history says how many epochs it has.
        is_working: see ``CoordinatorClock``.
        seed: of the trials' lengths.
    """

    def __init__(
        self,
        n_workers: int,
        seconds: tuple[float, float],
        run: Callable[[TrialConfig], TrialResult],
        is_working: Callable[[], bool] = lambda: False,
        seed: int = 0,
    ) -> None:
        self._n, self._seconds, self._run = n_workers, seconds, run
        self._random = random.Random(seed)
        self.clock = CoordinatorClock(is_working)
        self.waits = Waits()
        self._since = dict.fromkeys(range(n_workers), 0.0)  # idle workers, and since when
        self._trials: dict[int, _Trial] = {}
        self._order = itertools.count()
        self._due: list[tuple[float, int, Event]] = []

    @property
    def n_workers(self) -> int:
        """How many trials can run at once."""
        return self._n

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now."""
        return len(self._since)

    def start(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """They are ready at once."""
        self._send(0.0, Ready(0))

    def submit(self, trial: int, config: TrialConfig, timeout_s: float | None = None) -> None:  # noqa: ARG002
        """Begin a trial on the worker that has waited longest."""
        with self.clock.stopped():
            worker, since = min(self._since.items(), key=lambda item: item[1])
            del self._since[worker]
            begins = self.clock() + LATENCY_S
            self.waits.idle_by_trial.append(begins - since)
            result = self._run(config)
            seconds = self._random.uniform(*self._seconds)
            n_epochs = len(next(iter(result.history.values())))
            started = _Trial(trial, worker, result, seconds / n_epochs, begins)
            self._trials[trial] = started
            self._send(begins + LATENCY_S, Started(trial, worker))
            self._next_epoch(started, begins)

    def _next_epoch(self, trial: _Trial, begins: float) -> None:
        trial.epoch += 1
        metrics = {name: values[trial.epoch - 1] for name, values in trial.result.history.items()}
        trial.asked = begins + trial.epoch_s + LATENCY_S
        self._send(trial.asked, Epoch(trial.number, trial.worker, trial.epoch, metrics))

    def _send(self, moment: float, event: Event) -> None:
        heapq.heappush(self._due, (moment, next(self._order), event))

    def events(self, timeout_s: float | None = None) -> list[Event]:
        """What has arrived; after a wait, if nothing has."""
        now = self.clock()
        until = now + (1e9 if timeout_s is None else timeout_s)
        due = self._due[0][0] if self._due else until
        self.clock.wait_until(min(due, until))
        with self.clock.stopped():
            now, arrived = self.clock(), list[Event]()
            while self._due and self._due[0][0] <= now:
                arrived.append(heapq.heappop(self._due)[2])
            for event in arrived:
                if isinstance(event, Finished):
                    self._since[event.worker] = self._trials.pop(event.trial).asked
            return arrived

    def answer(self, trial: int, stop: bool) -> None:
        """Go on with the next epoch, or end."""
        with self.clock.stopped():
            running, now = self._trials[trial], self.clock()
            self.waits.answers_s.append(now - running.asked)
            arrives, result = now + LATENCY_S, running.result
            if not stop and running.epoch < len(next(iter(result.history.values()))):
                self._next_epoch(running, arrives)
                return
            history = {name: values[: running.epoch] for name, values in result.history.items()}
            seconds = arrives - running.began
            self.waits.seconds_by_trial.append(seconds)
            running.result = _cut(result, history)
            running.asked = arrives  # from now on its worker waits for another
            usage = Usage(seconds, seconds)
            ended = Finished(trial, running.worker, running.result, usage)
            self._send(arrives + LATENCY_S, ended)

    def close(self, grace_s: float = 2.0) -> None:
        """There is nothing to end."""


def _cut(result: TrialResult, history: dict[str, list[float]]) -> TrialResult:
    n = len(next(iter(history.values())))
    best = int(np.argmax(history["val_accuracy"])) + 1
    by_epoch = (result.correct_by_epoch or [])[:n]
    return TrialResult(
        history=history,
        best_epoch=best,
        numbers=result.numbers,
        n_validation=result.n_validation,
        correct=by_epoch[best - 1] if by_epoch else None,
        correct_by_epoch=by_epoch or None,
        environment=result.environment,
    )
