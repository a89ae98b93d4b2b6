"""What a coordinator asks of a trial beside its value: the key ``orders``, see ``besom.seam``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from besom.training.saving import save_model
from besom.training.settings import TrainerSettings


class OutOfBounds(Exception):
    """A number known before training violates a constraint: there is no point in training.

    Args:
        numbers: what is known of the model.
    """

    def __init__(self, numbers: dict[str, float]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


@dataclass(frozen=True)
class TrialRequests:
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
    def from_config(cls, config: Mapping[str, Any]) -> TrialRequests:
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

    def keep_model(self, fitted: Any, settings: TrainerSettings) -> str | None:
        """Save the trained model as ``.keras``, if it is good enough.

        Args:
            fitted: a ``besom.training.trainer.Fitted``.
            settings: how it was judged; what ``mode`` leaves open is settled as in training.

        Returns:
            What to tell the user where it cannot be saved: that costs the model, not the trial.
        """
        if self.model_path is None:
            return None
        values = fitted.history.get(settings.monitor)
        if values and self.better_than is not None:
            sign = 1.0 if settings.maximize else -1.0
            if sign * values[fitted.best_epoch - 1] <= sign * self.better_than:
                return None
        problem = save_model(fitted.model, self.model_path)
        if problem is None:
            return None
        return f"{problem} Trials count without it. sweep.keep_models=0 turns saving off."


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
