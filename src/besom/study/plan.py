"""A sweep, checked and ready to run: everything the coordinator needs, from one composed config."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from besom.config import TRAIN_GROUPS, Composer, find_sweep, overlap
from besom.config.tree import within
from besom.errors import ConfigError, did_you_mean
from besom.seam import TrialConfig
from besom.space import Sample, Space, apply, flatten, parse_space
from besom.space.command_line import Asked, sort_out
from besom.store.paths import StudyPaths, checked_folder, checked_name
from besom.store.records import Objective
from besom.store.storage_url import check_no_password
from besom.study.sweep_limits import check_constraints, check_numbers
from besom.text.values import given_text

#: Numbers a trial has once, as opposed to metrics it has after each epoch.
TRIAL_NUMBERS = ("n_params", "seconds_per_epoch", "model_bytes", "seconds", "cpu_seconds")

#: The path that a space may sample, and that every trial's config has.
SEED = "seed"

EPOCHS_PATH = "trainer.epochs"

#: What ``trainer`` leaves open, so that a sweep's objective may set it.
_OBJECTIVES_OWN = {"monitor": "val_accuracy", "mode": "auto", "restore_best": False}

DIRECTIONS = ("maximize", "minimize")
EPOCHS = ("best", "last")


@dataclass
class SweepPlan:
    """One sweep as asked for.

    Attributes:
        name: the study's name.
        config: the composed config, plain and resolved.
        choices: the option chosen in each config group.
        objectives: what is optimised; one, unless the study has several.
        space: the search space.
        paths: where the study lives.
        composer, overrides: compose the config again for other choices of groups.
        notes: what the user should know of how the sweep was read.
    """

    name: str
    config: dict[str, Any]
    choices: dict[str, str]
    objectives: tuple[Objective, ...]
    space: Space
    paths: StudyPaths
    composer: Composer
    overrides: list[str]
    notes: list[str] = field(default_factory=list)
    _composed: dict[tuple[tuple[str, str], ...], TrialConfig] = field(default_factory=dict)
    _reads: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def sweep(self) -> dict[str, Any]:
        """The node ``sweep``."""
        node: dict[str, Any] = self.config["sweep"]
        return node

    @property
    def as_composed(self) -> TrialConfig:
        """The base config before the objective has its say: what workers prepare with."""
        return _trial_part(self.config, ())

    @property
    def base(self) -> TrialConfig:
        """The base config as composed: what trial 0 runs."""
        return self.trial_base({})

    def trial_base(self, groups: Mapping[str, str]) -> TrialConfig:
        """The trial config composed for a choice of group options; composed once for each."""
        key = tuple(sorted((g, o) for g, o in groups.items() if self.choices.get(g) != o))
        if key not in self._composed:
            config = self.config
            if key:
                composed = self.composer.compose_for(dict(key), self.overrides)
                config = composed.config
                for path, read in composed.reads.items():
                    self._reads[path] = self._reads.get(path, frozenset()) | read
            self._composed[key] = _trial_part(config, self.objectives)
        return self._composed[key]

    def trial_config(self, sample: Sample, seed: int) -> TrialConfig:
        """The resolved config of one trial; its ``seed`` is the sampled one, where it is."""
        config: TrialConfig = apply(self.trial_base(sample.groups), sample.values)
        if SEED not in sample.values:
            config["seed"] = seed
        return config


def make_plan(
    name: str,
    overrides: Sequence[str] = (),
    config_dir: str | Path | None = None,
    results_dir: str | Path | None = None,
) -> SweepPlan:
    """Compose and check a sweep; nothing is written.

    Args:
        name: a sweep on the search path, or the path of a YAML.
        overrides: Hydra overrides; those in Hydra's sweep grammar join the search space, and a
            plain value for something the space samples fixes it there; of two for one key, the
            last counts.
        config_dir: the user's config folder; None takes ``./conf`` and ``./sweeps``.
        results_dir: where the study lands; None takes it from the config.

    Raises:
        ConfigError: anything in the sweep that cannot be run.
        SpaceError: a search space that cannot be sampled.
    """
    for text in overrides:  # before Hydra reads them: it shows what it cannot read
        if re.match(r"[+~]*sweep(\.storage)?\s*=", text):
            check_no_password(text.partition("=")[2])
    search, primary = find_sweep(name, config_dir)
    composer = Composer(search, primary)
    asked = sort_out(overrides)
    composed = composer.compose(asked.plain)
    config, sweep = composed.config, composed.config["sweep"]
    if asked.of_space:
        sweep["space"] = asked.changed(flatten(sweep["space"], config), composer)
    check_no_password(sweep["storage"] or "")
    sweep["storage"] = _absolute(sweep["storage"])
    study_name = checked_name("sweep.name", primary if sweep["name"] is None else sweep["name"])
    objectives = _objectives(sweep)
    if not isinstance(config["trainer"], Mapping):
        raise ConfigError(f"trainer is {config['trainer']!r}, expected a mapping such as {{}}.")
    check_numbers(sweep)
    check_constraints(sweep)
    plan = SweepPlan(
        name=study_name,
        config=config,
        choices=composed.choices,
        objectives=objectives,
        space=_NO_SPACE,
        paths=StudyPaths.of(
            checked_folder(config["results_dir"]) if results_dir is None else Path(results_dir),
            study_name,
        ),
        composer=composer,
        overrides=asked.plain,
        _reads=dict(composed.reads),
    )
    plan.space = _space_of(plan, asked)
    if plan.space.spec != flatten(sweep["space"], plan.base):  # else it stays as written
        sweep["space"] = plan.space.spec
    plan.notes += plan.space.notes
    _check_seed(plan)
    _check_epochs(plan)
    _check_interpolations(plan)
    _leave_to_objective(plan)
    return plan


def _space_of(plan: SweepPlan, asked: Asked) -> Space:
    return parse_space(
        plan.sweep["space"],
        base=plan.base,
        groups={group: list(plan.composer.groups.get(group, {})) for group in TRAIN_GROUPS},
        choices=plan.choices,
        compose=plan.trial_base,
        own_spaces=_own_spaces(plan.composer),
        fixed=asked.fixed,
        dropped=asked.dropped,
    )


_NO_SPACE = parse_space({}, base={}, groups={}, choices={})


def _own_spaces(composer: Composer) -> Callable[[str, str], Mapping[str, Any]]:
    def of(group: str, option: str) -> Mapping[str, Any]:
        space = composer.option(group, option).get("space") or {}
        if not isinstance(space, Mapping):
            raise ConfigError(f"{group}/{option}.yaml: space must be a mapping, got {space!r}.")
        return space

    return of


def _absolute(storage: str | None) -> str | None:
    """A SQLite file by its absolute path, so that reporting finds it from any folder.

    Raises:
        ConfigError: it is blank.
    """
    scheme = "sqlite:///"
    if storage is not None and (not storage.strip() or "\0" in storage):
        raise ConfigError(
            f"sweep.storage is {storage!r}, expected a URL such as sqlite:///study.db, or null for "
            "the journal in the study's own folder."
        )
    if storage is None or not storage.startswith(scheme) or storage.startswith(f"{scheme}/"):
        return storage
    name = storage.removeprefix(scheme)
    return storage if not name or name == ":memory:" else f"{scheme}{Path(name).absolute()}"


def _objectives(sweep: Mapping[str, Any]) -> tuple[Objective, ...]:
    """The objectives: the list ``objectives`` where it has any, else the one ``objective``."""
    named = [(f"sweep.objectives[{i}]", node) for i, node in enumerate(sweep["objectives"])]
    objectives = tuple(
        _objective(path, node) for path, node in named or [("sweep.objective", sweep["objective"])]
    )
    metrics = [o.metric for o in objectives]
    if len(set(metrics)) < len(metrics):
        raise ConfigError(f"sweep.objectives names a metric twice: {', '.join(metrics)}.")
    return objectives


def _objective(path: str, node: Mapping[str, Any]) -> Objective:
    for key in ("direction", "epoch"):
        known = DIRECTIONS if key == "direction" else EPOCHS
        if node[key] not in known:
            raise ConfigError(
                f"{path}.{key} is {given_text(node[key])}." + did_you_mean(str(node[key]), known)
            )
    return Objective(**node)


def _check_seed(plan: SweepPlan) -> None:
    if plan.sweep["vary_seed"] and SEED in plan.space.paths:
        raise ConfigError(
            "sweep.space samples 'seed', and sweep.vary_seed gives each trial a seed of its own: "
            "only one of them can. Set sweep.vary_seed=false, or take 'seed' out of the space."
        )


def _check_epochs(plan: SweepPlan) -> None:
    entries = [entry for entry in plan.space.entries if entry.path == EPOCHS_PATH]
    for least in (v for entry in entries for v in (entry.low, *(entry.choices or ()))):
        check_epochs(least, f"{EPOCHS_PATH} in sweep.space")
    if not entries:
        check_epochs(plan.base["trainer"].get("epochs"), EPOCHS_PATH)


def check_epochs(epochs: Any, what: str) -> None:
    """Refuse trials without an epoch: none of them would report anything.

    Raises:
        ConfigError: begins with ``what``.
    """
    if isinstance(epochs, int | float) and epochs < 1:
        raise ConfigError(
            f"{what} is {epochs:g}, expected at least 1: a trial without an epoch reports nothing."
        )


def _check_interpolations(plan: SweepPlan) -> None:
    """Refuse what is made from a sampled value, and would not follow it: it is resolved before."""
    sampled = [entry.path for entry in plan.space.entries if entry.group is None]
    for path, read in plan._reads.items():
        is_sampled = any(within(path, outer) for outer in sampled)
        if path.partition(".")[0] not in TRAIN_GROUPS or is_sampled:
            continue
        if stale := [other for other in sampled if any(overlap(other, r) for r in read)]:
            raise ConfigError(
                f"{path} is made from {stale[0]} by an interpolation (${{...}}), and sweep.space "
                f"samples {stale[0]}: it would not follow, but stay as it is in the base config. "
                f"Write its value, as in {path}=VALUE, or sample it too."
            )


def _leave_to_objective(plan: SweepPlan) -> None:
    """What the trainer watches is the objective: refuse to sample it, say so where it is set."""
    for key, unset in _OBJECTIVES_OWN.items():
        path = f"trainer.{key}"
        if path in plan.space.paths:
            raise ConfigError(
                f"sweep.space samples {path!r}, but in a sweep the objective says what patience "
                "goes by and which epoch's weights are kept: take it out of the space, and see "
                "sweep.objective."
            )
        asked, used = plan.config["trainer"].get(key), plan.base["trainer"].get(key)
        if asked not in (None, unset, used):
            plan.notes.append(
                f"{path}={asked} is not used: in a sweep the objective says what patience goes by "
                f"and which epoch's weights are kept ({path}={used}); see sweep.objective"
            )


def _trial_part(config: Mapping[str, Any], objectives: Sequence[Objective]) -> TrialConfig:
    """What the worker gets; the trainer keeps the weights of the objective's epoch."""
    part: TrialConfig = {key: config[key] for key in (*TRAIN_GROUPS, "seed")}
    watched = next((o for o in objectives if o.metric not in TRIAL_NUMBERS), None)
    if watched is not None and isinstance(part["trainer"], Mapping):
        part["trainer"] = {
            **part["trainer"],
            "monitor": watched.metric,
            "mode": "max" if watched.sign > 0 else "min",
            "restore_best": watched.epoch == "best",
        }
    return part
