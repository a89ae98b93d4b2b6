"""What executors share: warm workers that are given trials, watched, and replaced when they end.

It gives a config to a warm worker, passes on what that reports, and turns every way in which a
worker can end into an event. What a failure means for the sweep (a retry, giving up) is the
business of ``besom.executors.run_loop``; how a worker is started and heard is each executor's own.
"""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic

from besom import errors
from besom.errors import BesomError
from besom.executors.base import (
    Epoch,
    Event,
    Executor,
    Failed,
    Finished,
    Ready,
    Started,
)
from besom.executors.channel import Answer, FromWorker, Prepared, Quit, Unprepared
from besom.executors.failures import Death
from besom.executors.signals import held_back
from besom.executors.slot import Assignment, Limits, Slot, W
from besom.executors.suspend_clock import LOOK_EVERY_S, SuspendAwareClock
from besom.executors.worker_pool import WorkerPool
from besom.seam import TrialConfig
from besom.text.counting import listed

log = logging.getLogger("besom.executors")


class Signs(ABC, Generic[W]):
    """Watches what workers say, and whether they end."""

    @abstractmethod
    def connect(self, worker: W) -> None:
        """Watch for messages of a worker, and for its end."""

    @abstractmethod
    def mute(self, worker: W) -> None:
        """Watch only for its end."""

    @abstractmethod
    def disconnect(self, worker: W) -> None:
        """Forget a worker; call it before it is buried."""

    @abstractmethod
    def wait(self, wait_s: float) -> list[tuple[W, bool]]:
        """Wait for a sign of any worker, at most ``wait_s`` seconds (infinity = for ever).

        Returns:
            Each worker that speaks or has ended, and whether it is the latter. The list may be
            empty early.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop watching."""


