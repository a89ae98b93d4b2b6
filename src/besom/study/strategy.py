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
from besom.store.optuna_private import filter_brackets
from besom.study import samplers
from besom.targets import TARGET, instantiate


def mix_seed(seed: int, *parts: int) -> int:
    """A seed that depends on every part, so that a resumed sampler does not repeat itself."""
    return int(np.random.SeedSequence([seed & 0xFFFFFFFF, *parts]).generate_state(1)[0])


def build_sampler(
    node: Mapping[str, Any], space: Space, n_existing: int, n_objectives: int = 1
) -> Any:
    """The sampler of ``sweep.sampler``.

    Args:
        node: its config; a ``seed`` is mixed with ``n_existing``, so that a resume does not draw
            the same again; a ``group`` of null becomes true where the space has conditions.
        space: what it will sample.
        n_existing: how many trials the study has already.
        n_objectives: how many objectives it has.

    Raises:
        ConfigError: the node builds no sampler, or one that cannot take several objectives.
        SpaceError: the sampler cannot take this space.
    """
    arguments = dict(node)
    traits = samplers.traits_of(node)
    if arguments.get("seed") is not None and n_existing:
        mixed = mix_seed(int(arguments["seed"]), n_existing)
        if not traits.sequence:
            arguments["seed"] = mixed
        elif traits.random_outside:  # which must not be drawn again
            arguments.setdefault("independent_sampler", optuna.samplers.RandomSampler(mixed))
    if "group" in arguments and arguments["group"] is None:
        arguments["group"] = space.is_conditional and bool(arguments.get("multivariate"))
    if traits.walks_space and arguments.get("search_space") is None:
        arguments["search_space"] = space
    if traits.single_objective:
        samplers.check_single(n_objectives)
    if traits.numbers_only:
        samplers.check_numeric(space)
    if traits.needs_torch:
        samplers.check_torch()
    return _build(arguments, optuna.samplers.BaseSampler, "sweep.sampler")


def build_pruner(node: Mapping[str, Any]) -> optuna.pruners.BasePruner:
    """The pruner of ``sweep.pruner``.

    Raises:
        ConfigError: the node builds no pruner.
    """
    pruner: optuna.pruners.BasePruner = _build(node, optuna.pruners.BasePruner, "sweep.pruner")
    if isinstance(pruner, optuna.pruners.HyperbandPruner):
        filter_brackets(pruner)
    return pruner


def _build(node: Mapping[str, Any], kind: type, path: str) -> Any:
    with warnings.catch_warnings():
        # The config names the class, so the user has chosen it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        built = instantiate(node)
    if not isinstance(built, kind):
        raise ConfigError(
            f"{path}: {node.get(TARGET)} built a {type(built).__name__}, expected a "
            f"{kind.__module__.split('.')[0]} {kind.__name__}."
        )
    return built
