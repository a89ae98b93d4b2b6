"""A sweep, checked and ready to run: everything that running it needs, from one composed config."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from besom.config import TRAIN_GROUPS, Composer, find_sweep, overlap
from besom.config.schema import ObjectiveSchema, SweepNode
from besom.config.tree import within
from besom.errors import ConfigError, did_you_mean
from besom.seam import TrialConfig
from besom.space import Sample, Space, apply, flatten, parse_space
from besom.space.command_line import sort_out
from besom.store.paths import StudyPaths, checked_folder, checked_name
from besom.store.records import Objective
from besom.store.storage_url import check_no_password
from besom.study.base_configs import BaseConfigs, with_objective
from besom.study.constraints import check_constraints
from besom.text.values import given_text

#: The path that a space may sample, and that every trial's config has.
SEED = "seed"

EPOCHS_PATH = "trainer.epochs"

#: What a sweep's objective sets in ``trainer``, and the value that leaves it open.
_SET_BY_OBJECTIVE = {
    "trainer.monitor": None,
    "trainer.mode": "auto",
    "trainer.restore_best": False,
}

DIRECTIONS = ("maximize", "minimize")
EPOCHS = ("best", "last")


@dataclass(frozen=True)
class SweepPlan:
    """One sweep, checked: what it runs is settled, and nothing of it changes.

    Attributes:
        name: the study's name.
        config: the composed config, plain and resolved; what the study stores.
        choices: the option chosen in each config group.
        objectives: what is optimised; one, unless the study has several.
        space: the search space.
        paths: where the study lives.
        composer: finds and reads the options of the groups.
        bases: the config that trials start from, for each choice of group options.
        notes: what the user should know about how the sweep was read.
    """

    name: str
    config: dict[str, Any]
    choices: dict[str, str]
    objectives: tuple[Objective, ...]
    space: Space
    paths: StudyPaths
    composer: Composer
    bases: BaseConfigs
    notes: tuple[str, ...] = ()

    @cached_property
    def sweep(self) -> SweepNode:
        """The node ``sweep``."""
        return SweepNode.of(self.config["sweep"])

    def stored_in(self, url: str | None) -> SweepPlan:
        """The same plan with another ``sweep.storage``."""
        sweep = {**self.config["sweep"], "storage": url}
        return replace(self, config={**self.config, "sweep": sweep})

    @property
    def as_composed(self) -> TrialConfig:
        """The base config without the objective's settings: what workers prepare with."""
        return with_objective(self.config, ())

    @property
    def base(self) -> TrialConfig:
        """The base config as composed: what trial 0 runs."""
        return self.bases.of({})

    def trial_config(self, sample: Sample, seed: int) -> TrialConfig:
        """The resolved config of one trial; its ``seed`` is the sampled one, where it is."""
        config: TrialConfig = apply(self.bases.of(sample.groups), sample.values)
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
        results_dir: where the study is written; None takes it from the config.

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
    config, node = composed.config, composed.config["sweep"]
    if asked.of_space:
        node["space"] = asked.changed(flatten(node["space"], config), composer)
    check_no_password(node["storage"] or "")
    node["storage"] = _absolute(node["storage"])
    sweep = SweepNode.of(node)
    study_name = checked_name("sweep.name", primary if sweep.name is None else sweep.name)
    objectives = _objectives(sweep)
    if not isinstance(config["trainer"], Mapping):
        raise ConfigError(f"trainer is {config['trainer']!r}, expected a mapping such as {{}}.")
    check_constraints(sweep.constraints)
    bases = BaseConfigs(composer, asked.plain, composed, objectives)
    space = parse_space(
        sweep.space,
        base=bases.of({}),
        groups={group: list(composer.groups.get(group, {})) for group in TRAIN_GROUPS},
        choices=composed.choices,
        compose=bases.of,
        own_spaces=_own_spaces(composer),
        fixed=asked.fixed,
        dropped=asked.dropped,
    )
    if space.spec != flatten(sweep.space, bases.of({})):  # else it stays as written
        node["space"] = space.spec
    plan = SweepPlan(
        name=study_name,
        config=config,
        choices=composed.choices,
        objectives=objectives,
        space=space,
        paths=StudyPaths.of(
            checked_folder(config["results_dir"]) if results_dir is None else Path(results_dir),
            study_name,
        ),
        composer=composer,
        bases=bases,
        notes=(*space.notes, *_unused_settings(config, bases.of({}))),
    )
    _check_seed(plan)
    _check_epochs(plan)
    _check_interpolations(plan)
    _check_watched(plan)
    return plan


