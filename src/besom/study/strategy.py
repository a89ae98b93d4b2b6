"""Builds the Optuna sampler and pruner that a sweep names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning

from besom.errors import ConfigError
from besom.space import Space
from besom.study import samplers
from besom.targets import TARGET, instantiate


def mix_seed(seed: int, *parts: int) -> int:
    """A seed that differs wherever any part does, so that a resumed sampler does not replay."""
    return int(np.random.SeedSequence([seed & 0xFFFFFFFF, *parts]).generate_state(1)[0])


def build_sampler(node: Mapping[str, Any], space: Space, n_existing: int) -> Any:
    """The sampler of ``sweep.sampler``.

    Args:
        node: its config; a ``seed`` is mixed with ``n_existing``; a ``group`` of null is chosen
            by whether parameters of the space can be absent.
        space: what it will sample.
        n_existing: how many trials the study has already.

    Raises:
        ConfigError: the node builds no sampler.
        SpaceError: the sampler cannot take this space.
    """
    arguments = dict(node)
    if arguments.get("seed") is not None and n_existing:
        arguments["seed"] = mix_seed(int(arguments["seed"]), n_existing)
    if "group" in arguments and arguments["group"] is None:
        arguments["group"] = space.is_conditional and bool(arguments.get("multivariate"))
    target = str(arguments.get(TARGET)).rpartition(".")[2]
    if target in ("GridSampler", "SpaceGridSampler") and arguments.get("search_space") is None:
        arguments["search_space"] = samplers.grid_of(space)
    elif target in ("BruteForceSampler", "SpaceBruteForceSampler"):
        samplers.check_finite(space)
    elif target == "CmaEsSampler":
        samplers.check_numeric(space)
    elif target == "GPSampler":
        samplers.check_torch()
    return _build(arguments, optuna.samplers.BaseSampler, "sweep.sampler")


def build_pruner(node: Mapping[str, Any]) -> optuna.pruners.BasePruner:
    """The pruner of ``sweep.pruner``.

    Raises:
        ConfigError: the node builds no pruner.
    """
    pruner: optuna.pruners.BasePruner = _build(node, optuna.pruners.BasePruner, "sweep.pruner")
    return pruner


def _build(node: Mapping[str, Any], kind: type, path: str) -> Any:
    with warnings.catch_warnings():
        # Chosen by name in a config: that they are experimental is said in its YAML.
        warnings.simplefilter("ignore", ExperimentalWarning)
        built = instantiate(node)
    if not isinstance(built, kind):
        raise ConfigError(
            f"{path}: {node.get(TARGET)} built a {type(built).__name__}, expected a "
            f"{kind.__module__.split('.')[0]} {kind.__name__}."
        )
    return built
