"""``besom sweep NAME --dry-run``: builds a space's corners and estimates the cost of the sweep."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from besom.errors import SpaceError
from besom.executors.base import Epoch, Executor, Failed, Finished
from besom.executors.run_loop import RunLoop, TrialSource, TrialTask
from besom.executors.session import started
from besom.report.tables import shown_params
from besom.seam import TrialConfig, TrialResult
from besom.space import Sample, Space
from besom.space.domains import Choice
from besom.store.records import Objective, Origin
from besom.study.checks import settled
from besom.study.objective import broken
from besom.study.plan import SweepPlan
from besom.study.preset_trials import all_preset_trials, n_points
from besom.study.samplers import build_pruner, build_sampler
from besom.study.screening import ScreeningPruner

#: Builds a model and measures a few steps.
PROBE = "besom.training.dry_run_probe:probe"
N_SAMPLED = 5


@dataclass(frozen=True)
class Probed:
    """One config that was built.

    Attributes:
        name: ``base``, ``enqueued``, ``corner 1``, ``sampled 1`` and so on.
        params: what the space would have sampled.
        numbers: what ``besom.training.dry_run_probe`` measures.
        broken: the constraints it breaks, in words: it would not be trained.
        unsavable: why its model cannot be saved; empty if it can.
    """

    name: str
    params: dict[str, Any]
    config: TrialConfig
    numbers: dict[str, float]
    broken: list[str] = field(default_factory=list)
    unsavable: str = ""

    @property
    def seconds_per_epoch(self) -> float:
        """Expected time per epoch: its steps, and what comes after them."""
        steps = self.numbers["seconds_per_step"] * self.numbers["steps_per_epoch"]
        return steps + self.numbers.get("seconds_beside_steps", 0.0)

    @property
    def seconds_beside_epochs(self) -> float:
        """Expected time of a trial that is not its epochs': building, compiling, saving."""
        return self.numbers.get("seconds_beside_epochs", 0.0)


@dataclass(frozen=True)
class DryRun:
    """What a dry run found.

    Attributes:
        built: every config that was built: the base, the corners, the sampled ones.
        n_workers: how many would run at once.
        facts: what the workers report about data and device.
        objectives: what would be optimised.
        pruner: the sweep's; screening shortens the expected time.
        n_points: how many trials a grid has; None = no limit.
        start_s: wall-clock seconds until the first worker was ready.
        n_runs: how many runs each trial is; a config is built for the first of them.
    """

    built: list[Probed]
    n_workers: int
    facts: dict[str, Any]
    objectives: tuple[Objective, ...]
    pruner: optuna.pruners.BasePruner
    n_points: int | None = None
    start_s: float = 0.0
    n_runs: int = 1

    @property
    def sampled(self) -> list[Probed]:
        """The configs that represent what the sampler will propose; all, if nothing is sampled."""
        return [p for p in self.built if p.name.startswith("sampled")] or self.built

    @property
    def smallest(self) -> Probed:
        """The config with the fewest parameters."""
        return min(self.built, key=lambda p: p.numbers["n_params"])

    @property
    def largest(self) -> Probed:
        """The config with the most parameters."""
        return max(self.built, key=lambda p: p.numbers["n_params"])

    def n_trials(self, most: int) -> int:
        """How many trials would run: ``most``, or as many as a grid has."""
        return most if self.n_points is None else min(most, self.n_points)

    def expected_seconds(self, n_trials: int) -> float:
        """Wall-clock seconds if nothing is pruned, from what was measured of the sampled configs.

        Workers start once, and each trial builds, compiles and saves its model. Screening costs the
        first epochs of all trials and the rest of the best. Trials that break a constraint cost
        nothing.
        """
        seconds = statistics.mean(
            0.0 if p.broken else self._seconds(p, n_trials) for p in self.sampled
        )
        return self.start_s + float(seconds) / self.n_workers

    @property
    def seconds_beside_epochs(self) -> float:
        """What a trial takes beside its epochs, on average."""
        return statistics.mean(p.seconds_beside_epochs for p in self.sampled)

    def _seconds(self, probed: Probed, n_trials: int) -> float:
        """On one worker, if all trials were like this one."""
        epochs = float(probed.config["trainer"]["epochs"])
        n_begun = n_trials * self.n_runs
        n_epochs = n_begun * epochs
        if isinstance(self.pruner, ScreeningPruner):
            kept = min(self.pruner.keep, n_trials)
            n_epochs = n_trials * self.pruner.epochs + kept * (epochs - self.pruner.epochs)
            n_begun += kept
        return n_begun * probed.seconds_beside_epochs + n_epochs * probed.seconds_per_epoch


class _Probes(TrialSource):
    """Runs each config once; it ends by itself after one report."""

    def __init__(self, configs: Iterable[tuple[int, TrialConfig]]) -> None:
        self._waiting = deque(configs)
        self.results: dict[int, TrialResult] = {}
        self.failed: dict[int, str] = {}

    def has_next(self) -> bool:
        return bool(self._waiting)

    def next_trial(self) -> TrialTask:
        return TrialTask(*self._waiting.popleft())

    def stops_after(self, event: Epoch) -> bool:  # noqa: ARG002
        return True

    def on_ended(self, event: Finished | Failed, was_stopped: bool) -> None:  # noqa: ARG002
        if isinstance(event, Failed):
            self.failed[event.trial] = event.reason
        else:
            self.results[event.trial] = event.result


