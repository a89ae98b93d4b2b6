"""What a coordinator asks of a trial beside its value: the key ``orders``, see ``besom.seam``."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from besom.training.settings import TrainerSettings

log = logging.getLogger("besom")


class OutOfBounds(Exception):
    """A number known before training violates a constraint: there is no point in training.

    Args:
        numbers: what is known of the model.
    """

    def __init__(self, numbers: dict[str, float]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


@dataclass(frozen=True)
class Orders:
    """The orders of one trial; nothing where the config has none.

    Attributes:
        constraints: number to its ``min`` and ``max``.
        resume_from, save_to: checkpoints, see ``besom.training.checkpoint``.
        model_path: where the trained model goes, if it is better than ``better_than`` (None: in
            any case) by the monitored metric; None: nowhere.
        rehearse: configs that ``prepare`` tries beside its own, by what to call them.
    """

    constraints: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    resume_from: Path | None = None
    save_to: Path | None = None
    model_path: Path | None = None
    better_than: float | None = None
    rehearse: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Orders:
        """Read the orders out of a trial's config."""
        orders = config.get("orders", {})
        checkpoint, model = orders.get("checkpoint", {}), orders.get("save_model", {})
        return cls(
            constraints=orders.get("constraints", {}),
            resume_from=_path(checkpoint.get("load")),
            save_to=_path(checkpoint.get("save")),
            model_path=_path(model.get("path")),
            better_than=model.get("better_than"),
            rehearse=orders.get("rehearse", {}),
        )

    def check(self, numbers: dict[str, float]) -> None:
        """Refuse to train what is out of bounds already.

        Raises:
            OutOfBounds: a number is outside its limits.
        """
        for name, bounds in self.constraints.items():
            if name not in numbers:
                continue
            low, high = bounds.get("min"), bounds.get("max")
            value = numbers[name]
            if (low is not None and value < low) or (high is not None and value > high):
                raise OutOfBounds(numbers)

    def keep_model(self, fitted: Any, settings: TrainerSettings) -> None:
        """Save the trained model as ``.keras``, in one atomic step, if it is good enough.

        A full disk costs the model, not the trial: that is logged.

        Args:
            fitted: a ``besom.training.trainer.Fitted``.
            settings: how it was judged; what ``mode`` leaves open is settled as in training.
        """
        if self.model_path is None:
            return
        values = fitted.history.get(settings.monitor)
        if values and self.better_than is not None:
            sign = 1.0 if settings.maximize else -1.0
            if sign * values[fitted.best_epoch - 1] <= sign * self.better_than:
                return
        partial = self.model_path.with_name(f".partial-{self.model_path.name}")
        try:
            self.model_path.parent.mkdir(parents=True, exist_ok=True)
            fitted.model.save(partial)
            os.replace(partial, self.model_path)  # noqa: PTH105
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            log.warning("The trial's model is not kept in %s: %s", self.model_path, error)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
