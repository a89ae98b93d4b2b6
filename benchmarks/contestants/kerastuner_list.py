"""KerasTuner over a given list of configs: its grid search over their positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_mlp import build, load
from protocol import EpochLog, arguments


class GridSearch(keras_tuner.GridSearch):
    """KerasTuner's own, telling what it does."""

    log: EpochLog

    def on_trial_begin(self, trial: Any) -> None:
        """Called by KerasTuner."""
        super().on_trial_begin(trial)
        self.log.start(trial.trial_id)

    def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
        """Called by KerasTuner, with the epoch counted from 0."""
        super().on_epoch_end(trial, model, epoch, logs)
        self.log.epoch(trial.trial_id, epoch + 1, logs["val_accuracy"])


def main() -> None:
    parser = arguments()
    parser.add_argument("--configs", type=Path, required=True)
    options = parser.parse_args()
    data = load(options.arrays)
    configs = json.loads(options.configs.read_text())
    keras.utils.set_random_seed(options.seed)

    def model_of(hp: keras_tuner.HyperParameters) -> keras.Model:
        return build(**configs[hp.Int("config", 0, len(configs) - 1)])

    tuner = GridSearch(
        model_of,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=len(configs),
        directory=options.folder,
        project_name="list",
        overwrite=True,
    )
    tuner.log = EpochLog(options.log)
    tuner.search(**data, batch_size=options.batch_size, epochs=options.epochs, verbose=0)


if __name__ == "__main__":
    main()
