"""The types of ``conf/train.yaml`` and ``conf/sweep.yaml``, and the one form of the node ``sweep``.

In that form all entries are under ``sweep.space``, every objective has a direction, and mappings
that were emptied inherit nothing. The other forms that users may write are converted here.

The defaults stand in those files and nowhere else. The groups themselves are open (any ``_target_``
may bring its own keys); their values are held to the types of the option they come from, see
``besom.config.types``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from besom.config.overrides import MULTIRUN_HELP
from besom.config.search_path import read_yaml
from besom.config.tree import within
from besom.errors import ConfigError
from besom.metrics import usual_direction
from besom.packaged import packaged_config_dirs
from besom.text.values import given_text
from besom.trust import current

#: A study holds every trial in memory, and Optuna's samplers look at all of them before each.
MOST_TRIALS = 1_000_000

#: Thirty years: far below the longest wait that the system's clocks take.
_LONGEST_S = 1e9
_SECONDS = "more than 0 seconds, and at most 1e9 (null: no limit)"

#: Keys of the node ``sweep``, what their numbers must be in words, and the check; NaN passes none.
_RANGES: tuple[tuple[tuple[str, ...], str, Callable[[float], bool]], ...] = (
    (("n_trials",), f"1 to {MOST_TRIALS:,} trials", lambda v: 1 <= v <= MOST_TRIALS),
    (("max_failures", "patience"), "at least 1", lambda v: v >= 1),
    (("folds",), "2 to 1,000 folds (null: none)", lambda v: 2 <= v <= 1000),
    (("repeats",), "1 to 1,000 repeats", lambda v: 1 <= v <= 1000),
    (("timeout_s", "trial_timeout_s"), _SECONDS, lambda v: 0 < v <= _LONGEST_S),
    (("target",), "a finite number", math.isfinite),
    (("audit",), "a share from 0 to 1", lambda v: 0 <= v <= 1),
    (("keep_models", "storage_patience_s"), "0 or more", lambda v: v >= 0),
)

#: The config groups of one training run; ``seed`` stands beside them.
TRAIN_GROUPS = ("data", "model", "optimizer", "trainer")


@dataclass
class TrainSchema:
    """One training run."""

    data: Any
    model: Any
    optimizer: Any
    trainer: Any
    seed: int
    name: str | None
    source: Any
    results_dir: str


@dataclass
class ObjectiveSchema:
    """What is optimised; see ``besom.records.Objective``.

    The defaults are for an entry of ``sweep.objectives``; ``conf/sweep.yaml`` has those of
    ``sweep.objective``.
    """

    metric: str | None = "val_accuracy"
    direction: str | None = None
    epoch: str = "best"


@dataclass(frozen=True)
class SweepNode:
    """The node ``sweep``, composed; ``conf/sweep.yaml`` says what each key means.

    >>> from besom.study import make_plan
    >>> make_plan("quickstart", ["sweep.n_trials=7"]).sweep.n_trials
    7
    """

    name: str | None
    n_trials: int
    timeout_s: float | None
    target: float | None
    patience: int | None
    stop_when_noise: bool
    objective: ObjectiveSchema
    objectives: list[ObjectiveSchema]
    constraints: dict[str, Any]
    folds: int | None
    repeats: int
    sampler: Any
    pruner: Any
    executor: Any
    space: dict[str, Any]
    enqueue: list[Any]
    warm_start: str | None
    storage: str | None
    storage_patience_s: float
    trial_timeout_s: float | None
    max_failures: int
    vary_seed: bool
    reuse_duplicates: bool
    audit: float
    replicates: Any
    keep_models: int
    plots: bool
    trackers: list[str]
    notify: str | None
    trial_function: str

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> SweepNode:
        """From the composed node.

        Raises:
            ConfigError: a number is out of its range.
        """
        objectives = [ObjectiveSchema(**named) for named in node["objectives"]]
        objective = ObjectiveSchema(**node["objective"])
        return cls(**{**node, "objective": objective, "objectives": objectives})

    def __post_init__(self) -> None:
        for keys, expected, holds in _RANGES:
            for key in keys:
                value = getattr(self, key)
                if value is not None and not holds(value):
                    raise ConfigError(f"sweep.{key} is {value}, expected {expected}.")
        seeds = self.replicates
        if seeds != "auto" and (type(seeds) is not int or seeds < 0 or seeds == 1):
            raise ConfigError(
                f"sweep.replicates is {given_text(seeds)}, expected auto, 0, or a number of fresh "
                "seeds from 2: one seed says nothing of their scatter."
            )


#: A YAML may set these to null, which means empty.
_NULLABLE = ("objectives", "constraints", "space", "enqueue", "trackers")

#: OmegaConf merges nothing into a frozen class, so Hydra gets the same fields in another one.
_Mergeable = make_dataclass(
    SweepNode.__name__,
    [(k, t | None if k in _NULLABLE else t) for k, t in get_type_hints(SweepNode).items()],
)
_SweepSchema = make_dataclass("SweepSchema", [("sweep", _Mergeable)], bases=(TrainSchema,))

#: What a user calls the parts of a config, for messages.
NAMES = {
    TrainSchema: "the config",
    _SweepSchema: "the config",
    _Mergeable: "the node sweep",
    ObjectiveSchema: "an objective of the node sweep",
}


@cache
def defaults(primary: str) -> dict[str, Any]:
    """What ``conf/train.yaml`` or ``conf/sweep.yaml``, as packaged, sets itself.

    Plain data, interpolations as written.
    """
    content = read_yaml(packaged_config_dirs()[0] / f"{primary}.yaml")
    return {key: value for key, value in content.items() if key != "defaults"}


@cache
def register() -> None:
    """Make the schemas known to Hydra under the names the packaged configs use.

    They bring the packaged defaults along, for a ``conf/sweep.yaml`` of the user's own.
    """
    store = ConfigStore.instance()
    for primary, kind in (("train", TrainSchema), ("sweep", _SweepSchema)):
        node = OmegaConf.merge(OmegaConf.structured(kind), defaults(primary))
        store.store(name=f"{primary}_schema", node=node, provider="besom")


#: Mappings whose keys the user names. ``{}`` empties them; Hydra alone would change nothing.
_OPEN = ("sweep.space", "sweep.constraints")


def refuse_foreign(path: Path) -> None:
    """Refuse a primary config that sets up Hydra's sweeper or launcher, or an untrusted package.

    Only its ``hydra.sweeper.params`` is accepted: see :func:`pasted_params`. A ``pkg://`` in
    ``hydra.searchpath`` has to be trusted, as Hydra imports such a package.

    Raises:
        ConfigError: says what to delete, and what to use instead.
        TrustError: a config may not name the package.
    """
    content = read_yaml(path)
    defaults, hydra = content.get("defaults"), content.get("hydra", {})
    if not isinstance(hydra, Mapping):
        raise ConfigError(f"{path} has 'hydra: {hydra}', expected a mapping: delete it.")
    lines = defaults if isinstance(defaults, list) else []
    found = [
        f"{key}: {option}"
        for line in lines
        for key, option in (line.items() if isinstance(line, Mapping) else ())
        if str(key).endswith(("hydra/sweeper", "hydra/launcher"))
    ]
    for part in ("sweeper", "launcher"):
        keys = hydra[part] if isinstance(hydra.get(part), Mapping) else ()
        found += [f"hydra.{part}.{key}" for key in keys if (part, key) != ("sweeper", "params")]
    if found:
        raise ConfigError(
            f"{path} has '{found[0]}': delete it (hydra.sweeper.params may stay). {MULTIRUN_HELP}"
        )
    for place in OmegaConf.select(OmegaConf.create(content), "hydra.searchpath") or ():
        scheme, _, package = str(place).partition("://")
        if scheme == "pkg":
            current().check_name(package.replace("/", ".").strip("."), "hydra.searchpath")


def pasted_params(node: DictConfig, overrides: Sequence[Override]) -> dict[str, Any]:
    """The entries of ``hydra.sweeper.params``, which ``sweep.space`` takes as they are.

    They are part of the space: an override that empties it drops them too.
    """
    if any(o.key_or_group == "sweep.space" and empties(o) for o in overrides):
        return {}
    params = OmegaConf.select(node, "hydra.sweeper.params")
    plain = {} if params is None else OmegaConf.to_container(params, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def empties(override: Override) -> bool:
    """Whether an override leaves nothing of a mapping: ``sweep.space={}``, ``~sweep.space``."""
    emptied = override.is_delete() or override.value() in ({}, None)
    return override.key_or_group in _OPEN and emptied


def empty(node: DictConfig, overrides: Sequence[Override]) -> None:
    """Remove what an override has emptied from a composed config; keep what later ones add."""
    for path in _OPEN:
        touching = [o for o in overrides if within(o.key_or_group, path)]
        last = max((i for i, o in enumerate(touching) if empties(o)), default=None)
        if last is None:
            continue
        added = OmegaConf.create({})
        for override in touching[last + 1 :]:
            if not override.is_delete():
                OmegaConf.update(added, override.key_or_group, override.value(), force_add=True)
        OmegaConf.update(node, path, OmegaConf.select(added, path) or {}, merge=False)


def settle(
    sweep: dict[str, Any],
    options: Mapping[str, Collection[str]],
    overrides: Sequence[Override] = (),
) -> None:
    """Read null as empty, and fill in the directions that objectives omit (losses are minimized).

    The composed node is changed in place.

    Raises:
        ConfigError: null where the key has to build something; or the command line names another
            metric, and the direction in the file, meant for the file's own metric, is not that
            metric's usual direction.
    """
    for key in _NULLABLE:
        if sweep[key] is None:
            sweep[key] = {} if key in ("space", "constraints") else []
    for key in ("sampler", "pruner", "executor"):
        if not isinstance(sweep[key], Mapping):
            names = ", ".join(sorted(options.get(f"sweep/{key}", ())))
            raise ConfigError(
                f"sweep.{key} is {given_text(sweep[key])}, which builds nothing: choose one of "
                f"{names} with sweep/{key}=NAME."
            )
    objective = sweep["objective"]
    named = {path for override in overrides for path in _named(override)}
    changed = "sweep.objective.metric" in named and "sweep.objective.direction" not in named
    usual = usual_direction(objective["metric"] or "")
    if changed and objective["metric"] is None:
        objective["direction"] = None
    elif changed and objective["direction"] not in (None, usual):
        raise ConfigError(
            f"sweep.objective.metric={objective['metric']}: the sweep file sets direction: "
            f"{objective['direction']} for its own metric. Set the direction too: "
            f"sweep.objective.direction={usual} (or {objective['direction']})."
        )
    for node in (objective, *sweep["objectives"]):
        if node["direction"] is None and node["metric"] is not None:
            node["direction"] = usual_direction(node["metric"])


def _named(override: Override) -> list[str]:
    """The paths an override sets: its key, or for a mapping each key in that."""
    key, value = override.key_or_group, override.value()
    return [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
