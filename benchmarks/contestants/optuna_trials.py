"""Runs no-op trials with Optuna's own ``study.optimize``, on Optuna's own journal file.

The sampler is built from besom's config for it, so that both pay for the same sampling.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import optuna
from idle_trials import score
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial
from protocol import ACTIVATIONS, DROPOUT, LAYERS, LEARNING_RATE, UNITS
from sampling_clock import SamplingClock

from besom.study import make_plan
from besom.study.samplers import build_sampler


def objective(trial: Trial) -> float:
    """Sample what sweeps/mnist_mlp.yaml samples, and give it a value."""
    for i in range(trial.suggest_int("n_layers", *LAYERS)):
        trial.suggest_int(f"units_{i}", *UNITS, log=True)
    trial.suggest_categorical("activation", ACTIVATIONS)
    trial.suggest_float("dropout", *DROPOUT)
    trial.suggest_float("learning_rate", *LEARNING_RATE, log=True)
    return score(trial.params)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--n-trials", type=int, required=True)
    parser.add_argument("--sampler", required=True)
    parser.add_argument("--limit-s", type=float, help="begin no more trials after this time")
    options = parser.parse_args()
    plan = make_plan("mnist_mlp", [f"sweep/sampler={options.sampler}"])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(options.folder / "study.journal"))),
        direction="maximize",
        sampler=build_sampler(plan.sweep.sampler, plan.space, 0),
    )
    clock = SamplingClock(type(study.sampler))
    finished: list[float] = []
    sampling: list[float] = []

    def stamp(_: optuna.Study, trial: FrozenTrial) -> None:  # noqa: ARG001
        finished.append(time.time())
        sampling.append(clock.seconds)

    study.optimize(objective, n_trials=options.n_trials, timeout=options.limit_s, callbacks=[stamp])
    print(json.dumps({"n": len(finished), "finished": finished, "sampling": sampling}))


if __name__ == "__main__":
    main()
