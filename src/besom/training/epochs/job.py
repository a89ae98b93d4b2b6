"""What one training run is made of, and what an engine gives back for it.

An engine takes a ``Job`` and returns how its epochs went. The trainer chooses the engine.
The order of the examples follows from the run's seed alone. NumPy draws it, not TensorFlow, so it
is the same on every device and version, for every engine, and whatever ran before in the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from besom.training.epochs.watch import Watch
from besom.training.epochs.weights import may_change_later
from besom.training.settings import TrainerSettings

#: Examples judged at once where ``trainer.evaluation_batch_size`` is null. Measured on a CPU, from
#: 100 to 5000: no difference in speed; this keeps a convolutional network's activations small.
EVALUATION_BATCH_SIZE = 500


class Judged(NamedTuple):
    """Examples that a model is measured on: x (n, *input_shape), y (n,), the factor on x."""

    x: Any
    y: Any
    scale: float


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        model: a built and compiled ``keras.Model``.
        data: a ``besom.training.data.TrainingData``.
        settings: the run's ``trainer`` node.
        seed: determines the order of the examples.
        callbacks: the user's Keras callbacks.
        watch: called after every epoch; ends the run through ``model.stop_training``.
        test: a ``besom.training.data.Dataset`` to measure after each epoch, or None.
        resume_from: a checkpoint to go on from; a missing file: begin at the beginning.
        save_to: where the state after the last epoch is left; None: nowhere.
    """

    model: Any
    data: Any
    settings: TrainerSettings
    seed: int
    callbacks: list[Any]
    watch: Watch
    test: Any | None = None
    resume_from: Path | None = None
    save_to: Path | None = None

    @property
    def evaluation_batch_size(self) -> int:
        """Examples judged at once."""
        return self.settings.evaluation_batch_size or EVALUATION_BATCH_SIZE

    @property
    def weights_may_change(self) -> bool:
        """Whether the weights must be taken when they are measured, to be kept as they were."""
        return may_change_later(self.model, self.callbacks)

    @property
    def judged(self) -> dict[str, Judged]:
        """What is measured after each epoch, by the prefix of its metrics' names."""
        data, test = self.data, self.test
        judged = {}
        if len(data.x_validation):
            judged["val_"] = Judged(data.x_validation, data.y_validation, data.scale)
        if test is not None:
            judged["test_"] = Judged(test.x, test.y, test.scale)
        return judged


@dataclass
class EpochsRun:
    """What an engine knows of the epochs it ran.

    Attributes:
        seconds: wall-clock seconds of each epoch, its validation included.
        correct: whether each validation example is classified right at the epoch that counts, bool,
            shape (n_validation,); None without any, or for a model that does not classify.
        kernel: the fused optimizer kernel, None where Keras's own update ran.
    """

    seconds: list[float] = field(default_factory=list)
    correct: np.ndarray[Any, Any] | None = None
    kernel: str | None = None


def classified_right(predictions: Any, y: Any, xp: Any) -> Any | None:
    """Return whether each prediction names its label; None if they are no class scores.

    Args:
        predictions: scores (n, n_classes), or probabilities of the second class (n, 1).
        y: integer labels, shape (n,).
        xp: what computes: ``numpy``, or ``tensorflow.experimental.numpy``.
    """
    if len(predictions.shape) != 2:
        return None
    if predictions.shape[1] == 1:
        return (predictions[:, 0] > 0.5) == (y > 0)
    return xp.equal(xp.argmax(predictions, 1), y)


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray[Any, Any]:
    """Return the permutation of ``range(n)`` for ``epoch`` (from 1): int32, shape (n,)."""
    order = np.arange(n, dtype=np.int32)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order
