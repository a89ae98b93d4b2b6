"""Runs sleeping trials with Ray Tune and OptunaSearch; actors are kept from trial to trial."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import optuna
import ray
from protocol import ACTIVATIONS, DROPOUT, LAYERS, LEARNING_RATE, UNITS
from ray import tune
from ray.tune.search.optuna import OptunaSearch

SLEEP_S = 0.1


def sleep(config: dict[str, Any]) -> dict[str, float]:
    """Sleep, and say from when to when."""
    began = time.time()
    time.sleep(SLEEP_S)
    return {"value": -((config["dropout"] - 0.2) ** 2), "began": began, "ended": time.time()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--n-trials", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    options = parser.parse_args()
    # An actor whose trial has not ended after Ray's two seconds is lost for good.
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = "60"
    ray.init(num_cpus=options.workers, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        sleep,
        param_space={
            "n_layers": tune.randint(LAYERS[0], LAYERS[1] + 1),
            **{f"units_{i}": tune.lograndint(UNITS[0], UNITS[1] + 1) for i in range(LAYERS[1])},
            "activation": tune.choice(ACTIVATIONS),
            "dropout": tune.uniform(*DROPOUT),
            "learning_rate": tune.loguniform(*LEARNING_RATE),
        },
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            num_samples=options.n_trials,
            max_concurrent_trials=options.workers,
            reuse_actors=True,
            search_alg=OptunaSearch(sampler=optuna.samplers.RandomSampler(seed=0)),
        ),
        run_config=tune.RunConfig(storage_path=str(options.folder.absolute()), verbose=0),
    )
    results = [result.metrics for result in tuner.fit()]
    told = {name: [r[name] for r in results if name in r] for name in ("began", "ended")}
    print(json.dumps({"n": len(told["ended"]), **told}))


if __name__ == "__main__":
    main()
