"""The local executor: warm worker processes on this machine, replaced when they die or grow.

It gives a config to a warm process, passes on what that reports, and turns every way in which a
process can end into an event. What a failure means for the sweep (a retry, giving up) is the
business of ``besom.executors.run_loop``.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from besom import errors
from besom.errors import BesomError, ConfigError
from besom.executors.base import Epoch, Event, Executor, Failed, Finished, Ready, Started
from besom.executors.channel import Answer, FromWorker, Prepared, Quit, Unprepared, make_setup
from besom.executors.local.allocation import Allocation
from besom.executors.local.process import Launch, WorkerProcess
from besom.executors.local.resources import OutOfMemoryKills
from besom.executors.local.slot import Assignment, Slot
from besom.executors.local.worker_pool import WorkerPool, WorkerSelector
from besom.executors.signals import held_back
from besom.executors.suspend_clock import LOOK_EVERY_S, SuspendAwareClock
from besom.seam import TrialConfig

log = logging.getLogger("besom.executors")

#: How long a worker whose connection broke may take to end.
_DEATH_TIMEOUT_S = 1.0


class LocalExecutor(Executor):
    """Runs trials in warm worker processes on this machine.

    Each worker is a process of its own that imports and loads once and then runs trial after
    trial. One that dies, outlives its trial's time limit or has grown too large is replaced.
    No worker outlives the coordinator's process, nor any child of a worker that stays in its
    process group.

    Args:
        workers: how many; None: one for each place on a GPU, else the cores this process may use
            divided by ``threads_per_worker``, as far as each has a GiB of memory.
        threads_per_worker: threads that each worker's TensorFlow (and BLAS) computes with.
        workers_per_gpu: workers that share a GPU.
        max_worker_memory: resident memory past which a worker is replaced between trials: bytes,
            or a text such as ``"4 GiB"``; None = no limit; ``"auto"``: a fair share of four fifths
            of the memory, and at least twice what the worker took before its first trial.
        max_trials_per_worker: trials after which a worker is replaced; None = no limit.
        gpus: ``"auto"``: those that ``CUDA_VISIBLE_DEVICES`` lists, else all; or a list of what
            that variable takes; ``"none"``: train on the processor.

    Raises:
        ConfigError: a parameter is of the wrong type or out of range.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads_per_worker: int = 1,
        workers_per_gpu: int = 1,
        max_worker_memory: str | int | None = "auto",
        max_trials_per_worker: int | None = None,
        gpus: str | Sequence[int | str] | None = "auto",
    ) -> None:
        self._allocation = Allocation(
            workers,
            threads_per_worker,
            workers_per_gpu,
            max_worker_memory,
            max_trials_per_worker,
            gpus,
        )
        self._n_useful: int | None = None  # workers that are of use, where that is known
        self._clock = SuspendAwareClock()
        self._pool = WorkerPool(self._clock)
        self._events: list[Event] = []
        self._ready_early: list[Ready] | None = []  # who waits for the one that prepares for all
        self._fatal: BesomError | None = None
        self._selector: WorkerSelector | None = None
        self._oom_kills = OutOfMemoryKills()

    @property
    def n_workers(self) -> int:
        """How many trials can run at once."""
        return min(self._allocation.n_workers, self._n_useful or self._allocation.n_workers)

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now (workers that wait, warm).

        0 until a worker has prepared for all.
        """
        return 0 if self._fatal is not None or self._ready_early is not None else self._pool.idle

    @property
    def gpus_per_worker(self) -> float:
        """How much of a GPU each worker holds, where workers have GPUs."""
        return self._allocation.gpus_per_worker

    def start(
        self,
        trial_function: str,
        base_config: TrialConfig,
        log_dir: str | None,
        n_trials: int | None = None,
        artifacts: str | None = None,
    ) -> None:
        """Spawn the workers; see ``Executor.start``."""
        if self._selector is not None:
            raise RuntimeError("the executor was started already")
        folder = str(Path.cwd())
        setup = make_setup(trial_function, base_config, folder, artifacts)
        self._fatal, self._ready_early = None, []
        self._n_useful = None if n_trials is None else max(1, n_trials)
        self._oom_kills = OutOfMemoryKills()
        self._selector = WorkerSelector()
        try:
            for worker in range(self.n_workers):
                log_file = Path(log_dir).resolve() / f"worker-{worker}.log" if log_dir else None
                environment = self._allocation.environment(worker, os.environ)
                setup_of_worker = replace(setup, first=worker == 0)
                launch = Launch(worker, setup_of_worker, environment, folder, log_file)
                with held_back():
                    self._pool.slots.append(Slot(launch, WorkerProcess(launch), self._clock))
                self._selector.connect(self._pool.slots[-1].process)
        except BaseException:
            self.close(grace_s=0.0)
            raise

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
        selector = self._running_selector()
        until = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while self._fatal is None:
            wait_s = 0.0 if self._events else self._wait_s(until)
            for process, ended in selector.wait(wait_s):
                (self._reap if ended else self._receive)(process)
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

    @classmethod
    def with_threads(cls, options: Mapping[str, Any], threads: int) -> dict[str, Any]:
        """Its options in a config, with another number of threads per worker."""
        return {**options, "threads_per_worker": threads}

    def close(self, grace_s: float = 2.0) -> None:
        """End every worker, asking first and killing after ``grace_s`` seconds. Idempotent."""
        processes = self._pool.processes
        until = time.monotonic() + grace_s
        try:
            if grace_s > 0:
                for process in processes:
                    process.send(Quit())
                for process in processes:
                    process.has_ended(within_s=max(0.0, until - time.monotonic()))
        finally:
            with held_back():
                self._end(processes)

    def _end(self, processes: list[WorkerProcess]) -> None:
        for process in processes:
            process.kill()  # all of them first: reaping may take its time
        for process in processes:
            process.end()
        self._pool.clear()
        self._events.clear()
        if self._selector is not None:
            self._selector.close()
            self._selector = None

    def _running_selector(self) -> WorkerSelector:
        if self._selector is None:
            raise RuntimeError("the executor is not running: call start() first")
        return self._selector

    def _receive(self, process: WorkerProcess) -> None:
        """Take the one message that waits; each is answered before the next is sent."""
        try:
            message = process.receive()
        except (EOFError, OSError):
            self._reap(process)
        else:
            self._handle_message(self._pool.slots[process.worker], message)

    def _handle_message(self, slot: Slot, message: FromWorker) -> None:
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

    def _handle_prepared(self, slot: Slot, prepared: Prepared) -> None:
        try:
            slot.prepared(prepared.memory_bytes, self._allocation.limits)
        except ConfigError as error:
            self._fatal = error
            return
        ready = Ready(slot.launch.worker, prepared.facts, slot.replaced_for)
        slot.replaced_for = ""
        if self._ready_early is not None and not prepared.whole:
            self._ready_early.append(ready)
            return
        self._events += [ready, *(self._ready_early or ())]
        self._ready_early = None
        if job := self._pool.next_held():
            self._assign(job)

    def _assign(self, job: Assignment) -> None:
        slot = self._pool.assign(job)
        if slot is not None:
            self._events.append(Started(job.trial, slot.launch.worker))

    def _handle_end(self, slot: Slot, ended: Finished | Failed) -> None:
        """A trial is over and its process goes on, unless it is time to replace it."""
        slot.job = None
        limits = self._allocation.limits
        outgrown = slot.outgrown(ended.usage, limits)
        if why := slot.used_up(ended, limits) or outgrown:
            log.info("Worker %d is replaced: %s.", slot.launch.worker, why)
            slot.process.send(Quit())
            self._replace(slot)
            # Other reasons are known: the trial's end gives its own, and the user set the limit.
            slot.replaced_for = outgrown

    def _enforce_limits(self) -> None:
        """Kill the processes whose time is up."""
        now = self._clock()
        for slot in self._pool.slots:
            # A message that waits to be received came in time: the coordinator was busy.
            if slot.deadline <= now and not slot.process.connection.poll():
                self._events.append(slot.overran())
                slot.process.kill()
                self._replace(slot)
        self._pool.kill_overdue()

    def _wait_s(self, until: float) -> float:
        """How many seconds to wait for what happens, before the clock is due to be read."""
        left = min(until - time.monotonic(), self._pool.deadline - self._clock())
        return max(0.0, min(left, LOOK_EVERY_S))

    def _replace(self, slot: Slot) -> None:
        """Spawn a fresh process at once; the old one may still take a moment to end."""
        self._running_selector().mute(slot.process)
        self._pool.expect_end(slot.process)
        self._respawn(slot)

    def _respawn(self, slot: Slot) -> None:
        try:
            with held_back():
                slot.respawn()
        except BesomError as error:
            self._fatal = error
        else:
            self._running_selector().connect(slot.process)

    def _reap(self, process: WorkerProcess) -> None:
        """Clean up after a process that has ended, or whose connection has."""
        if process.over:  # both were seen at once
            return
        slot = self._pool.slots[process.worker]
        lost = not process.has_ended(within_s=_DEATH_TIMEOUT_S)
        process.kill()
        with contextlib.suppress(EOFError, OSError):
            while slot.process is process and process.connection.poll():  # what it said last
                self._handle_message(slot, process.receive())
        self._running_selector().disconnect(process)
        self._pool.forget(process)
        status = process.end()
        if slot.process is not process:  # replaced before
            return
        death = slot.death(status, lost, self._oom_kills.explain(status))
        log.info("Worker %d is replaced: %s.", process.worker, death.reason)
        if slot.job is not None:
            self._events.append(slot.died(death.reason))
        elif self._fatal is None:
            self._fatal = slot.died_untried(death)
            slot.replaced_for = death.reason
        if self._fatal is None:
            self._respawn(slot)
