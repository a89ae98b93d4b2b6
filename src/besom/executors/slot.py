"""A worker as its executor sees it: its process, its trial, and when to replace it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from besom.errors import BesomError, ConfigError
from besom.executors.base import Failed, FailureKind, Finished, Usage
from besom.executors.channel import ToWorker
from besom.executors.failures import Death, shorten
from besom.executors.resources import format_memory
from besom.seam import TrialConfig
from besom.text.counting import WAS, counted

#: Processes of one worker that may die in a row before taking any trial.
MAX_DEATHS_IN_A_ROW = 2


class WorkerHandle(Protocol):
    """A worker's process as the coordinator holds it, on whatever machine it is.

    Attributes:
        node: the machine that it is on; empty where all are on the coordinator's.
    """

    node: str

    @property
    def over(self) -> bool:
        """Whether it has been buried."""
        ...

    def send(self, message: ToWorker) -> bool:
        """Send a message; False if the worker is gone."""
        ...

    def receive(self) -> Any:
        """Wait for its next message.

        Raises:
            EOFError, OSError: the worker is gone.
        """
        ...

    def waits(self) -> bool:
        """Whether a message of it waits to be received."""
        ...

    def kill(self) -> None:
        """Kill it and what it has spawned; does not wait."""
        ...

    def last_words(self) -> list[Any]:
        """Make sure that it ends, and take what it has said until then."""
        ...

    def bury(self, of_trial: bool) -> Death:
        """Free all that belongs to it, and say how it ended.

        Args:
            of_trial: whether it ran a trial: what it printed before that explains nothing then.
        """
        ...

    def log_tail(self, of_trial: bool = False) -> str:
        """The end of what this process printed, or of what its last trial did alone."""
        ...

    def called(self) -> str:
        """What messages call it, such as ``Worker 3 (process 4711)``."""
        ...

    def log_name(self) -> str:
        """Where its log is."""
        ...


#: The kind of process that an executor has.
W = TypeVar("W", bound=WorkerHandle)


@dataclass(frozen=True)
class Limits:
    """When a process is replaced between trials.

    Attributes:
        memory: resident bytes; None = no limit.
        memory_is_automatic: the limit is a guess: at least twice the memory before any trial.
        n_trials: trials run; None = no limit.
    """

    memory: int | None
    memory_is_automatic: bool
    n_trials: int | None


@dataclass(frozen=True)
class Assignment:
    """A trial to run; ``timeout_s``: its wall-clock limit, None = no limit."""

    trial: int
    config: TrialConfig
    timeout_s: float | None = None


@dataclass
class Slot(Generic[W]):
    """A worker: its number and log stay while its process may be replaced.

    Attributes:
        worker: its number.
        spawn: starts a process of it, given whether that prepares for all workers.
        process: the present one.
        clock: seconds, monotonic; stands still while the coordinator does.
        warm: that has prepared.
        job: what that runs.
        began: when it was given the job, in seconds of the clock.
        asked: its trial waits for an answer.
        n_trials: trials given to the present process.
        fresh_memory: resident bytes of the present process before its first trial.
        deaths_in_a_row: processes in a row that died before taking a trial.
        replaced_for: why the process before was replaced, where no trial's end says so.
        first: its next process prepares for all workers.
    """

    worker: int
    spawn: Callable[[bool], W]
    process: W
    clock: Callable[[], float]
    warm: bool = False
    job: Assignment | None = None
    began: float = 0.0
    asked: bool = False
    n_trials: int = 0
    fresh_memory: int = 0
    deaths_in_a_row: int = 0
    replaced_for: str = ""
    first: bool = False

    @classmethod
    def started(
        cls,
        worker: int,
        spawn: Callable[[bool], W],
        clock: Callable[[], float],
        first: bool,
    ) -> Slot[W]:
        """Start the first process of a worker.

        Raises:
            BesomError: it cannot be spawned.
        """
        return cls(worker, spawn, spawn(first), clock, first=first)

    @property
    def idle(self) -> bool:
        """Whether it can be given a trial."""
        return self.warm and self.job is None

    @property
    def deadline(self) -> float:
        """When its trial has overrun, in seconds of the clock; infinity for never."""
        if self.job is None or self.job.timeout_s is None:
            return math.inf
        return self.began + self.job.timeout_s

    def take(self, job: Assignment) -> None:
        """Note that the process was given ``job`` now."""
        self.job, self.began, self.asked = job, self.clock(), False
        self.n_trials += 1
        self.deaths_in_a_row = 0

    def respawn(self) -> None:
        """Put a fresh process in the place of one that is over.

        Raises:
            BesomError: it cannot be spawned.
        """
        self.warm, self.job, self.asked, self.n_trials = False, None, False, 0
        self.process = self.spawn(self.first)

    def prepared(self, memory_bytes: int, limits: Limits) -> None:
        """Note that the process takes trials.

        Raises:
            ConfigError: it is past the memory limit before any trial.
        """
        fixed = None if limits.memory_is_automatic else limits.memory
        if fixed is not None and memory_bytes > fixed:
            raise ConfigError(
                f"sweep.executor.max_worker_memory is {format_memory(fixed)}, but a worker takes "
                f"{format_memory(memory_bytes)} before its first trial: allow well above that, "
                "or null for no limit."
            )
        self.warm, self.fresh_memory, self.first = True, memory_bytes, False

    def used_up(self, ended: Finished | Failed, limits: Limits) -> str:
        """Say why the process is to be replaced after a trial, however small it is; empty if not.

        Args:
            ended: how the trial ended.
            limits: when a process is replaced.
        """
        if isinstance(ended, Failed) and ended.kind is FailureKind.OUT_OF_MEMORY:
            # What the process holds may be why, and the memory of a GPU stays fragmented.
            return ended.reason
        if limits.n_trials is not None and self.n_trials >= limits.n_trials:
            return f"{counted(self.n_trials, 'trial', WAS)} run"
        return ""

    def outgrown(self, usage: Usage, limits: Limits) -> str:
        """Say how far the process has grown, empty if it may go on after a trial of this usage."""
        if limits.memory is None:
            return ""
        limit = max(limits.memory, 2 * self.fresh_memory * limits.memory_is_automatic)
        if usage.memory_bytes <= limit:
            return ""
        grown = format_memory(usage.memory_bytes)
        n_trials = counted(self.n_trials, "trial")
        return f"its memory grew to {grown}, past {format_memory(limit)}, in {n_trials}"

    def overran(self) -> Failed:
        """Describe the end of a trial that outlived its limit; it was killed."""
        assert self.job is not None
        return self._failed(FailureKind.TIMEOUT, f"ran longer than {self.job.timeout_s:g} s")

    def died(self, death: Death) -> Failed:
        """Describe the end of a trial whose process has died."""
        if death.node_lost:
            return self._failed(FailureKind.NODE_LOST, death.reason)
        if death.not_begun:
            reason = f"{death.reason} before the trial began"
            return self._failed(FailureKind.NOT_BEGUN, reason)
        return self._failed(FailureKind.WORKER_DIED, death.reason)

    def _failed(self, kind: FailureKind, reason: str) -> Failed:
        assert self.job is not None
        tail = self.process.log_tail(of_trial=True)
        detail = f"{self.process.called()}: {reason}."
        if tail:
            detail += f" The end of what the trial printed ({self.process.log_name()}):\n{tail}"
        usage = Usage(seconds=self.clock() - self.began)
        return Failed(self.job.trial, self.worker, kind, reason, shorten(detail), usage)

    def died_untried(self, death: Death) -> BesomError | None:
        """Note that the process died before any trial; return an error if it has too often."""
        if self.n_trials > 0 or death.node_lost or death.no_room:
            return None
        self.deaths_in_a_row += 1
        if self.deaths_in_a_row < MAX_DEATHS_IN_A_ROW:
            return None
        message = (
            f"{self.process.called()} died while it prepared, {self.deaths_in_a_row} times in a "
            f"row: {death.reason}."
        )
        if death.out_of_memory:
            message += " Ask for fewer workers (sweep.executor.workers)."
        tail = self.process.log_tail()
        return BesomError(f"{message} The end of its log:\n{tail}" if tail else message)
