"""The types of ``conf/train.yaml`` and ``conf/sweep.yaml``.

The defaults stand in those files and nowhere else. The groups themselves are open (any ``_target_``
may bring its own keys); their values are held to the types of the option they come from, see
``besom.config.types``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, make_dataclass
from functools import cache
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from besom.config.search_path import packaged_config_dirs
from besom.config.yaml_files import read_yaml
from besom.errors import ConfigError

#: A study holds every trial in memory, and Optuna's samplers look at all of them before each.
MOST_TRIALS = 1_000_000

#: Thirty years: far below the longest wait that the system's clocks take.
_LONGEST_S = 1e9
_SECONDS = "more than 0 seconds, and at most 1e9 (null: no limit)"

#: Keys of the node ``sweep``, what their numbers must be in words, and the check; NaN passes none.
_RANGES: tuple[tuple[tuple[str, ...], str, Callable[[float], bool]], ...] = (
    (("n_trials",), f"1 to {MOST_TRIALS:,} trials", lambda v: 1 <= v <= MOST_TRIALS),
    (("max_failures", "patience"), "at least 1", lambda v: v >= 1),
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

    metric: str = "val_accuracy"
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
    objective: ObjectiveSchema
    objectives: list[ObjectiveSchema]
    constraints: dict[str, Any]
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
    keep_models: int
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


#: A YAML may set these to null, which means empty.
_NULLABLE = ("objectives", "constraints", "space", "enqueue")

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

    Args:
        primary: ``train`` or ``sweep``.

    Returns:
        Plain data, interpolations as written.
    """
    content = read_yaml(packaged_config_dirs()[0] / f"{primary}.yaml")
    return {key: value for key, value in content.items() if key != "defaults"}


def register() -> None:
    """Make the schemas known to Hydra under the names the packaged configs use.

    They bring the packaged defaults along, for a ``conf/sweep.yaml`` of the user's own.
    """
    store = ConfigStore.instance()
    for primary, kind in (("train", TrainSchema), ("sweep", _SweepSchema)):
        node = OmegaConf.merge(OmegaConf.structured(kind), defaults(primary))
        store.store(name=f"{primary}_schema", node=node, provider="besom")
