"""The loop that keeps an executor's workers busy: sweeps, confirmations and replays all use it.

It feeds idle workers, handles what they report, gives a trial a second chance where its worker died
or memory was short, and stops in good order. What runs, and what becomes of it, is a
``TrialSource``'s business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from besom.errors import BesomError
from besom.executors.base import (
    Epoch,
    Event,
    Executor,
    Failed,
    FailureKind,
    Finished,
    Ready,
    Remark,
    Started,
)
from besom.executors.session import storable_events
from besom.executors.signals import StopSignals
from besom.executors.stop import DrainTimeout, Ending, Stop
from besom.executors.suspend_clock import SuspendAwareClock
from besom.seam import TrialConfig

#: How often a trial is given to a fresh worker after the one it had died or ran out of memory.
RETRIES = 1
#: How often it is given to another worker because the one before was lost with its machine, or died
#: before it began: that is no sign against the trial, and machines that are rented by the hour are
#: often lost.
LOSSES = 5
#: The longest wait for events, so that Ctrl-C is answered at once.
TICK_S = 0.2

_NOT_ITS_FAULT = (FailureKind.NODE_LOST, FailureKind.NOT_BEGUN)
#: A fresh worker may have the memory that the one before had not.
_WORTH_A_RETRY = (FailureKind.WORKER_DIED, FailureKind.OUT_OF_MEMORY)


@dataclass(frozen=True)
class TrialTask:
    """A trial to run.

    Attributes:
        trial: its number.
        config: what it runs with.
        n_epochs: how many epochs it will run; 0: not known.
    """

    trial: int
    config: TrialConfig
    n_epochs: int = 0


class Held(Protocol):
    """Permission to run what is run, which may be lost or end."""

    def check(self) -> None:
        """Raise what ends the run at once, if the permission is lost."""

    @property
    def asked_to_stop(self) -> str | None:
        """Why to stop in good order; None: go on."""


class TrialSource:
    """Says which trials run, and is told how they go. ``on_...`` methods are optional.

    Attributes:
        is_asking: there is no trial to start now, but there will be one, or the source will know
            that there is none.
        tick_s: so long at most events are waited for before ``has_next`` is asked again.
    """

    @property
    def is_asking(self) -> bool:  # noqa: D102 (see the class)
        return False

    @property
    def tick_s(self) -> float:  # noqa: D102
        return TICK_S

    def has_next(self) -> bool:
        """Whether there is a trial to start now."""
        raise NotImplementedError

    def next_trial(self) -> TrialTask | None:
        """The trial to start now; None if it needs no run after all, so that one asks again."""
        raise NotImplementedError

    def stops_after(self, event: Epoch) -> bool:
        """Whether the trial stops after this epoch. Its worker waits for the answer."""
        raise NotImplementedError

    def on_ended(self, event: Finished | Failed, was_stopped: bool) -> None:
        """A trial ended for good.

        Args:
            event: how.
            was_stopped: whether it was told to stop because ``stops_after`` said so.
        """
        raise NotImplementedError

    def on_started(self, event: Started) -> None:
        """A worker began a trial."""

    def on_epoch(self, event: Epoch) -> None:
        """An epoch ended, and its worker has been answered."""

    def on_retry(self, trial: int, reason: str) -> None:
        """A trial lost its worker, or memory was short: it will be run again."""

    def on_interrupted(self, trial: int) -> None:
        """A trial ended early because the loop stops: it has no result."""

    def on_abandoned(self, trial: int) -> None:
        """A trial did not reach the end of its epoch in time after the loop began to stop."""

    def on_remark(self, text: str) -> None:
        """The executor has something to tell the user, such as that a worker was replaced."""

    def on_stopping(self, reason: str) -> None:
        """No new trials; those running stop at the end of their epoch."""

    def on_tick(self) -> None:
        """Called several times a second, whatever happens."""


@dataclass
class _Running:
    """A trial from its submission to its end.

    Attributes:
        n_failures: how often it lost its worker, or memory was short.
        n_losses: how often its worker was lost with its machine, or died before it began.
        was_stopped: it was told to stop because the source said so.
        interrupted: it was told to stop because the loop stops.
    """

    task: TrialTask
    n_failures: int = 0
    n_losses: int = 0
    was_stopped: bool = False
    interrupted: bool = False

    def again_after(self, kind: FailureKind) -> _Running | None:
        """The trial's next attempt after a failure; None if it has no other."""
        if kind in _NOT_ITS_FAULT and self.n_losses < LOSSES:
            return _Running(self.task, self.n_failures, self.n_losses + 1)
        if kind in _WORTH_A_RETRY and self.n_failures < RETRIES:
            return _Running(self.task, self.n_failures + 1, self.n_losses)
        return None