def dry_run(plan: SweepPlan, executor: Executor) -> DryRun:
    """Try the base config, the space's corners and five sampled configs on a few examples.

    Raises:
        SpaceError: some of them cannot be trained; lists each with its reason.
        ConfigError: no trial would report an objective or a constraint.
        BesomError: the workers cannot be prepared (the data is missing, say).
    """
    wanted = _wanted(plan)
    began = time.monotonic()
    with started(executor, PROBE, plan.as_composed, None, len(wanted)) as facts:
        start_s = time.monotonic() - began
        if (judged := settled(plan, facts)) is not plan:
            plan = judged
            wanted = _wanted(plan)
        probes = _Probes(enumerate(plan.runs[0].config(config) for _, _, config in wanted))
        RunLoop(executor, probes).run()
        n_workers = executor.n_workers
    results, failed = probes.results, probes.failed
    if failed:
        lines = [
            f"{name} ({shown_params(params)}): {failed[i]}"
            for i, (name, params, _) in enumerate(wanted)
            if i in failed
        ]
        raise SpaceError(
            f"{len(failed)} of {len(wanted)} configs cannot be trained:\n  " + "\n  ".join(lines)
        )
    limits = plan.sweep.constraints
    built = [
        Probed(name, params, config, numbers, broken(limits, numbers), unsavable)
        for i, (name, params, config) in enumerate(wanted)
        for numbers in [dict(results[i].numbers)]
        for unsavable in [results[i].environment.get("unsavable", "")]
    ]
    pruner = build_pruner(plan.sweep.pruner)
    sampler = build_sampler(plan.sweep.sampler, plan.space, 0, len(plan.objectives))
    return DryRun(
        built,
        n_workers,
        facts,
        plan.objectives,
        pruner,
        n_points=n_points(plan, sampler),
        start_s=start_s,
        n_runs=len(plan.runs),
    )


def _wanted(plan: SweepPlan) -> list[tuple[str, dict[str, Any], TrialConfig]]:
    seed = int(plan.config["seed"])
    wanted = [
        ("base" if preset.origin is Origin.BASELINE else "enqueued", preset.shown, preset.config)
        for preset in all_preset_trials(plan)
    ]
    wanted = [(name, params, {**config, "seed": seed}) for name, params, config in wanted]
    named = [(f"corner {i + 1}", sample) for i, sample in enumerate(corners(plan.space))]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    named += [
        (f"sampled {i + 1}", plan.space.suggest(study.ask()))
        for i in range(N_SAMPLED if len(plan.space) else 0)
    ]
    return wanted + [(name, s.params, plan.trial_config(s, seed)) for name, s in named]


#: At most this many corners are built.
MOST_CORNERS = 32


def corners(space: Space) -> list[Sample]:
    """All numbers at their low end, and all at their high end, for every branch of the space.

    The space branches at every config group, and at every choice that a condition reads. Each
    combination of these has its corners, up to the limit. All other choices take turns, so that
    each value is in some corner.
    """
    branches = _branches(space)
    combinations = list(itertools.product(*branches.values()))[: MOST_CORNERS // 2]
    turns = _Turns()
    samples: dict[str, Sample] = {}
    while len(space) and len(samples) < MOST_CORNERS:
        for values, end in itertools.product(combinations, ("low", "high")):
            fixed = dict(zip(branches, values, strict=True))
            sample = space.suggest(_CornerTrial(fixed, end, turns))
            samples.setdefault(json.dumps(sample.params, sort_keys=True), sample)
        if turns.all_taken:
            break
    return list(samples.values())[:MOST_CORNERS]


def _branches(space: Space) -> dict[str, Sequence[Any]]:
    """Each choice that decides what else is sampled: its name in Optuna, and its values there."""
    read = {c.source.path for entry in space.entries for c in entry.conditions if c.source.sampled}
    return {
        entry.name: list(entry.values.points())
        for entry in space.entries
        if isinstance(entry.values, Choice) and (entry.group or entry.path in read)
    }


class _Turns:
    """Gives the values of each choice in turn."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._values: dict[str, Sequence[Any]] = {}

    @property
    def all_taken(self) -> bool:
        """Whether every value of the choices seen so far has had its turn."""
        return all(self._taken[name] >= len(values) for name, values in self._values.items())

    def next(self, name: str, values: Sequence[Any]) -> Any:
        """The value whose turn it is."""
        self._values[name] = values
        self._taken[name] += 1
        return values[(self._taken[name] - 1) % len(values)]


class _CornerTrial(optuna.trial.FixedTrial):
    """A trial with every number at one end of its range; choices take turns, unless fixed."""

    def __init__(self, fixed: Mapping[str, Any], end: str, turns: _Turns) -> None:
        super().__init__({})
        self._fixed, self._end, self._turns = dict(fixed), end, turns

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:  # noqa: ARG002
        """One end of the range."""
        return low if self._end == "low" else high

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:  # noqa: ARG002
        """One end of the range."""
        return low if self._end == "low" else high

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The fixed choice, else the one whose turn it is."""
        return self._fixed[name] if name in self._fixed else self._turns.next(name, choices)
