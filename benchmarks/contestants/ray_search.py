"""Ray Tune: ASHA and OptunaSearch, as many trials at once as there are cores.

Better here than by default: actors are kept from trial to trial, so that TensorFlow is not imported
for each, and wait for a stopped trial to end longer than Ray's two seconds (one that did not end in
time costs Ray the actor's place for good); each trains on the one core that it was given.
"""

from __future__ import annotations

import os
from typing import Any

import ray
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
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

MANY = 100_000


def space() -> dict[str, Any]:
    return {
        "n_layers": tune.randint(LAYERS[0], LAYERS[1] + 1),
        **{f"units_{i}": tune.lograndint(UNITS[0], UNITS[1] + 1) for i in range(LAYERS[1])},
        "activation": tune.choice(ACTIVATIONS),
        "dropout": tune.uniform(*DROPOUT),
        "learning_rate": tune.loguniform(*LEARNING_RATE),
    }


def train(config: dict[str, Any], data: dict[str, Any], log: EpochLog, how: dict[str, int]) -> None:
    """Train one trial in an actor."""
    import keras
    from keras_mlp import build

    class Report(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            log.epoch(name, epoch + 1, logs["val_accuracy"])
            tune.report({"val_accuracy": float(logs["val_accuracy"])})

    name = tune.get_context().get_trial_id()
    log.start(name)
    keras.backend.clear_session()
    keras.utils.set_random_seed(how["seed"])
    model = build(
        hidden_units(config), config["activation"], config["dropout"], config["learning_rate"]
    )
    model.fit(
        **data,
        batch_size=how["batch_size"],
        epochs=how["epochs"],
        callbacks=[Report()],
        verbose=0,
    )


def main() -> None:
    options = arguments().parse_args()
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = "60"
    from keras_mlp import load

    data = load(options.arrays)
    ray.init(include_dashboard=False, log_to_driver=False)
    how = {name: getattr(options, name) for name in ("seed", "batch_size", "epochs")}
    tuner = tune.Tuner(
        tune.with_parameters(train, data=data, log=EpochLog(options.log), how=how),
        param_space=space(),
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=MANY,
            max_concurrent_trials=int(ray.cluster_resources()["CPU"]),
            reuse_actors=True,
            scheduler=ASHAScheduler(max_t=options.epochs, grace_period=1),
            search_alg=OptunaSearch(points_to_evaluate=[base()], seed=options.seed),
        ),
        run_config=tune.RunConfig(storage_path=str(options.folder.absolute()), verbose=0),
    )
    tuner.fit()


def base() -> dict[str, Any]:
    """The base config; Ray's space has every layer's units, applied or not."""
    return {**{f"units_{i}": UNITS[0] for i in range(LAYERS[1])}, **BASE}


if __name__ == "__main__":
    main()
