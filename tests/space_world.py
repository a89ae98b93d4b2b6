"""A small world of configs for the tests of the search space: four groups, no Hydra, no Keras."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import optuna

from besom.space import Space, parse_space
from besom.space.definitions import OwnSpaces

OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "data": {
        "digits": {"name": "digits", "validation_split": 0.1, "path": None},
        "mnist": {"name": "mnist", "validation_split": 0.1, "path": None},
    },
    "model": {
        "mlp": {
            "_target_": "besom.training.models.mlp",
            "hidden_units": [512, 256],
            "layers": None,
            "rates": None,
            "activation": "relu",
            "dropout": 0.2,
            "batch_norm": False,
        },
        "cnn": {
            "_target_": "besom.training.models.cnn",
            "filters": 32,
            "activation": "relu",
            "dropout": 0.2,
            "batch_norm": True,
        },
    },
    "optimizer": {
        "adam": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.001, "beta_1": 0.9},
        "sgd": {
            "_target_": "keras.optimizers.SGD",
            "learning_rate": 0.01,
            "momentum": 0.0,
            "nesterov": False,
        },
        "rmsprop": {"_target_": "keras.optimizers.RMSprop", "learning_rate": 0.001, "rho": 0.9},
    },
    "trainer": {
        "default": {
            "epochs": 20,
            "batch_size": 32,
            "loss": "sparse_categorical_crossentropy",
            "class_weight": None,
            "metrics": ["accuracy"],
            "patience": None,
        }
    },
}
GROUPS = {group: list(options) for group, options in OPTIONS.items()}
CHOICES = {"data": "digits", "model": "mlp", "optimizer": "adam", "trainer": "default"}
OWN_SPACES: dict[tuple[str, str], dict[str, Any]] = {
    ("optimizer", "adam"): {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "beta_1": [0.8, 0.9],
    },
    ("optimizer", "sgd"): {
        "learning_rate": {"low": 1e-3, "high": 1.0, "log": True},
        "momentum": {"low": 0.0, "high": 0.99},
        "nesterov": {"choices": [True, False], "when": {"momentum": {"min": 0.5}}},
    },
}


def compose(choices: Mapping[str, str]) -> dict[str, Any]:
    """The plain config for a complete choice of groups."""
    nodes = {group: OPTIONS[group][option] for group, option in choices.items()}
    return copy.deepcopy({**nodes, "seed": 0})


BASE = compose(CHOICES)


def own_spaces(group: str, option: str) -> dict[str, Any]:
    """The ``space:`` of a group's option."""
    return OWN_SPACES.get((group, option), {})


def space_of(spec: Mapping[str, Any], own: OwnSpaces = own_spaces, **choices: str) -> Space:
    """A space over this world; ``choices`` replace options of the base config."""
    chosen = {**CHOICES, **choices}
    return parse_space(spec, compose(chosen), GROUPS, chosen, compose=compose, own_spaces=own)


def ask(seed: int = 0) -> optuna.Trial:
    """A trial of a random sampler."""
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


def samples(space: Space, n: int = 50) -> list[Any]:
    """Some samples of a space, each with the Optuna parameters it came from."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = []
    for _ in range(n):
        trial = study.ask()
        found.append((space.suggest(trial), trial.params))
        study.tell(trial, 0.0)
    return found
