"""The ``trainer`` node of a config, checked: every key is known and every value makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from besom.equality import is_real
from besom.errors import ConfigError, did_you_mean
from besom.text.values import given_text

ENGINES = ("auto", "compiled", "keras")
MODES = ("auto", "max", "min")
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class TrainerSettings:
    """How one model is trained and judged; ``conf/trainer/default.yaml`` describes each key.

    Raises:
        ConfigError: a value of the wrong type or out of range.
    """

    epochs: int = 20
    batch_size: int = 32
    loss: Any = None
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    class_weight: Any = None
    steps_per_epoch: int | None = None
    monitor: str | None = None
    mode: str = "auto"
    patience: int | None = None
    min_delta: float = 0.0
    restore_best: bool = False
    callbacks: list[Any] = field(default_factory=list)
    engine: str = "auto"
    precision: str = "float32"
    evaluation_batch_size: int | None = None
    test_every_epoch: bool = False

    def __post_init__(self) -> None:
        _whole("epochs", self.epochs, least=1)
        _whole("batch_size", self.batch_size, least=1)
        if self.patience is not None:
            _whole("patience", self.patience, least=0)
        if self.evaluation_batch_size is not None:
            _whole("evaluation_batch_size", self.evaluation_batch_size, least=1)
        if not is_real(self.min_delta) or self.min_delta < 0:
            _refuse("min_delta", self.min_delta, "a number from 0")
        if self.steps_per_epoch is not None:
            _whole("steps_per_epoch", self.steps_per_epoch, least=1)
        for name in ("metrics", "weighted_metrics"):
            if (value := getattr(self, name)) is not None:
                _typed(name, value, list | tuple | Mapping, "a list, or a list by output")
        _typed("callbacks", self.callbacks, list | tuple, "a list")
        _typed("restore_best", self.restore_best, bool, "true or false")
        _typed("test_every_epoch", self.test_every_epoch, bool, "true or false")
        if self.monitor is not None:
            _typed("monitor", self.monitor, str, "the name of a metric, such as val_accuracy")
        _one_of("mode", self.mode, MODES)
        _one_of("engine", self.engine, ENGINES)
        _one_of("precision", self.precision, PRECISIONS)

    @classmethod
    def from_config(cls, node: Mapping[str, Any]) -> TrainerSettings:
        """Check the ``trainer`` node of a config; keys left out take their defaults.

        Raises:
            ConfigError: an unknown key (near names are listed), or a value that makes no sense.
        """
        known = [f.name for f in fields(cls)]
        for key in node:
            if key not in known:
                raise ConfigError(f"There is no trainer.{key}.{did_you_mean(key, known)}")
        return cls(**node)

    @property
    def judges_epochs(self) -> bool:
        """Whether the best epoch matters: for early stopping, or for the weights kept."""
        return self.patience is not None or self.restore_best


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        _refuse(name, value, f"a whole number from {least}")


def _typed(name: str, value: object, kind: Any, expected: str) -> None:
    if not isinstance(value, kind):
        _refuse(name, value, expected)


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        _refuse(name, value, f"one of {', '.join(known)}")


def _refuse(name: str, value: Any, expected: str) -> None:
    raise ConfigError(f"trainer.{name} is {given_text(value)}, expected {expected}.")
