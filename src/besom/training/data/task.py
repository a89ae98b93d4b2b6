"""What a model is to learn: inferred from the labels, or said by ``data.task``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: What the labels of one output are.
#: classification: class numbers from 0; one-hot: rows with exactly one 1; binary: 0 or 1 as floats;
#: multilabel: rows of 0 and 1; regression: floats; none: no labels, or labels besom does not read.
KINDS = ("classification", "one-hot", "binary", "multilabel", "regression", "none")


@dataclass(frozen=True)
class Task:
    """What a model is to learn.

    Attributes:
        kind: one of ``KINDS``; with several outputs a nest of them, as ``y`` is one.
        num_classes: how many classes, or tags for multilabel; None for the other kinds. With
            several outputs a nest, as ``kind``.
        output_shape: the shape of one example's label, as it is handed to a model function; with
            several outputs a nest.
    """

    kind: Any
    num_classes: Any = None
    output_shape: Any = None

    @property
    def has_several_outputs(self) -> bool:
        """Whether ``kind`` and the others are nests."""
        return not isinstance(self.kind, str)

    def default_loss(self, outputs: Any) -> Any:
        """A Keras loss by name, for a built model's ``output_shape``; by output where it has
        several; None where the task names none."""
        return _loss(self.kind, outputs)

    def default_metrics(self) -> Any:
        """Keras metrics by name, a list; by output where there are several."""
        from besom.training.data.nests import map_nest

        return map_nest(lambda k: list(_METRICS[k]), self.kind)

    @property
    def default_objective(self) -> tuple[str, str]:
        """The metric of the history that judges a trial, and its direction."""
        if self.kind in ("classification", "one-hot", "binary"):
            return "val_accuracy", "maximize"
        return "val_loss", "minimize"


_METRICS = {
    "classification": ["accuracy"],
    "one-hot": ["accuracy"],
    "binary": ["accuracy"],
    "multilabel": ["binary_accuracy"],
    "regression": ["mae"],
    "none": [],
}


def _loss(kind: str, outputs: Any) -> str | None:
    last = outputs[-1] if isinstance(outputs, tuple) and outputs else None
    if kind == "classification":
        return "binary_crossentropy" if last == 1 else "sparse_categorical_crossentropy"
    if kind == "binary":
        return "sparse_categorical_crossentropy" if last == 2 else "binary_crossentropy"
    losses = {
        "one-hot": "categorical_crossentropy",
        "multilabel": "binary_crossentropy",
        "regression": "mse",
    }
    return losses.get(kind)
