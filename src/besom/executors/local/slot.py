"""A worker as the local executor sees it: its process, its trial, and when to replace it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from besom.errors import BesomError, ConfigError
from besom.executors.base import Failed, FailureKind, Finished, Usage
from besom.executors.failures import Death, describe_death, shorten
from besom.executors.local.allocation import Limits
from besom.executors.local.process import Launch, WorkerProcess
from besom.executors.local.resources import format_memory
from besom.seam import TrialConfig
from besom.text.counting import WAS, counted

#: Processes of one worker that may die in a row before taking any trial.
MAX_DEATHS_IN_A_ROW = 2


@dataclass(frozen=True)
class Assignment:
    """A trial to run; ``timeout_s``: its wall-clock limit, None = no limit."""

    trial: int
    config: TrialConfig
    timeout_s: float | None = None


@dataclass
class Slot:
    """A worker: its number, log and GPU stay while its process may be replaced.

    Attributes:
        launch: how its processes are spawned.
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
    """

    launch: Launch
    process: WorkerProcess
    clock: Callable[[], float]
    warm: bool = False
    job: Assignment | None = None
    began: float = 0.0
    asked: bool = False
    n_trials: int = 0
    fresh_memory: int = 0
    deaths_in_a_row: int = 0
    replaced_for: str = ""

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
        self.process = WorkerProcess(self.launch)

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
        self.warm, self.fresh_memory = True, memory_bytes
        self.launch = replace(self.launch, setup=replace(self.launch.setup, first=False))

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

    def death(self, status: int | None, lost: bool, oom_killed: bool) -> Death:
        """Say how the process ended.

        Args:
            status: its exit code, or the negated signal; None if the kernel does not let it end.
            lost: it still ran, without a connection, until it was killed for that.
            oom_killed: the kernel's out-of-memory killer struck since the last such death.
        """
        if lost:
            return Death(
                "lost its connection to the coordinator (did the trial close file descriptors "
                "that are not its own?)"
            )
        tail = self.process.log_tail(of_trial=self.job is not None)
        return describe_death(status, tail, oom_killed)

    def overran(self) -> Failed:
        """Describe the end of a trial that outlived its limit; it was killed."""
        assert self.job is not None
        return self._failed(FailureKind.TIMEOUT, f"ran longer than {self.job.timeout_s:g} s")

    def died(self, reason: str) -> Failed:
        """Describe the end of a trial whose process has died."""
        return self._failed(FailureKind.WORKER_DIED, reason)

    def _failed(self, kind: FailureKind, reason: str) -> Failed:
        assert self.job is not None
        trial, worker = self.job.trial, self.launch.worker
        tail = self.process.log_tail(of_trial=True)
        detail = f"{self._who()}: {reason}."
        if tail:
            detail += f" The end of what the trial printed ({self.launch.log}):\n{tail}"
        usage = Usage(seconds=self.clock() - self.began)
        return Failed(trial, worker, kind, reason, shorten(detail), usage)

    def died_untried(self, death: Death) -> BesomError | None:
        """Note that the process died before any trial; return an error if it has too often."""
        if self.n_trials > 0:
            return None
        self.deaths_in_a_row += 1
        if self.deaths_in_a_row < MAX_DEATHS_IN_A_ROW:
            return None
        message = (
            f"{self._who()} died while it prepared, {self.deaths_in_a_row} times in a row: "
            f"{death.reason}."
        )
        if death.out_of_memory:
            message += " Ask for fewer workers (sweep.executor.workers)."
        tail = self.process.log_tail()
        return BesomError(f"{message} The end of its log:\n{tail}" if tail else message)

    def _who(self) -> str:
        return f"Worker {self.launch.worker} (process {self.process.pid})"
