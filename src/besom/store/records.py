"""One study as typed, immutable records: what leaderboards, plots, exports and statistics read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from statistics import stdev
from typing import TYPE_CHECKING, Any, Literal

from besom.equality import SameFields
from besom.metrics import MetricKind, kind_of
from besom.store.predictions import EpochBits, KeptExamples
from besom.text.numbers import difference, number

if TYPE_CHECKING:
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
    WARM_START = "warm_start"
    """Knowledge from another study: the sampler learns from it, nothing was trained here."""
    RUNNING = "running"

    @property
    def failed(self) -> bool:
        """Whether the trial broke, rather than being stopped or finished."""
        return self in (Outcome.DIVERGED, Outcome.ERROR, Outcome.WORKER_DIED, Outcome.TIMEOUT)


class Origin(StrEnum):
    """Where a trial's config comes from."""

    SAMPLED = "sampled"
    BASELINE = "baseline"
    """The base config as composed."""
    ENQUEUED = "enqueued"
    """Named in ``sweep.enqueue``."""
    CONTINUED = "continued"
    """A screened trial that is trained to its end."""
    WARM_START = "warm_start"
    """Taken from another study."""


@dataclass(frozen=True)
class Objective:
    """What a study optimises.

    Attributes:
        metric: a history metric (``val_accuracy``) or a number of the trial (``n_params``).
        direction: ``maximize`` or ``minimize``.
        epoch: for a history metric, which epoch counts: ``best`` or ``last``.
        kind: what the metric's values are; None: by its name, as in studies that do not store it.
    """

    metric: str
    direction: Literal["maximize", "minimize"]
    epoch: Literal["best", "last"] = "best"
    kind: MetricKind | None = None

    def __post_init__(self) -> None:
        if self.kind is None:
            object.__setattr__(self, "kind", kind_of(self.metric))

    def of_kind(self, said: str | None) -> Objective:
        """As a worker says that the metric is (``besom.seam.PER_EXAMPLE``), whatever its name."""
        if said is None or (said == "share") == self.is_share:
            return self
        return replace(self, kind="share" if said == "share" else "number")

    @property
    def sign(self) -> int:
        """+1 where larger is better, else -1."""
        return 1 if self.direction == "maximize" else -1

    @property
    def is_share(self) -> bool:
        """Whether a value is a share of examples, shown in percent where it has an error."""
        return self.kind == "share"

    @property
    def is_loss(self) -> bool:
        """Whether a value is a loss, so that no count of right examples can confirm it."""
        return self.kind == "loss"

    def text(self, value: float) -> str:
        """A value for people."""
        return number(value, self.is_share)

    def gain_text(self, gain: float, amount: str | None = None) -> str:
        """A gain for people: ``+2.50 points`` where larger is better, else ``0.25 better``.

        Args:
            gain: positive is better, whichever way the metric itself moves.
            amount: how much that is, without a sign; None: by its usual digits.
        """
        amount = difference(gain, self.is_share) if amount is None else amount
        if self.sign > 0:
            return f"{'-' if gain < 0 else '+'}{amount}"
        return amount if gain == 0 else f"{amount} {'better' if gain > 0 else 'worse'}"


@dataclass(frozen=True, eq=False)
class TrialRecord(SameFields):
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
        correct_by_epoch: the same after each epoch, where one of them was chosen; else None.
        per_example: what is kept of each validation example by the objectives' metrics.
        environment: versions, device, data fingerprint, as the worker saw them.
        runs: of a trial of several runs, one mapping each: ``repeat``, ``fold`` (None without
            folds), ``seed``, ``value`` (of the first objective, at ``best_epoch`` of the trial),
            ``best_epoch`` (its own), ``epochs`` and ``seconds``; empty for a trial of one run.
        baseline: True for the base config as composed.
        origin: where its config comes from.
        continues: the screened trial that it continues.
        duplicate_of: the trial whose value it reuses.
        audited_at: the epoch at which it would have been pruned, had it not been chosen to run on.
        constraints: how far each constraint is exceeded; none above 0 in a feasible trial.
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
    correct_by_epoch: EpochBits | None = None
    per_example: KeptExamples = field(default_factory=KeptExamples)
    environment: dict[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    baseline: bool = False
    origin: Origin = Origin.SAMPLED
    continues: int | None = None
    duplicate_of: int | None = None
    audited_at: int | None = None
    constraints: dict[str, float] = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    raw_params: dict[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs of the history: those run, or, of several runs, those that all of them reached."""
        return max((len(values) for values in self.history.values()), default=0)

    @property
    def epochs_run(self) -> int:
        """Epochs run, in all runs together."""
        return sum(run["epochs"] for run in self.runs) or self.epochs

    @property
    def n_folds(self) -> int:
        """In how many folds the examples were predicted; 0 without folds."""
        return len({run["fold"] for run in self.runs} - {None})

    @property
    def n_repeats(self) -> int:
        """How often each example was predicted."""
        return max(len({run["repeat"] for run in self.runs}), 1)

    @property
    def spread(self) -> float | None:
        """The standard deviation of the first objective over runs; None where there are not two."""
        values = [run["value"] for run in self.runs if run["value"] is not None]
        return stdev(values) if len(values) > 1 else None

    @property
    def value(self) -> float | None:
        """The value of the first objective."""
        return None if self.values is None else self.values[0]


@dataclass(frozen=True, eq=False)
class StudyRecord(SameFields):
    """One study: what was asked, every trial in the order of its number, and ``replicates``.

    A replicate is a trial's config on a fresh seed, trained once the search was over. It has the
    trial's number, no params and no config; Optuna has never heard of it.
    """

    name: str
    objectives: tuple[Objective, ...]
    trials: tuple[TrialRecord, ...]
    config: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    replicates: tuple[TrialRecord, ...] = ()

    @property
    def objective(self) -> Objective:
        """The first objective: the only one, unless the study has several."""
        return self.objectives[0]

    @property
    def n_asked(self) -> int | None:
        """How many trials the sweep was asked for, or a grid's fewer ones; None: not known."""
        asked: int | None = self.config.get("sweep", {}).get("n_trials")
        points = self.facts.get("n_points")
        return asked if points is None or asked is None else min(asked, points)

    @property
    def is_imported(self) -> bool:
        """Whether it was made without besom: its trials have hyperparameters but no configs."""
        return "imported" in self.facts

    @cached_property
    def complete(self) -> list[TrialRecord]:
        """The trials that may be ranked."""
        return [t for t in self.trials if t.outcome is Outcome.COMPLETE]

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """The base config's trial, if it completed."""
        return next((t for t in self.complete if t.baseline), None)

    def shown(self, number: int) -> int | str:
        """A trial's number as people read it."""
        return number

    def home(self, number: int) -> str:
        """The name of the study that a trial belongs to, for commands."""
        del number
        return self.name
