"""What a sweep is refused for before anything is written, and what the user should know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from besom.config import lookup
from besom.config.schema import defaults
from besom.errors import ConfigError, StudyError, did_you_mean
from besom.seam import KERAS_TRIALS, TrialConfig
from besom.store import storage
from besom.store.environment import data_in_words
from besom.study.objective import (
    TRIAL_NUMBERS,
    check_metric,
    follows_the_task,
    usual_objective,
)
from besom.study.plan import SEED, SweepPlan
from besom.study.preset_trials import enqueued
from besom.study.samplers import build_pruner, build_sampler, class_of, traits_of
from besom.study.screening import ScreeningPruner
from besom.study.warm_start import check_objectives
from besom.targets import TARGET, names_in
from besom.text.counting import counted
from besom.trust import current

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
    """Refuse a sampler or a pruner that cannot be used.

    Raises:
        BesomError: says which and why.
    """
    _check_sealed(plan.sweep.trial_function)
    check_trusted(plan)
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


def remarks(plan: SweepPlan) -> list[str]:
    """What runs, but not as well as the user may think; one line each."""
    lines = []
    node = plan.sweep.sampler
    sampler, traits = class_of(node), traits_of(node)
    if plan.sweep.warm_start is not None and traits.ignores_warm_start:
        lines.append(
            f"{sampler} learns nothing from the trials that sweep.warm_start brings; "
            "sweep/sampler=tpe does"
        )
    screens = isinstance(build_pruner(plan.sweep.pruner), ScreeningPruner)
    if screens and traits.complete_only:
        lines.append(
            f"{sampler} learns from complete trials only, and screening stops nearly all, so it "
            "proposes at random; sweep/sampler=tpe learns from all"
        )
    n_trials, population = plan.sweep.n_trials, node.get("population_size")
    if traits.generations and population is not None and population >= n_trials:
        lines.append(
            f"{sampler} draws its first generation at random, and sweep.sampler.population_size="
            f"{population} makes that all of the {n_trials} trials: lower it, or raise "
            "sweep.n_trials"
        )
    if plan.sweep.constraints and traits.complete_only:
        lines.append(
            f"{sampler} learns from complete trials only, not from those that break "
            "sweep.constraints, so it may propose many more; sweep/sampler=tpe learns from all"
        )
    if SEED in plan.space.paths:
        lines.append(
            "sweep.space samples 'seed', which is no hyperparameter: the best seed is luck, not a "
            "setting to keep; sweep.repeats runs each trial with several seeds, and besom confirm "
            "shows how far values differ by seed"
        )
    if (
        len(plan.objectives) > 1
        and isinstance(plan.sweep.replicates, int)
        and plan.sweep.replicates
    ):
        lines.append(
            f"sweep.replicates={plan.sweep.replicates} is not used: with several objectives no "
            "trial leads, so there is none to run on fresh seeds; besom confirm NAME runs those "
            "that you name"
        )
    if len(plan.runs) > 1 and plan.sweep.keep_models > defaults("sweep")["sweep"]["keep_models"]:
        lines.append(
            f"sweep.keep_models={plan.sweep.keep_models} is not used: a trial of several runs has "
            "no one model to keep; besom export NAME --model trains it"
        )
    chosen = (path for e in plan.space.entries for path, _ in e.values.choices_at(e.path))
    targets = [path for path in chosen if path.endswith(TARGET)]
    if targets:
        lines.append(
            f"sweep.space samples '{targets[0]}', so each class gets the arguments of the other; "
            "to give each its own, write an option of the config group for each"
        )
    if not len(plan.space) and n_trials > 1 and not plan.sweep.vary_seed:
        lines.append(
            "sweep.space is empty: every trial is the base config again; sweep.vary_seed=true "
            "shows how far its values differ by seed"
        )
    if plan.space.is_conditional and traits.conditions_at_random:
        lines.append(
            f"{sampler} draws at random what does not occur in every trial (conditions, lists of "
            "sampled length); sweep/sampler=tpe learns from it"
        )
    return lines


#: What a model that comes compiled has of its own.
_COMPILED_IN = ("optimizer", "trainer.loss", "trainer.metrics", "trainer.weighted_metrics")


def remarks_on_workers(facts: Mapping[str, Any], sampled: Sequence[str] = ()) -> list[str]:
    """The same about what the workers found; one line each.

    Args:
        facts: theirs.
        sampled: the paths of the space.
    """
    data = facts.get("data")
    gaps = data.get("label_gaps") if isinstance(data, Mapping) else None
    lines = [line for line in (data_in_words(facts), gaps and str(gaps)) if line]
    if unsavable := facts.get("unsavable"):
        lines.append(
            f"the model cannot be saved, so none will be kept; trials still count: {unsavable}"
        )
    if facts.get("comes_compiled"):
        unused = [path for path in sampled if path.startswith(_COMPILED_IN)]
        what = "those of the config are not used"
        if unused:
            alike = "all trials are equal" if len(unused) == len(sampled) else "it changes nothing"
            what = (
                f"sweep.space samples {', '.join(unused)}, but {alike}. Compile nothing in it, or "
                "give it these values as arguments"
            )
        lines.append(
            "the model function returns a compiled model, which keeps its own optimizer, loss and "
            f"metrics: {what}"
        )
    if facts.get("device", {}).get("lacks_gpu"):
        lines.append(
            "the workers have GPUs, but TensorFlow sees none and trains on the CPU, with one "
            "worker per GPU: install its CUDA libraries (pip install 'tensorflow[and-cuda]'), or "
            "set sweep.executor.gpus=none to divide the cores among the workers"
        )
    return lines


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


#: Where a sweep names its trial function.
_TRIALS = "sweep.trial_function"

#: Keys of the node ``sweep`` that are checked as what they lead to: entries, enqueued configs.
_NOT_RUN = ("space", "enqueue")


def check_trusted(plan: SweepPlan, more: Sequence[tuple[str, TrialConfig]] = ()) -> None:
    """Refuse a sweep that names code which may not run; nothing is imported.

    Args:
        plan: the sweep.
        more: further configs that run as they are, each with the prefix that messages call it by.

    Raises:
        TrustError: names what may not be run, and the line that would allow it.
    """
    for where, dotted in names_of(plan, more):
        current().check_name(dotted, where, is_trial=where == _TRIALS)


def names_of(
    plan: SweepPlan, more: Sequence[tuple[str, TrialConfig]] = ()
) -> list[tuple[str, str]]:
    """Every name that a sweep would resolve, each once: where it stands, and the name.

    Raises:
        TrustError: an argument is a serialised Keras object.
    """
    found = list(names_in({TARGET: plan.sweep.trial_function.replace(":", ".")}))
    found = [(_TRIALS, name) for _, name in found]
    found += names_in({key: v for key, v in plan.config.items() if key != "sweep"})
    found += names_in({k: v for k, v in plan.config["sweep"].items() if k not in _NOT_RUN}, "sweep")
    for entry in plan.space.entries:
        if entry.group is None:
            for path, choices in entry.values.choices_at(entry.path):
                found += names_in({path: list(choices)}, inside=True)
            continue
        for option in entry.choices or ():
            node = lookup(plan.bases.of({entry.group: option}), entry.group)
            found += names_in(node, f"{entry.group}={option}: {entry.group}")
    for called, config in more:
        found += names_in(config, called)
    return [(where, name) for name, where in {name: where for where, name in found[::-1]}.items()]


def enqueued_configs(plan: SweepPlan) -> list[tuple[str, TrialConfig]]:
    """The enqueued configs, each with the prefix that messages call it by.

    Raises:
        ConfigError: see ``besom.study.preset_trials.enqueued``.
    """
    return [(f"sweep.enqueue[{i}]: ", preset.config) for i, preset in enumerate(enqueued(plan))]
