"""A hand-written Optuna loop around ``model.fit`` over a given list of configs."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import optuna
from keras_mlp import LogEpochs, build, load
from protocol import EpochLog, arguments


def main() -> None:
    parser = arguments()
    parser.add_argument("--configs", type=Path, required=True)
    options = parser.parse_args()
    data, log = load(options.arrays), EpochLog(options.log)
    configs = json.loads(options.configs.read_text())
    keras.utils.set_random_seed(options.seed)

    def objective(trial: optuna.Trial) -> float:
        config = configs[trial.suggest_categorical("config", range(len(configs)))]
        log.start(trial.number)
        keras.backend.clear_session()
        history = build(**config).fit(
            **data,
            batch_size=options.batch_size,
            epochs=options.epochs,
            callbacks=[LogEpochs(log, trial.number)],
            verbose=0,
        )
        return max(history.history["val_accuracy"])

    study = optuna.create_study(direction="maximize")
    for index in range(len(configs)):
        study.enqueue_trial({"config": index})
    study.optimize(objective, n_trials=len(configs))


if __name__ == "__main__":
    main()
