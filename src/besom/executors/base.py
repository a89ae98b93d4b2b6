"""The second seam: an executor runs trials somewhere and says what happens to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from besom.seam import TrialConfig, TrialResult


class FailureKind(StrEnum):
    """Why a trial has no result."""

    DIVERGED = "diverged"
    """A metric became NaN or infinite."""
    ERROR = "error"
    """The trial function raised a Python exception."""
    OUT_OF_MEMORY = "out_of_memory"
    """The trial function raised for lack of memory; its worker lives. Stored as ``error``."""
    WORKER_DIED = "worker_died"
    """The worker process ended during the trial: a signal or an exit code, for lack of memory too.
    """
    NODE_LOST = "node_lost"
    """The worker's machine was lost with it, or the connection to it. Stored as ``worker_died``."""
    NOT_BEGUN = "not_begun"
    """The worker ended before it took the trial up. Stored as ``worker_died``."""
    TIMEOUT = "timeout"
    """The trial ran longer than its limit and was killed."""


@dataclass(frozen=True)
class Usage:
    """What a trial cost, measured by the worker around the trial function.

    Attributes:
        seconds: wall-clock seconds.
        cpu_seconds: CPU seconds of the worker process, all threads.
        memory_bytes: resident memory of the worker process after the trial.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0

    @classmethod
    def of_all(cls, usages: Iterable[Usage]) -> Usage:
        """What several runs cost together: sums of times, and the most memory."""
        every = list(usages)
        return cls(
            seconds=sum(usage.seconds for usage in every),
            cpu_seconds=sum(usage.cpu_seconds for usage in every),
            memory_bytes=max(usage.memory_bytes for usage in every),
        )


@dataclass(frozen=True)
class Ready:
    """A worker has finished ``prepare`` and takes trials.

    Attributes:
        facts: what prepare returned.
        replaces: why the worker's process before was replaced; empty for the first, and where a
            trial's own end has said so.
    """

    worker: int
    facts: dict[str, Any] = field(default_factory=dict)
    replaces: str = ""


@dataclass(frozen=True)
class Started:
    """A worker began a trial.

    Attributes:
        node: the machine that the worker is on; empty where all are on the coordinator's.
    """

    trial: int
    worker: int
    node: str = ""


@dataclass(frozen=True)
class Epoch:
    """An epoch ended; the trial waits until ``Executor.answer`` says go on or stop."""

    trial: int
    worker: int
    epoch: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Finished:
    """The trial function returned."""

    trial: int
    worker: int
    result: TrialResult
    usage: Usage


@dataclass(frozen=True)
class Failed:
    """The trial has no result.

    Attributes:
        reason: one line for a table.
        detail: everything known, such as the traceback.
        usage: what it cost; for a dead worker, the wall-clock time only.
    """

    trial: int
    worker: int
    kind: FailureKind
    reason: str
    detail: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Remark:
    """Something that the user should know now, such as that there is no room for a worker yet."""

    text: str


Event = Ready | Started | Epoch | Finished | Failed | Remark


class Executor(Protocol):
    """Runs trials in worker processes. Not thread-safe: one thread drives it.

    >>> from besom.executors.local import LocalExecutor
    >>> executor = LocalExecutor(workers=1, gpus="none")
    >>> executor.start("besom.executors.example:parabola", {}, log_dir=None)
    >>> ready = executor.events()
    >>> executor.submit(0, {"x": 4.0})
    >>> event = None
    >>> while not isinstance(event, Finished):
    ...     for event in executor.events():
    ...         if isinstance(event, Epoch):
    ...             executor.answer(event.trial, stop=False)
    >>> event.result.history
    {'loss': [4.0]}
    >>> executor.close()

    ``besom.executors.run_loop`` does that for many trials, with retries and a stop in good order.
    """

    @property
    def n_workers(self) -> int:
        """How many trials can run at once."""
        ...

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now (workers that wait, warm)."""
        ...

    def look(self) -> str:
        """Say what there is room for, in words, without starting workers; empty: nothing to say.

        Raises:
            BesomError: there is no room for any, or the place where they would run is not there.
        """
        return ""

    @property
    def gpus_per_worker(self) -> float:
        """How much of a GPU each worker holds, where workers have GPUs."""
        return 1.0

    def start(
        self,
        trial_function: str,
        base_config: TrialConfig,
        log_dir: str | None,
        n_trials: int | None = None,
        artifacts: str | None = None,
    ) -> None:
        """Spawn the workers; each imports ``module:function`` and prepares with ``base_config``.

        Args:
            trial_function: ``"module:function"``, importable in the worker.
            base_config: handed to the module's ``prepare`` in the first worker, and to its
                ``prepare_another``, where it has one, in the others; these are neither ``Ready``
                nor ``idle`` before the first one is.
            log_dir: the folder for one log file per worker (its stdout and stderr); None: discard.
            n_trials: how many trials are left to run; no more workers than that are spawned, and
                ``n_workers`` counts those. None: unknown.
            artifacts: the folder that kept models and checkpoints are named in: the names in a
                config's ``orders`` (see ``besom.seam``) are relative to it, and a trial function
                gets paths that its worker can write to. None: they are paths already.

        Raises:
            BesomError: the workers cannot be spawned, or their logs not be written.
        """
        ...

    def submit(self, trial: int, config: TrialConfig, timeout_s: float | None = None) -> None:
        """Hand a trial to an idle worker.

        Args:
            trial: its number.
            config: what it runs with.
            timeout_s: wall-clock limit, None = no limit. Time in which the coordinator itself was
                stopped does not count.
        """
        ...

    def events(self, timeout_s: float | None = None) -> list[Event]:
        """Wait at most ``timeout_s`` seconds (None = for ever) and return what has happened.

        Raises:
            BesomError: the workers cannot be prepared (for example, the dataset is missing).
        """
        ...

    def answer(self, trial: int, stop: bool) -> None:
        """Answer the trial's last ``Epoch``: True stops it; it then finishes with its history."""
        ...

    def close(self, grace_s: float = 2.0) -> None:
        """End every worker, asking first and killing after ``grace_s`` seconds. Idempotent."""
        ...

    @classmethod
    def anywhere(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Its options in a stored config, without what only its user can vouch for."""
        return dict(options)

    @classmethod
    def with_workers(cls, options: Mapping[str, Any], workers: int) -> dict[str, Any]:
        """Its options in a config, with another number of workers."""
        return {**options, "workers": workers}

    @classmethod
    def with_threads(cls, options: Mapping[str, Any], threads: int) -> dict[str, Any]:  # noqa: ARG003
        """Its options in a config, with another number of threads per worker, if that is one."""
        return dict(options)
