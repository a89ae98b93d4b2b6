"""KerasTuner's Hyperband: one trial at a time; those kept go on from their weights."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
from keras_mlp import build, load
from protocol import (
    ACTIVATIONS,
    BASE,
    DROPOUT,
    LAYERS,
    LEARNING_RATE,
    UNITS,
    EpochLog,
    arguments,
    hidden_units,
)


class BaseFirst(keras_tuner.oracles.HyperbandOracle):
    """Hyperband that tries the base config first; by itself it cannot be told what to try."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Called by KerasTuner for each new trial."""
        response = super().populate_space(trial_id)
        if not self.start_order:
            response["values"] |= BASE
        return response


class Hyperband(keras_tuner.Hyperband):
    """Hyperband with the oracle above, telling what it does."""

    def __init__(self, log: EpochLog, oracle: BaseFirst, **how: Any) -> None:
        super(keras_tuner.Hyperband, self).__init__(oracle=oracle, **how)
        self._log = log

    def on_trial_begin(self, trial: Any) -> None:
        """Called by KerasTuner."""
        super().on_trial_begin(trial)
        self._log.start(trial.trial_id)

    def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
        """Called by KerasTuner, with the epoch counted from 0."""
        super().on_epoch_end(trial, model, epoch, logs)
        self._log.epoch(trial.trial_id, epoch + 1, logs["val_accuracy"])


def model_of(hp: keras_tuner.HyperParameters) -> keras.Model:
    n_layers = hp.Int("n_layers", *LAYERS, default=BASE["n_layers"])
    units = {f"units_{i}": hp.Int(f"units_{i}", *UNITS, sampling="log") for i in range(n_layers)}
    return build(
        hidden_units({"n_layers": n_layers, **units}),
        hp.Choice("activation", list(ACTIVATIONS)),
        hp.Float("dropout", *DROPOUT),
        hp.Float("learning_rate", *LEARNING_RATE, sampling="log"),
    )


def main() -> None:
    options = arguments().parse_args()
    data = load(options.arrays)
    keras.utils.set_random_seed(options.seed)
    oracle = BaseFirst(
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_epochs=options.epochs,
        hyperband_iterations=None,  # for ever
        seed=options.seed,
    )
    tuner = Hyperband(
        EpochLog(options.log),
        oracle,
        hypermodel=model_of,
        directory=options.folder,
        project_name="search",
        overwrite=True,
    )
    tuner.search(**data, batch_size=options.batch_size, verbose=0)


if __name__ == "__main__":
    main()
