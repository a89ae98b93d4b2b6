"""What samplers need to know of a space before they can take it, and the grid they cannot build."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BruteForceSampler, GridSampler
from optuna.trial import FrozenTrial, TrialState

from besom.errors import ConfigError, SpaceError
from besom.space import Space

if TYPE_CHECKING:
    import optuna

_GRID_HELP = "Give it choices or a step, or take another sampler: sweep/sampler=tpe."


class SpaceGridSampler(GridSampler):
    """Optuna's grid sampler, which also bears trials that are on no grid point."""

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Stop the study after its last grid point; the baseline has none."""
        if "grid_id" in study._storage.get_trial(trial._trial_id).system_attrs:
            super().after_trial(study, trial, state, values)


class SpaceBruteForceSampler(BruteForceSampler):
    """Optuna's brute force sampler, which also bears trials without parameters."""

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Stop the study after its last point; a baseline outside the space is none."""
        if study._storage.get_trial(trial._trial_id).params:
            super().after_trial(study, trial, state, values)

    @staticmethod
    def _populate_tree(tree: Any, trials: list[FrozenTrial], params: dict[str, Any]) -> None:
        BruteForceSampler._populate_tree(tree, [t for t in trials if t.params], params)


def grid_of(space: Space) -> dict[str, list[Any]]:
    """The grid sampler's search space: every parameter with all its values.

    Raises:
        SpaceError: a parameter has infinitely many values, or does not occur in every trial.
    """
    if space.is_conditional:
        raise SpaceError(
            "sweep/sampler=grid needs every parameter in every trial, but this space has "
            "conditions or lists of sampled length. Use sweep/sampler=brute_force, which walks "
            "those too."
        )
    return {name: _values(name, d) for name, d in space.distributions().items()}


def check_finite(space: Space) -> None:
    """Refuse a space with infinitely many points, for samplers that walk all of them.

    Raises:
        SpaceError: names the parameters.
    """
    for name, distribution in space.distributions().items():
        _values(name, distribution)


def check_numeric(space: Space) -> None:
    """Refuse a space that CMA-ES cannot search.

    Raises:
        SpaceError: names the choices, or says that parameters may be absent.
    """
    choices = [
        name
        for name, d in space.distributions().items()
        if isinstance(d, CategoricalDistribution) and not d.single()
    ]
    if choices:
        raise SpaceError(
            f"sweep/sampler=cmaes searches numbers only, but {', '.join(choices)} "
            f"{'is a choice' if len(choices) == 1 else 'are choices'}. "
            "Take them out of the space, or use sweep/sampler=tpe."
        )
    if space.is_conditional:
        raise SpaceError(
            "sweep/sampler=cmaes needs every parameter in every trial, but this space has "
            "conditions or lists of sampled length. Use sweep/sampler=tpe."
        )


def check_torch() -> None:
    """Refuse the Gaussian process where PyTorch is missing.

    Raises:
        ConfigError: says how to install it.
    """
    if importlib.util.find_spec("torch") is None:
        raise ConfigError("sweep/sampler=gp needs PyTorch: python -m pip install 'besom[gp]'.")


def _values(name: str, distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        if distribution.single():
            return [distribution.low]
        raise SpaceError(
            f"{name} is any number from {distribution.low:g} to {distribution.high:g}: there are "
            f"infinitely many points to walk. {_GRID_HELP}"
        )
    n = round((distribution.high - distribution.low) / distribution.step)
    return [distribution.low + i * distribution.step for i in range(n + 1)]
