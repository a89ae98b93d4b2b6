"""A sweep's sampler and pruner: how they are built, what each sampler can do, and the grid."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from besom.errors import ConfigError, SpaceError
from besom.runs import mix_seed
from besom.space import Space
from besom.store.optuna_private import all_trials, id_of
from besom.store.records import Origin, origin_of
from besom.targets import TARGET
from besom.text.values import given_text

if TYPE_CHECKING:
    import optuna


import warnings

import optuna
from optuna.exceptions import ExperimentalWarning

from besom.store.optuna_private import filter_brackets
from besom.targets import instantiate

#: More points than this are not listed: nobody trains so many, and they would fill the memory.
MOST_POINTS = 200_000


@dataclass(frozen=True)
class SamplerTraits:
    """What besom must know about a sampler; false for one that it does not know.

    Attributes:
        complete_only: it learns from complete trials, not from pruned or infeasible ones.
        ignores_warm_start: it learns from its own proposals only, or not at all.
        conditions_at_random: it proposes together what every trial has, and the rest at random.
        generations: its first ``population_size`` trials are random.
        sequence: it continues from what the study holds; another seed would start another sequence.
        random_outside: the same, and it draws at random what its sequence does not contain.
        walks_space: it takes the space as an argument.
        numbers_only: it takes no choices and no conditions.
        single_objective: it takes one objective.
        needs_torch: it is built on PyTorch.
    """

    complete_only: bool = False
    ignores_warm_start: bool = False
    conditions_at_random: bool = False
    generations: bool = False
    sequence: bool = False
    random_outside: bool = False
    walks_space: bool = False
    numbers_only: bool = False
    single_objective: bool = False
    needs_torch: bool = False


_WALK = SamplerTraits(ignores_warm_start=True, sequence=True, walks_space=True)
_EVOLUTION = SamplerTraits(
    complete_only=True, ignores_warm_start=True, conditions_at_random=True, generations=True
)
_TRAITS = {
    "SpaceGridSampler": _WALK,
    "SpaceBruteForceSampler": _WALK,
    "GridSampler": SamplerTraits(sequence=True),
    "RandomSampler": SamplerTraits(ignores_warm_start=True),
    "QMCSampler": SamplerTraits(
        ignores_warm_start=True, conditions_at_random=True, sequence=True, random_outside=True
    ),
    "CmaEsSampler": SamplerTraits(
        complete_only=True, ignores_warm_start=True, numbers_only=True, single_objective=True
    ),
    "GPSampler": SamplerTraits(complete_only=True, conditions_at_random=True, needs_torch=True),
    "NSGAIISampler": _EVOLUTION,
    "NSGAIIISampler": _EVOLUTION,
}


def class_of(node: Mapping[str, Any]) -> str:
    """The name of the class that ``sweep.sampler`` builds."""
    return str(node.get(TARGET)).rpartition(".")[2]


def traits_of(node: Mapping[str, Any]) -> SamplerTraits:
    """What besom knows about the sampler that ``sweep.sampler`` builds."""
    return _TRAITS.get(class_of(node), SamplerTraits())


class SpaceGridSampler(BaseSampler):
    """Walks a finite space: every point once, what conditions exclude left out.

    What has been visited is read from the params of the study's trials, the baseline's included:
    nothing is visited twice, nor left out, however often the sweep is interrupted. (Optuna's own
    grid sampler stores positions in a shuffled list, and takes no conditions.)

    Args:
        search_space: the space.
        seed: shuffles the points.

    Raises:
        SpaceError: there are infinitely many points, or too many to list.
    """

    def __init__(self, search_space: Space, seed: int | None = None) -> None:
        if not isinstance(search_space, Space):
            raise ConfigError(
                f"sweep.sampler.search_space is {given_text(search_space)}, expected null: the "
                "grid is always that of sweep.space. Write what it should walk there."
            )
        grid = search_space.grid()
        if (size := grid.size) > MOST_POINTS:
            raise SpaceError(
                f"sweep.space has {size:,} points, more than the {MOST_POINTS:,} that can be "
                "walked. Give larger steps or fewer choices, or use another sampler (tpe, random)."
            )
        points = list(grid)
        random.Random(seed).shuffle(points)
        self._points = {_key(point): point for point in points}
        self._distributions = search_space.distributions()
        self._finished: dict[int, str] = {}  # Optuna's trial id to its point, which stays the same

    @property
    def n_points(self) -> int:
        """How many points there are."""
        return len(self._points)

    def exhausted(self, study: optuna.Study) -> bool:
        """Whether every point has been visited, or is being visited."""
        return self._points.keys() <= self._visited(study)

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Every parameter: a point is proposed as a whole."""
        return self._distributions

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The next point; for a trial that was cut off while it was sampled, one that completes it.

        After the last point, one that has been visited.
        """
        visited, cut_off = self._visited(study, but=trial), trial.params.items()
        again: dict[str, Any] = {}
        for key, point in self._points.items():
            if cut_off <= point.items():
                if key not in visited:
                    return point
                again = again or point
        return again

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Never: every point is whole.

        Raises:
            ValueError: the trial has params that no point has.
        """
        raise ValueError(f"no point of the grid has {param_name} beside {trial.params}")

    def _visited(self, study: optuna.Study, but: FrozenTrial | None = None) -> set[str]:
        """The points of all trials of this study; a warm start's trials ran in another one."""
        states = (*_FINISHED, TrialState.RUNNING)
        return {
            self._point_of(t)
            for t in all_trials(study, states)
            if (but is None or t.number != but.number) and origin_of(t) is not Origin.WARM_START
        }

    def _point_of(self, trial: FrozenTrial) -> str:
        if not trial.state.is_finished():
            return _key(trial.params)
        known = self._finished.get(id_of(trial))
        if known is None:
            known = self._finished[id_of(trial)] = _key(trial.params)
        return known


#: The same class by another name, which stored studies may have.
SpaceBruteForceSampler = SpaceGridSampler

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def _key(point: Mapping[str, Any]) -> str:
    return json.dumps(point, sort_keys=True)


def _check_numeric(space: Space) -> None:
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
    traits = traits_of(node)
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
    if traits.single_objective and n_objectives > 1:
        raise ConfigError(
            f"sweep/sampler=cmaes takes one objective, but sweep.objectives has {n_objectives}. "
            "Use sweep/sampler=nsga2, nsga3, tpe or gp."
        )
    if traits.numbers_only:
        _check_numeric(space)
    if traits.needs_torch and importlib.util.find_spec("torch") is None:
        raise ConfigError("sweep/sampler=gp needs PyTorch: python -m pip install 'besom[gp]'.")
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
