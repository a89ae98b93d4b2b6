"""One study as typed, immutable records: what leaderboards, plots, exports and statistics read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from optuna.distributions import BaseDistribution


class Outcome(StrEnum):
    """How a trial ended. Only ``complete`` trials are ever ranked."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    ERROR = "error"
    WORKER_DIED = "worker_died"
    TIMEOUT = "timeout"
    INFEASIBLE = "infeasible"
    """A constraint is violated; not trained."""
    DUPLICATE = "duplicate"
    """The same resolved config had run before; its value is reused, nothing was trained."""
    RUNNING = "running"

    @property
    def failed(self) -> bool:
        """Whether the trial broke, rather than being stopped or finished."""
        return self in (Outcome.DIVERGED, Outcome.ERROR, Outcome.WORKER_DIED, Outcome.TIMEOUT)


@dataclass(frozen=True)
class Objective:
    """What a study optimises.

    Attributes:
        metric: a history metric (``val_accuracy``) or a number of the trial (``n_params``).
        direction: ``maximize`` or ``minimize``.
        epoch: for a history metric, which epoch counts: ``best`` or ``last``.
    """

    metric: str
    direction: str
    epoch: str = "best"

    @property
    def sign(self) -> int:
        """+1 where larger is better, else -1."""
        return 1 if self.direction == "maximize" else -1


@dataclass(frozen=True)
class TrialRecord:
    """One trial, as stored.

    Attributes:
        number: Optuna's trial number, from 0.
        outcome: how it ended.
        values: one finite value per objective; None unless the outcome is complete or duplicate.
        params: the sampled parameters that applied, by dotted config path, in the space's order;
            values are what the config holds (scalars, lists, mappings), not Optuna's internals.
        reason: one line saying why the trial is not complete; empty where it is.
        detail: everything known about a failure, such as the traceback.
        config: the resolved config it ran with.
        seed: the seed it ran with.
        history: metric name to its value after each epoch (epoch 1 first).
        best_epoch: the epoch (from 1) that counts; None if unknown.
        numbers: what is known once a trial (``n_params``, ``seconds_per_epoch``, ...).
        seconds: wall-clock seconds of the trial in its worker.
        cpu_seconds: CPU seconds of the trial in its worker.
        started, finished: seconds since the Unix epoch; None if unknown.
        worker: the worker that ran it last.
        n_validation, correct: validation images judged, and the packed bits of which were right.
        environment: versions, device, data fingerprint, as the worker saw them.
        baseline: True for the base config as composed.
        distributions: Optuna's distributions, by Optuna's parameter name.
        raw_params: Optuna's parameters, by Optuna's parameter name (lists are spread out here).
    """

    number: int
    outcome: Outcome
    values: tuple[float, ...] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    started: float | None = None
    finished: float | None = None
    worker: int | None = None
    n_validation: int = 0
    correct: bytes | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    baseline: bool = False
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    raw_params: dict[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return max((len(values) for values in self.history.values()), default=0)

    @property
    def value(self) -> float | None:
        """The value of the first objective."""
        return None if self.values is None else self.values[0]


@dataclass(frozen=True)
class StudyRecord:
    """One study: what was asked, and every trial in the order of its number."""

    name: str
    objectives: tuple[Objective, ...]
    trials: tuple[TrialRecord, ...]
    config: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """The first objective: the only one, unless the study has several."""
        return self.objectives[0]

    @property
    def complete(self) -> list[TrialRecord]:
        """The trials that may be ranked."""
        return [t for t in self.trials if t.outcome is Outcome.COMPLETE]

    @property
    def baseline(self) -> TrialRecord | None:
        """The base config's trial, if it completed."""
        return next((t for t in self.complete if t.baseline), None)
