"""The Hydra Optuna sweeper: one trial at a time, each to its last epoch; it has no pruning."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import hydra
import keras
import optuna
from keras_mlp import LogEpochs, build, load
from omegaconf import DictConfig
from protocol import BASE, EpochLog, hidden_units


class BaseFirst(optuna.samplers.TPESampler):
    """TPE that tries the base config first; the sweeper cannot be told what to try."""

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        """Called by Optuna for each parameter until TPE has seen enough trials."""
        if trial.number == 0 and name in BASE:
            return BASE[name]
        return super().sample_independent(study, trial, name, distribution)


@functools.cache
def arrays(path: str) -> dict[str, Any]:
    return load(Path(path))


@hydra.main(version_base="1.3", config_path=".", config_name="hydra_search")
def main(config: DictConfig) -> float:
    data, log = arrays(config.arrays), EpochLog(Path(config.log))
    number = hydra.core.hydra_config.HydraConfig.get().job.num
    log.start(number)
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    model = build(hidden_units(config), config.activation, config.dropout, config.learning_rate)
    history = model.fit(
        **data,
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[LogEpochs(log, number)],
        verbose=0,
    )
    return max(history.history["val_accuracy"])


if __name__ == "__main__":
    main()
