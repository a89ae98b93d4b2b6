"""What one training run is made of, and what an engine gives back for it.

An engine takes a ``Job`` and returns how its epochs went. The trainer chooses the engine.
The order of the examples follows from the run's seed alone. NumPy draws it, not TensorFlow, so it
is the same on every device and version, for every engine, and whatever ran before in the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from besom.training.data.examples import Examples, Stream
from besom.training.epochs.rows import Kept, Rows
from besom.training.epochs.watch import Watch
from besom.training.epochs.weights import may_change_later
from besom.training.settings import TrainerSettings

#: Examples judged at once where ``trainer.evaluation_batch_size`` is null. Measured on a CPU, from
#: 100 to 5000: no difference in speed; this keeps a convolutional network's activations small.
EVALUATION_BATCH_SIZE = 500


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
        rows: what is kept of each validation example.
        test: examples to measure after each epoch, or None.
        resume_from: a checkpoint to go on from; a missing file: begin at the beginning.
        save_to: where the state after the last epoch is left; None: nowhere.
    """

    model: Any
    data: Any
    settings: TrainerSettings
    seed: int
    callbacks: list[Any]
    watch: Watch
    rows: Rows
    test: Examples | Stream | None = None
    resume_from: Path | None = None
    save_to: Path | None = None

    @property
    def evaluation_batch_size(self) -> int:
        """Examples judged at once."""
        return self.settings.evaluation_batch_size or EVALUATION_BATCH_SIZE

    @property
    def weights_may_change(self) -> bool:
        """Whether the weights must be taken when they are measured, to be kept as they were."""
        own = self.settings.fit is not None
        return own or may_change_later(self.model, self.callbacks)

    @property
    def judged(self) -> dict[str, Examples | Stream]:
        """What is measured after each epoch, by the prefix of its metrics' names."""
        parts = {"val_": self.data.validation, "test_": self.test}
        return {prefix: part for prefix, part in parts.items() if part is not None}

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """The positions of the examples that ``epoch`` (from 1) takes, int32."""
        n, steps = self.data.train.n, self.settings.steps_per_epoch
        if steps is None:
            return epoch_order(self.seed, epoch, n)
        return stretch(self.seed, epoch, n, steps * self.settings.batch_size)


@dataclass
class EpochsRun:
    """What an engine knows of the epochs it ran.

    Attributes:
        seconds: wall-clock seconds of each epoch, its validation included.
        rows: what is kept of each validation example, of the epoch that counts; None if not known.
        kernel: the fused optimizer kernel, None where Keras's own update ran.
        remarks: what the user should know about the epochs, by subject.
        compiled_later: whether the model was compiled anew after the epoch that counts.
    """

    seconds: list[float] = field(default_factory=list)
    rows: Kept | None = None
    kernel: str | None = None
    remarks: dict[str, str] = field(default_factory=dict)
    compiled_later: bool = False


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray[Any, Any]:
    """Return the permutation of ``range(n)`` for ``epoch`` (from 1): int32, shape (n,)."""
    order = np.arange(n, dtype=np.int32)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


def stretch(seed: int, epoch: int, n: int, length: int) -> np.ndarray[Any, Any]:
    """Return what ``epoch`` (from 1) takes of an endless row of permutations of ``range(n)``, cut
    into stretches of ``length``: int32, shape (length,)."""
    start = (epoch - 1) * length
    first, last = start // n, (start + length - 1) // n
    row = np.concatenate([epoch_order(seed, each + 1, n) for each in range(first, last + 1)])
    return row[start - first * n :][:length]