def _own_spaces(composer: Composer) -> Callable[[str, str], Mapping[str, Any]]:
    def of(group: str, option: str) -> Mapping[str, Any]:
        space = composer.option(group, option).get("space") or {}
        if not isinstance(space, Mapping):
            raise ConfigError(f"{group}/{option}.yaml: space must be a mapping, got {space!r}.")
        return space

    return of


def _absolute(storage: str | None) -> str | None:
    """The URL, with the absolute path of a SQLite file, so that reports find it from any folder.

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


def _objectives(sweep: SweepNode) -> tuple[Objective, ...]:
    """The list ``objectives``, if it has any, else the one ``objective``."""
    named = [(f"sweep.objectives[{i}]", node) for i, node in enumerate(sweep.objectives)]
    objectives = tuple(
        _objective(path, node) for path, node in named or [("sweep.objective", sweep.objective)]
    )
    metrics = [o.metric for o in objectives]
    if len(set(metrics)) < len(metrics):
        raise ConfigError(f"sweep.objectives names a metric twice: {', '.join(metrics)}.")
    return objectives


def _objective(path: str, node: ObjectiveSchema) -> Objective:
    for key, known in (("direction", DIRECTIONS), ("epoch", EPOCHS)):
        value = getattr(node, key)
        if value not in known:
            raise ConfigError(
                f"{path}.{key} is {given_text(value)}." + did_you_mean(str(value), known)
            )
    return Objective(**vars(node))


def _check_seed(plan: SweepPlan) -> None:
    if plan.sweep.vary_seed and SEED in plan.space.paths:
        raise ConfigError(
            "sweep.space samples 'seed', and sweep.vary_seed gives each trial its own seed: only "
            "one of them can. Set sweep.vary_seed=false, or take 'seed' out of the space."
        )


def _check_epochs(plan: SweepPlan) -> None:
    entries = [entry for entry in plan.space.entries if entry.path == EPOCHS_PATH]
    for least in (v for entry in entries for v in (entry.low, *(entry.choices or ()))):
        check_epochs(least, f"{EPOCHS_PATH} in sweep.space")
    if not entries:
        check_epochs(plan.base["trainer"].get("epochs"), EPOCHS_PATH)


def check_epochs(epochs: Any, what: str) -> None:
    """Refuse trials without an epoch: they would report nothing.

    Raises:
        ConfigError: begins with ``what``.
    """
    if isinstance(epochs, int | float) and epochs < 1:
        raise ConfigError(
            f"{what} is {epochs:g}, expected at least 1: a trial reports after each epoch."
        )


def _check_interpolations(plan: SweepPlan) -> None:
    """Refuse what is made from a sampled value: it is resolved before, and would not follow it."""
    sampled = [entry.path for entry in plan.space.entries if entry.group is None]
    for path, read in plan.bases.reads.items():
        is_sampled = any(within(path, outer) for outer in sampled)
        if path.partition(".")[0] not in TRAIN_GROUPS or is_sampled:
            continue
        if stale := [other for other in sampled if any(overlap(other, r) for r in read)]:
            raise ConfigError(
                f"{path} is made from {stale[0]} by an interpolation (${{...}}), and sweep.space "
                f"samples {stale[0]}: {path} would not follow it, but keep its value from the base "
                f"config. Write its value, as in {path}=VALUE, or sample it too."
            )


def _check_watched(plan: SweepPlan) -> None:
    """Refuse to sample what the trainer watches: that is the objective."""
    if path := next((p for p in plan.space.paths if p in _SET_BY_OBJECTIVE), None):
        raise ConfigError(
            f"sweep.space samples {path!r}, but in a sweep the objective decides what patience "
            "watches and which epoch's weights are kept. Take it out of the space, and see "
            "sweep.objective."
        )


def _unused_settings(config: Mapping[str, Any], base: TrialConfig) -> list[str]:
    """What the config sets that the objective replaces; one line each."""
    lines = []
    for path, unset in _SET_BY_OBJECTIVE.items():
        key = path.partition(".")[2]
        written, used = config["trainer"].get(key), base["trainer"].get(key)
        if written not in (None, unset, used):
            lines.append(
                f"{path}={written} is not used: in a sweep the objective decides what patience "
                f"watches and which epoch's weights are kept ({path}={used}); see sweep.objective"
            )
    return lines
