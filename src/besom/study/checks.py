"""What a sweep is refused for before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from besom.errors import ConfigError, StudyError, did_you_mean
from besom.seam import KERAS_TRIALS
from besom.store import storage
from besom.study.names import check_trusted, enqueued_configs
from besom.study.objective import (
    TRIAL_NUMBERS,
    check_metric,
    follows_the_task,
    usual_objective,
)
from besom.study.plan import SweepPlan
from besom.study.samplers import build_pruner, build_sampler
from besom.study.screening import ScreeningPruner
from besom.study.warm_start import check_objectives
from besom.text.counting import counted
from besom.trackers import check_tracker

#: What ``besom confirm`` trains with.
_OPENS_THE_TEST_SET = "besom.training.confirmation."

#: What is read of the facts that ``prepare`` returns.
_NAMES, _MAPPING = ((list, dict), "a list of names"), ((dict,), "a mapping")
_FACTS = {
    "metrics": _NAMES,
    "numbers": _NAMES,
    "kinds": _MAPPING,
    "data": _MAPPING,
    "device": _MAPPING,
    "versions": _MAPPING,
}


def check_strategy(plan: SweepPlan) -> None:
    """Refuse a sampler, a pruner or a tracker that cannot be used.

    Raises:
        BesomError: says which and why.
    """
    _check_sealed(plan.sweep.trial_function)
    check_trusted(plan)
    for tracker in plan.sweep.trackers:
        check_tracker(tracker, "sweep.trackers")
    build_sampler(plan.sweep.sampler, plan.space, 0, len(plan.objectives))
    pruner = build_pruner(plan.sweep.pruner)
    if isinstance(pruner, ScreeningPruner):
        _check_screening(plan, pruner)


def check_new_study(plan: SweepPlan) -> None:
    """Refuse enqueued configs or a warm start that a new study cannot begin with.

    Raises:
        BesomError: says which and why.
    """
    check_trusted(plan, enqueued_configs(plan))
    other = plan.sweep.warm_start
    if other == plan.name:
        raise ConfigError(
            f"sweep.warm_start={other} is this study itself. Give this study another name "
            "with sweep.name=NAME."
        )
    if other is not None:
        record = storage.load_record(plan.paths.root.parent, other)
        if not follows_the_task(plan.sweep):
            check_objectives(plan, record)


def _check_sealed(trial_function: str) -> None:
    if trial_function.replace(":", ".").startswith(_OPENS_THE_TEST_SET):
        raise ConfigError(
            f"sweep.trial_function is {trial_function!r}, which opens the test images, and no "
            "sweep may do that. Omit it, and run besom confirm NAME when the sweep has ended."
        )


def _check_screening(plan: SweepPlan, pruner: ScreeningPruner) -> None:
    if len(plan.runs) > 1:
        raise ConfigError(
            "sweep/pruner=screening trains the best trials on from their checkpoints, and a trial "
            f"of {len(plan.runs)} runs (sweep.folds, sweep.repeats) has none. Use "
            "sweep/pruner=median or sweep/pruner=none."
        )
    metrics = [objective.metric for objective in plan.objectives]
    if len(metrics) > 1:
        raise ConfigError(
            f"sweep/pruner=screening compares trials by one objective, but sweep.objectives has "
            f"{len(metrics)}. Use sweep/pruner=none."
        )
    if metrics[0] in TRIAL_NUMBERS:
        _refuse_screening_by(metrics[0])
    epochs = plan.base["trainer"].get("epochs")
    sampled = [entry.low for entry in plan.space.entries if entry.path == "trainer.epochs"]
    least = min((n for n in [epochs, *sampled] if n is not None), default=None)
    if least is not None and least <= pruner.epochs:
        raise ConfigError(
            f"sweep/pruner=screening stops trials after {counted(pruner.epochs, 'epoch')} "
            f"(sweep.pruner.epochs), but trainer.epochs is {least:g}, so it would save "
            "nothing. Raise trainer.epochs, or use sweep/pruner=none."
        )


def _refuse_screening_by(number: str) -> None:
    raise ConfigError(
        f"sweep/pruner=screening compares trials by a metric after some epochs, but a trial has "
        f"{number!r} only once. Use sweep/pruner=none, or another objective."
    )


def settled(plan: SweepPlan, facts: Mapping[str, Any]) -> SweepPlan:
    """The plan with the objective that its data suggest, where it names none.

    Raises:
        ConfigError: as ``check_names``.
    """
    if follows_the_task(plan.sweep) and isinstance(suggested := facts.get("objective"), str):
        plan = plan.judged_by((usual_objective(suggested, plan.sweep),))
    check_names(plan, facts)
    return plan


def check_names(plan: SweepPlan, facts: Mapping[str, Any]) -> None:
    """Refuse objectives and constraints that no trial will report, as far as workers know.

    Raises:
        ConfigError: names the objective or constraint, and what trials report; or the facts do not
            have the types that ``besom.seam.TrialFunction`` asks for.
    """
    _check_facts(facts)
    if plan.sweep.folds is not None and not facts.get("folds"):
        raise ConfigError(
            f"sweep.folds={plan.sweep.folds}, but {plan.sweep.trial_function} does not say that it "
            "knows folds. Have it train and measure by config['run'] and its `prepare` return "
            "'folds': True (see besom.seam), or use sweep.repeats, which works with any function."
        )
    numbers = [*facts.get("numbers", ()), *TRIAL_NUMBERS]
    for name in plan.sweep.constraints:
        if name not in numbers:
            raise ConfigError(
                f"sweep.constraints.{name}: no trial has a number {name!r}."
                + did_you_mean(name, numbers)
                + _own_numbers(plan)
            )
    hint = _own_numbers(plan)
    if suggested := facts.get("objective"):
        hint = f" This task suggests sweep.objective.metric={suggested}."
    for objective in plan.objectives:
        if "metrics" in facts and not facts.get("open_ended"):
            check_metric(objective, facts["metrics"], numbers, hint)
    screens = isinstance(build_pruner(plan.sweep.pruner), ScreeningPruner)
    first = plan.objectives[0].metric
    if screens and first in numbers and first not in facts.get("metrics", ()):
        _refuse_screening_by(first)


def _check_facts(facts: Mapping[str, Any]) -> None:
    for name, (kinds, expected) in _FACTS.items():
        if name in facts and not isinstance(facts[name], kinds):
            raise ConfigError(
                f"The trial function's `prepare` returned {name}={facts[name]!r:.100}, expected "
                f"{expected} (see besom.seam.TrialFunction)."
            )


def _own_numbers(plan: SweepPlan) -> str:
    """How the user's own trial function declares what its trials report."""
    if plan.sweep.trial_function == KERAS_TRIALS:
        return ""
    return " What trials report is what `prepare` returns under 'metrics' and 'numbers'."


def check_same_data(name: str, stored: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
    """Refuse to continue a study on other data than it was made with.

    Args:
        name: the study's.
        stored: its facts.
        environment: what the workers report about the data now.

    Raises:
        StudyError: gives both fingerprints.
    """
    new = environment.get("data", {}).get("fingerprint")
    for known in stored["environments"].values():
        old = known.get("data", {}).get("fingerprint")
        if old != new:
            raise StudyError(
                f"The study {name!r} was made with other data: its fingerprint was {old}, now it "
                f"is {new}. Values would not be comparable. Restore the data, give this sweep "
                "another name with sweep.name=NAME, or start over with --fresh."
            )
