"""The network of the sweep as a tutorial writes it, and its training by ``model.fit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from protocol import EpochLog


def load(path: Path) -> dict[str, Any]:
    """Return the arguments ``x``, ``y`` and ``validation_data`` of ``model.fit``."""
    with np.load(path) as arrays:
        x, x_validation = (
            arrays[name].astype("float32") / 255 for name in ("x_train", "x_validation")
        )
        y, y_validation = arrays["y_train"], arrays["y_validation"]
    return {"x": x, "y": y, "validation_data": (x_validation, y_validation)}


def build(
    hidden_units: Sequence[int], activation: str, dropout: float, learning_rate: float
) -> keras.Model:
    """Return the compiled network."""
    model = keras.Sequential([keras.Input(shape=(28, 28)), keras.layers.Flatten()])
    for units in hidden_units:
        model.add(keras.layers.Dense(units, activation=activation))
        model.add(keras.layers.Dropout(dropout))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class LogEpochs(keras.callbacks.Callback):
    """Writes each epoch of a trial to the log."""

    def __init__(self, log: EpochLog, trial: int | str) -> None:
        super().__init__()
        self._log, self._trial = log, trial

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Called by Keras, with the epoch counted from 0."""
        assert logs is not None
        self._log.epoch(self._trial, epoch + 1, logs["val_accuracy"])
