"""The typed skeleton of ``conf/train.yaml`` and ``conf/sweep.yaml``.

The groups themselves are open (any ``_target_`` may bring its own keys); their values are held to
the types of the option they come from, see ``besom.config.types``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from besom.seam import KERAS_TRIALS

#: The config groups of one training run; ``seed`` stands beside them.
TRAIN_GROUPS = ("data", "model", "optimizer", "trainer")


@dataclass
class TrainSchema:
    """One training run."""

    data: Any = MISSING
    model: Any = MISSING
    optimizer: Any = MISSING
    trainer: Any = MISSING
    seed: int = 0
    name: str | None = None
    source: Any = None
    results_dir: str = "${oc.env:BESOM_RESULTS_DIR,results}"


@dataclass
class ObjectiveSchema:
    """What is optimised; see ``besom.records.Objective``."""

    metric: str = "val_accuracy"
    direction: str | None = None
    epoch: str = "best"


@dataclass
class SweepNode:
    """The node ``sweep``; ``conf/sweep.yaml`` says what each key means."""

    name: str | None = None
    n_trials: int = 20
    timeout_s: float | None = None
    target: float | None = None
    patience: int | None = None
    objective: ObjectiveSchema = field(default_factory=ObjectiveSchema)
    objectives: list[ObjectiveSchema] | None = field(default_factory=list)
    constraints: dict[str, Any] | None = field(default_factory=dict)
    sampler: Any = MISSING
    pruner: Any = MISSING
    executor: Any = MISSING
    space: dict[str, Any] | None = field(default_factory=dict)
    enqueue: list[Any] | None = field(default_factory=list)
    warm_start: str | None = None
    storage: str | None = None
    storage_patience_s: float = 600.0
    trial_timeout_s: float | None = None
    max_failures: int = 5
    vary_seed: bool = False
    reuse_duplicates: bool = True
    audit: float = 0.0
    keep_models: int = 1
    trial_function: str = KERAS_TRIALS


@dataclass
class SweepSchema(TrainSchema):
    """One sweep: a training run to start from, and how to search around it."""

    sweep: SweepNode = field(default_factory=SweepNode)


#: What a user calls the parts of a config, for messages.
NAMES = {
    TrainSchema: "the config",
    SweepSchema: "the config",
    SweepNode: "the node sweep",
    ObjectiveSchema: "an objective of the node sweep",
}


def register() -> None:
    """Make the schemas known to Hydra under the names the packaged configs use."""
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainSchema, provider="besom")
    store.store(name="sweep_schema", node=SweepSchema, provider="besom")
