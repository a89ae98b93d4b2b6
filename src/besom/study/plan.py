"""A sweep, checked and ready to run: everything that running it needs, from one composed config."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from besom.config import TRAIN_GROUPS, Composed, Composer, find_sweep, overlap
from besom.config.schema import SweepNode
from besom.config.tree import within
from besom.errors import ConfigError
from besom.runs import RunOf, runs_of
from besom.seam import TrialConfig
from besom.space import Sample, Space, apply, flatten, parse_space
from besom.space.command_line import sort_out
from besom.store.paths import StudyPaths, checked_folder, checked_name
from besom.store.records import Objective
from besom.store.storage_url import check_no_password
from besom.study.base_configs import BaseConfigs, with_objective
from besom.study.objective import check_constraints, objectives_of
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


def _nothing() -> None:
    """A sweep from a YAML brings nothing along."""


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
        furnish: writes what the workers need into the study's folder before they start.
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
    furnish: Callable[[], None] = _nothing

    @cached_property
    def sweep(self) -> SweepNode:
        """The node ``sweep``."""
        return SweepNode.of(self.config["sweep"])

    def stored_in(self, url: str | None) -> SweepPlan:
        """The same plan with another ``sweep.storage``."""
        return self.with_sweep(storage=url)

    def with_sweep(self, **keys: Any) -> SweepPlan:
        """The same plan with other values of keys of the node ``sweep``."""
        return replace(self, config={**self.config, "sweep": {**self.config["sweep"], **keys}})

    def judged_by(self, objectives: tuple[Objective, ...]) -> SweepPlan:
        """The same plan with other objectives: those that follow from the data, or are stored."""
        if objectives == self.objectives:
            return self
        return replace(self, objectives=objectives, bases=self.bases.judged_by(objectives))

    @cached_property
    def runs(self) -> tuple[RunOf, ...]:
        """The runs that each trial is, in order; one, without ``sweep.folds`` and ``repeats``."""
        return runs_of(self.sweep.folds, self.sweep.repeats)

    @cached_property
    def most_epochs(self) -> int:
        """The most epochs that a run may have, by the base config and the space; 0: not known."""
        sampled = [entry for entry in self.space.entries if entry.path == EPOCHS_PATH]
        most = [n for entry in sampled for n in (entry.high, *(entry.choices or ()))]
        most.append(self.base["trainer"].get("epochs"))
        return int(max((n for n in most if isinstance(n, int | float)), default=0))

    @property
    def as_composed(self) -> TrialConfig:
        """The base config without the objective's settings: what workers prepare with.

        Where a trial is several runs, it is that of the first.
        """
        return self.runs[0].config(with_objective(self.config, ()))

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
    search, primary = find_sweep(name, config_dir)
    return plan_of(Composer(search, primary), overrides, results_dir)


def plan_of(
    composer: Composer,
    overrides: Sequence[str],
    results_dir: str | Path | None = None,
    name: str | None = None,
) -> SweepPlan:
    """``make_plan`` for a sweep that has been found.

    ``name`` is the study's where the config has none; None: that of the primary config.
    """
    for text in overrides:  # before Hydra reads them: it shows what it cannot read
        if re.match(r"[+~]*sweep(\.storage)?\s*=", text):
            check_no_password(text.partition("=")[2])
    asked = sort_out(overrides)
    composed = composer.compose(asked.plain)
    config, node = composed.config, composed.config["sweep"]
    if asked.of_space:
        node["space"] = asked.changed(flatten(node["space"], config), composer)
    check_no_password(node["storage"] or "")
    node["storage"] = _absolute(node["storage"])
    sweep = SweepNode.of(node)
    if (given := config.get("name")) is not None:
        raise ConfigError(
            f"name is {given_text(given)}, which names a run of `besom train`. A study is named by "
            f"sweep.name: write sweep.name={given}."
        )
    fallback = composer.primary if name is None else name
    study = checked_name("sweep.name", fallback if sweep.name is None else sweep.name)
    folder = checked_folder(config["results_dir"]) if results_dir is None else Path(results_dir)
    if not isinstance(config["trainer"], Mapping):
        raise ConfigError(f"trainer is {config['trainer']!r}, expected a mapping such as {{}}.")
    objectives = objectives_of(sweep)
    check_constraints(sweep.constraints)
    bases = BaseConfigs(composer, asked.plain, composed, objectives)
    base = bases.of({})
    space = parse_space(
        sweep.space,
        base=base,
        groups={group: list(composer.groups.get(group, {})) for group in TRAIN_GROUPS},
        choices=composed.choices,
        compose=bases.of,
        own_spaces=_own_spaces(composer),
        fixed=asked.fixed,
        dropped=asked.dropped,
    )
    if space.spec != flatten(sweep.space, base):  # else it stays as written
        node["space"] = space.spec
    _check_sampled(space, bases, sweep)
    choices = composed.choices
    notes = (*space.notes, *_unused_settings(config, base), *_unused_split(composer, composed))
    paths = StudyPaths.of(folder, study)
    return SweepPlan(study, config, choices, objectives, space, paths, composer, bases, notes)


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


def _check_sampled(space: Space, bases: BaseConfigs, sweep: SweepNode) -> None:
    """Refuse to sample what something else decides, and what no trial could run."""
    if sweep.vary_seed and SEED in space.paths:
        raise ConfigError(
            "sweep.space samples 'seed', and sweep.vary_seed gives each trial its own seed: only "
            "one of them can. Set sweep.vary_seed=false, or take 'seed' out of the space."
        )
    if path := next((p for p in space.paths if p in _SET_BY_OBJECTIVE), None):
        raise ConfigError(
            f"sweep.space samples {path!r}, but in a sweep the objective decides what patience "
            "watches and which epoch's weights are kept. Take it out of the space, and see "
            "sweep.objective."
        )
    sampled_epochs = [entry for entry in space.entries if entry.path == EPOCHS_PATH]
    for least in (v for entry in sampled_epochs for v in (entry.low, *(entry.choices or ()))):
        check_epochs(least, f"{EPOCHS_PATH} in sweep.space")
    if not sampled_epochs:
        check_epochs(bases.of({})["trainer"].get("epochs"), EPOCHS_PATH)
    _check_interpolations(space, bases)


def check_epochs(epochs: Any, what: str) -> None:
    """Refuse trials without an epoch: they would report nothing.

    Raises:
        ConfigError: begins with ``what``.
    """
    if isinstance(epochs, int | float) and epochs < 1:
        raise ConfigError(
            f"{what} is {epochs:g}, expected at least 1: a trial reports after each epoch."
        )


def _check_interpolations(space: Space, bases: BaseConfigs) -> None:
    """Refuse what is made from a sampled value: it is resolved before, and would not follow it."""
    sampled = [entry.path for entry in space.entries if entry.group is None]
    for path, read in bases.reads.items():
        is_sampled = any(within(path, outer) for outer in sampled)
        if path.partition(".")[0] not in TRAIN_GROUPS or is_sampled:
            continue
        if stale := [other for other in sampled if any(overlap(other, r) for r in read)]:
            raise ConfigError(
                f"{path} is made from {stale[0]} by an interpolation (${{...}}), and sweep.space "
                f"samples {stale[0]}: {path} would not follow it, but keep its value from the base "
                f"config. Write its value, as in {path}=VALUE, or sample it too."
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


def _unused_split(composer: Composer, composed: Composed) -> list[str]:
    """That folds replace the validation split, where the sweep sets one of its own."""
    data, option = composed.config["data"], composed.choices.get("data")
    key = "validation_split"
    if composed.config["sweep"]["folds"] is None or option is None or key not in (data or ()):
        return []
    if data[key] == composer.option("data", option).get(key, data[key]):
        return []
    return [f"data.{key}={data[key]} is not used: with sweep.folds, each fold is held out in turn"]
