"""A hand-written Optuna loop around ``model.fit``: TPE, the median pruner, one process."""

from __future__ import annotations

from typing import Any

import keras
import optuna
from keras_mlp import LogEpochs, build, load
from protocol import ACTIVATIONS, BASE, DROPOUT, LAYERS, LEARNING_RATE, UNITS, EpochLog, arguments


class Prune(keras.callbacks.Callback):
    """Asks the pruner after each epoch."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self._trial = trial

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Called by Keras."""
        assert logs is not None
        self._trial.report(logs["val_accuracy"], epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    n_layers = trial.suggest_int("n_layers", *LAYERS)
    return {
        "hidden_units": [
            trial.suggest_int(f"units_{i}", *UNITS, log=True) for i in range(n_layers)
        ],
        "activation": trial.suggest_categorical("activation", ACTIVATIONS),
        "dropout": trial.suggest_float("dropout", *DROPOUT),
        "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATE, log=True),
    }


def main() -> None:
    options = arguments().parse_args()
    data, log = load(options.arrays), EpochLog(options.log)
    keras.utils.set_random_seed(options.seed)

    def objective(trial: optuna.Trial) -> float:
        log.start(trial.number)
        keras.backend.clear_session()
        model = build(**suggest(trial))
        history = model.fit(
            **data,
            batch_size=options.batch_size,
            epochs=options.epochs,
            callbacks=[LogEpochs(log, trial.number), Prune(trial)],
            verbose=0,
        )
        return max(history.history["val_accuracy"])

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=options.seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.enqueue_trial(BASE)
    study.optimize(objective)


if __name__ == "__main__":
    main()