@dataclass
class _Pending:
    """An event that waits for its turn; for an epoch, what its worker was answered (None: nothing).

    An epoch is answered before its turn where the source is held up, see ``RunLoop.wait``.
    """

    event: Event
    answer: bool | None = None


class RunLoop:
    """Keeps an executor's workers busy until there is nothing left to run.

    >>> from besom.executors.local import LocalExecutor
    >>> class Squares(TrialSource):
    ...     tasks = [TrialTask(number, {"x": number}) for number in range(3)]
    ...     losses = {}
    ...     def has_next(self): return bool(self.tasks)
    ...     def next_trial(self): return self.tasks.pop()
    ...     def stops_after(self, event): return False
    ...     def on_ended(self, event, was_stopped):
    ...         self.losses[event.trial] = event.result.history["loss"]
    >>> executor = LocalExecutor(workers=1, gpus="none")
    >>> executor.start("besom.executors.example:parabola", {}, log_dir=None)
    >>> print(RunLoop(executor, Squares()).run())
    done
    >>> Squares.losses
    {2: [1.0], 1: [0.25], 0: [0.0]}
    >>> executor.close()

    Args:
        executor: started, its workers ready or getting ready.
        source: what runs, and what hears of it.
        timeout_s: wall-clock limit of one trial, None = no limit.
        clock: seconds, monotonic; should stand still while this process is suspended.
        held: looked at several times a second; None: there is nothing to lose.

    Attributes:
        stop: whether and why the loop stops before all has run.
    """

    def __init__(
        self,
        executor: Executor,
        source: TrialSource,
        timeout_s: float | None = None,
        clock: Callable[[], float] | None = None,
        held: Held | None = None,
    ) -> None:
        self._executor, self._source, self._timeout_s = executor, source, timeout_s
        self._held = held
        self._was_asked = False
        self._running: dict[int, _Running] = {}
        self._to_retry: deque[_Running] = deque()
        self._pending: deque[_Pending] = deque()  # the first is being handled
        self._drain = DrainTimeout(clock or SuspendAwareClock())
        self.stop = Stop(self._on_stopping)

    def run(self) -> Ending:
        """Run until nothing is left to run, or all that ran when the loop was stopped has ended."""
        while True:
            self.stop.apply_interruption()
            self._feed()
            if self._is_over():
                return self.stop.ending
            try:
                self._receive(self._source.tick_s)
            except BesomError:
                # A signal to all processes, as batch systems send it, reaches the workers too.
                self.stop.apply_interruption()
                if self.stop.ending is not Ending.INTERRUPTED:
                    raise
                self._leave_all()
            while self._pending:
                self.stop.apply_interruption()
                self._handle(self._pending[0])
                self._pending.popleft()
                self._feed()  # at once: who is idle need not wait for the other events
            self._tick()

    def run_with_signals(self) -> Ending:
        """The same; SIGINT or SIGTERM once stops it in good order, twice at once."""
        with StopSignals(self.stop.interrupt):
            return self.run()

    def wait(self, seconds: float) -> bool:
        """Let trials train on while the source is held up in the middle of handling something.

        Epochs are answered "go on"; everything is handled later, in order.

        Returns:
            False: the loop was interrupted, so the source should not wait any longer.
        """
        self._receive(seconds)
        for pending in self._pending:
            if isinstance(pending.event, Epoch) and pending.answer is None:
                self._answer(pending, pending.event, stop=False)
        self._tick()
        self.stop.apply_interruption()
        return self.stop.ending is not Ending.INTERRUPTED

    def _tick(self) -> None:
        if self._held is not None:
            self._held.check()
            if (asked := self._held.asked_to_stop) is not None and not self._was_asked:
                self._was_asked = True
                self.stop.interrupt(asked)
        self._source.on_tick()

    def _feed(self) -> None:
        """Give every idle worker a trial, as soon as it is idle: there are no batches."""
        while not self.stop.under_way and self._executor.idle and self._has_next():
            if self._to_retry:
                running = self._to_retry.popleft()
            elif (task := self._source.next_trial()) is not None:
                running = _Running(task)
            else:
                continue
            task = running.task
            self._running[task.trial] = running
            self._executor.submit(task.trial, task.config, self._timeout_s)

    def _has_next(self) -> bool:
        return bool(self._to_retry) or self._source.has_next()

    def _is_over(self) -> bool:
        """Whether all has ended or, in a stop, all that still runs hangs: closing ends it."""
        if self.stop.reason is None:
            return not (self._running or self._has_next() or self._source.is_asking)
        if not self._drain.exhausted(self._running):
            return False
        for trial in self._running:
            self._source.on_abandoned(trial)
        return True

    def _receive(self, timeout_s: float) -> None:
        for event in storable_events(self._executor, timeout_s):
            if isinstance(event, Started):
                self._drain.started(event.trial)
            elif isinstance(event, Epoch):
                self._drain.epoch(event.trial)
            self._pending.append(_Pending(event))

    def _leave_all(self) -> None:
        """The executor has failed while the loop stops: all that runs is left as it is."""
        for trial in list(self._running):
            self._source.on_interrupted(trial)
        self._running.clear()

    def _handle(self, pending: _Pending) -> None:
        match pending.event:
            case Ready() as ready:
                if ready.replaces:
                    self._source.on_remark(f"worker {ready.worker} replaced: {ready.replaces}")
            case Remark(text):
                self._source.on_remark(text)
            case Started() as started:
                self._source.on_started(started)
            case Epoch() as epoch:
                self._handle_epoch(pending, epoch)
            case Finished() | Failed() as ended:
                self._handle_end(ended)

    def _handle_epoch(self, pending: _Pending, event: Epoch) -> None:
        stop = self._source.stops_after(event)
        if pending.answer is None:
            self._answer(pending, event, stop)
        running = self._running[event.trial]
        running.was_stopped = bool(pending.answer) and stop
        running.interrupted = bool(pending.answer) and not stop
        self._source.on_epoch(event)

    def _answer(self, pending: _Pending, event: Epoch, stop: bool) -> None:
        """Tell a trial to stop for what it has measured, or because the loop stops."""
        # After its last epoch it ends by itself, whole: with its model, where that is to be kept.
        is_last = event.epoch == self._running[event.trial].task.n_epochs
        pending.answer = stop or (self.stop.reason is not None and not is_last)
        self._executor.answer(event.trial, stop=pending.answer)

    def _handle_end(self, event: Finished | Failed) -> None:
        self._drain.ended(event.trial)
        running = self._running.pop(event.trial)
        if running.interrupted:
            self._source.on_interrupted(event.trial)
        elif isinstance(event, Failed) and (again := running.again_after(event.kind)):
            self._to_retry.append(again)
            self._source.on_retry(event.trial, event.reason)
        else:
            self._source.on_ended(event, running.was_stopped)

    def _on_stopping(self, reason: str) -> None:
        self._drain.stopping()
        self._source.on_stopping(reason)