class PooledExecutor(Executor, Generic[W]):
    """Drives a pool of workers. A subclass starts them, and says what a worker's death was.

    Its ``start`` sets ``_signs`` and fills the pool.

    Attributes:
        limits: when a worker is replaced between trials; known once there are workers.
    """

    def __init__(self) -> None:
        self._n_useful: int | None = None  # workers that are of use, where that is known
        self._clock = SuspendAwareClock()
        self._pool = WorkerPool[W](self._clock)
        self._events: list[Event] = []
        self._ready_early: list[Ready] | None = []  # who waits for the one that prepares for all
        self._fatal: BesomError | None = None
        self._first_facts: tuple[str, Mapping[str, Any]] | None = None
        self._signs: Signs[W] | None = None

    @property
    def limits(self) -> Limits:
        """When a worker is replaced between trials."""
        raise NotImplementedError

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now (workers that wait, warm).

        0 until a worker has prepared for all.
        """
        return 0 if self._fatal is not None or self._ready_early is not None else self._pool.idle

    @classmethod
    def with_threads(cls, options: Mapping[str, Any], threads: int) -> dict[str, Any]:
        """Its options in a config, with another number of threads per worker."""
        return {**options, "threads_per_worker": threads}

    def submit(self, trial: int, config: TrialConfig, timeout_s: float | None = None) -> None:
        """Hand a trial to an idle worker; see ``Executor.submit``.

        Raises:
            RuntimeError: no worker is idle, or the trial is running already.
        """
        runs = self._pool.running(trial) is not None
        if self.idle < 1 or runs:
            why = "it is running" if runs else "no worker is idle"
            raise RuntimeError(f"trial {trial} cannot be submitted: {why}")
        self._assign(Assignment(trial, config, timeout_s))

    def events(self, timeout_s: float | None = None) -> list[Event]:
        """Wait for what happens and return it; see ``Executor.events``.

        A worker that cannot prepare raises once every event before has been returned.
        """
        signs = self._running_signs()
        until = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while self._fatal is None:
            wait_s = 0.0 if self._events else self._wait_s(until)
            for worker, ended in signs.wait(wait_s):
                (self._reap if ended else self._receive)(worker)
            self._enforce_limits()
            if self._events or time.monotonic() >= until:
                break
        if self._fatal is not None and not self._events:
            raise self._fatal
        events, self._events = self._events, []
        return events

    def answer(self, trial: int, stop: bool) -> None:
        """Answer the trial's last ``Epoch``; without effect if its worker has died meanwhile."""
        slot = self._pool.running(trial)
        if slot is not None and slot.asked:
            slot.asked = False
            slot.process.send(Answer(stop))

    def _begin(self, n_trials: int | None) -> None:
        """Forget an earlier start."""
        if self._signs is not None:
            raise RuntimeError("the executor was started already")
        self._fatal, self._ready_early, self._first_facts = None, [], None
        self._n_useful = None if n_trials is None else max(1, n_trials)

    def _add(self, slot: Slot[W]) -> None:
        """Take a worker that was started just now into the pool."""
        self._pool.slots.append(slot)
        self._running_signs().connect(slot.process)

    def _stop_watching(self) -> None:
        self._pool.clear()
        self._events.clear()
        if self._signs is not None:
            self._signs.close()
            self._signs = None

    def _running_signs(self) -> Signs[W]:
        if self._signs is None:
            raise RuntimeError("the executor is not running: call start() first")
        return self._signs

    def _receive(self, worker: W) -> None:
        """Take the one message that waits; each is answered before the next is sent."""
        slot = self._pool.slot_of(worker)
        try:
            message = worker.receive()
        except (EOFError, OSError):
            self._reap(worker)
        else:
            if slot is not None:
                self._handle_message(slot, message)

    def _handle_message(self, slot: Slot[W], message: FromWorker) -> None:
        match message:
            case Epoch():
                slot.asked = True
                self._events.append(message)
            case Finished() | Failed():
                self._events.append(message)
                self._handle_end(slot, message)
            case Prepared():
                self._handle_prepared(slot, message)
            case Unprepared():
                self._fatal = getattr(errors, message.error)(message.message)

    def _handle_prepared(self, slot: Slot[W], prepared: Prepared) -> None:
        try:
            slot.prepared(prepared.memory_bytes, self.limits)
            self._check_same(slot.process.called(), prepared.facts)
        except BesomError as error:
            self._fatal = error
            return
        ready = Ready(slot.worker, prepared.facts, slot.replaced_for)
        slot.replaced_for = ""
        if self._ready_early is not None and not prepared.whole:
            self._ready_early.append(ready)
            return
        self._events += [ready, *(self._ready_early or ())]
        self._ready_early = None
        if job := self._pool.next_held():
            self._assign(job)

    def _check_same(self, called: str, facts: Mapping[str, Any]) -> None:
        """Refuse a worker whose values could not be compared with those of the first one.

        Raises:
            BesomError: it reads other data, or computes with other versions.
        """
        if self._first_facts is None:
            self._first_facts = called, facts
        first, known = self._first_facts
        old, new = (_mapping(each, "data").get("fingerprint") for each in (known, facts))
        if old is not None and new is not None and old != new:
            raise BesomError(
                f"{called} reads other data than {first}: the fingerprint is {new}, not {old}. "
                "Values would not be comparable. Give all workers the same files, and let functions"
                " make the same data each time."
            )
        before, now = _mapping(known, "versions"), _mapping(facts, "versions")
        if other := [name for name, v in now.items() if before.get(name, v) != v]:
            theirs, ours = (listed([f"{n} {v[n]}" for n in other]) for v in (now, before))
            raise BesomError(
                f"{called} computes with {theirs}, and {first} with {ours}. Values would not be "
                "comparable. Use the same environment for all workers."
            )

    def _assign(self, job: Assignment) -> None:
        slot = self._pool.assign(job)
        if slot is not None:
            self._events.append(Started(job.trial, slot.worker, slot.process.node))

    def _handle_end(self, slot: Slot[W], ended: Finished | Failed) -> None:
        """A trial is over and its worker goes on, unless it is time to replace it."""
        slot.job = None
        outgrown = slot.outgrown(ended.usage, self.limits)
        if why := slot.used_up(ended, self.limits) or outgrown:
            log.info("Worker %d is replaced: %s.", slot.worker, why)
            slot.process.send(Quit())
            self._replace(slot)
            # Other reasons are known: the trial's end gives its own, and the user set the limit.
            slot.replaced_for = outgrown

    def _enforce_limits(self) -> None:
        """Kill the workers whose time is up."""
        now = self._clock()
        for slot in list(self._pool.slots):
            # A message that waits to be received came in time: the coordinator was busy.
            if slot.deadline <= now and not slot.process.waits():
                self._events.append(slot.overran())
                slot.process.kill()
                self._replace(slot)
        self._pool.kill_overdue()

    def _wait_s(self, until: float) -> float:
        """How many seconds to wait for what happens, before the clock is due to be read."""
        left = min(until - time.monotonic(), self._pool.deadline - self._clock())
        return max(0.0, min(left, LOOK_EVERY_S))

    def _replace(self, slot: Slot[W]) -> None:
        """Start a fresh worker at once; the old one may still take a moment to end."""
        self._running_signs().mute(slot.process)
        self._pool.expect_end(slot.process)
        self._respawn(slot)

    def _respawn(self, slot: Slot[W]) -> None:
        try:
            with held_back():
                slot.respawn()
        except BesomError as error:
            self._fatal = error
        else:
            self._running_signs().connect(slot.process)

    def _reap(self, worker: W) -> None:
        """Clean up after a worker that has ended, or whose connection has."""
        if worker.over:  # both were seen at once
            return
        slot = self._pool.slot_of(worker)
        for message in worker.last_words():
            if slot is not None:
                self._handle_message(slot, message)
                slot = self._pool.slot_of(worker)  # None: its last word has replaced it
        self._running_signs().disconnect(worker)
        self._pool.forget(worker)
        death = worker.bury(of_trial=slot is not None and slot.job is not None)
        if slot is None:  # replaced before
            return
        log.info("Worker %d is replaced: %s.", slot.worker, death.reason)
        if slot.job is not None:
            self._events.append(slot.died(death))
        elif self._fatal is None:
            self._fatal = slot.died_untried(death)
            slot.replaced_for = death.reason
        if self._fatal is None:
            self._after_death(slot, death)

    def _after_death(self, slot: Slot[W], death: Death) -> None:  # noqa: ARG002
        """A worker of the pool has died: a fresh one takes its place."""
        self._respawn(slot)


def _mapping(facts: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """One of the facts, where it is what besom's own are; empty for anything else of a user's."""
    value = facts.get(key)
    return value if isinstance(value, Mapping) else {}
