"""What runs, but not as well as the user may think: one line each, said before the first trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from besom.config.schema import defaults
from besom.store.environment import data_in_words
from besom.study.plan import SEED, SweepPlan
from besom.study.samplers import build_pruner, class_of, traits_of
from besom.study.screening import ScreeningPruner
from besom.targets import TARGET


def remarks(plan: SweepPlan) -> list[str]:
    """What the config alone tells."""
    return [*_on_sampler(plan), *_on_space(plan), *_on_unused(plan)]


def _on_sampler(plan: SweepPlan) -> Iterator[str]:
    node, n_trials = plan.sweep.sampler, plan.sweep.n_trials
    sampler, traits = class_of(node), traits_of(node)
    population = node.get("population_size")
    if plan.sweep.warm_start is not None and traits.ignores_warm_start:
        yield (
            f"{sampler} learns nothing from the trials that sweep.warm_start brings; "
            "sweep/sampler=tpe does"
        )
    if traits.complete_only and isinstance(build_pruner(plan.sweep.pruner), ScreeningPruner):
        yield (
            f"{sampler} learns from complete trials only, and screening stops nearly all, so it "
            "proposes at random; sweep/sampler=tpe learns from all"
        )
    if traits.generations and population is not None and population >= n_trials:
        yield (
            f"{sampler} draws its first generation at random, and sweep.sampler.population_size="
            f"{population} makes that all of the {n_trials} trials: lower it, or raise "
            "sweep.n_trials"
        )
    if plan.sweep.constraints and traits.complete_only:
        yield (
            f"{sampler} learns from complete trials only, not from those that break "
            "sweep.constraints, so it may propose many more; sweep/sampler=tpe learns from all"
        )
    if plan.space.is_conditional and traits.conditions_at_random:
        yield (
            f"{sampler} draws at random what does not occur in every trial (conditions, lists of "
            "sampled length); sweep/sampler=tpe learns from it"
        )


def _on_space(plan: SweepPlan) -> Iterator[str]:
    if SEED in plan.space.paths:
        yield (
            "sweep.space samples 'seed', which is no hyperparameter: the best seed is luck, not a "
            "setting to keep; sweep.repeats runs each trial with several seeds, and besom confirm "
            "shows how far values differ by seed"
        )
    chosen = (path for e in plan.space.entries for path, _ in e.values.choices_at(e.path))
    if target := next((path for path in chosen if path.endswith(TARGET)), None):
        yield (
            f"sweep.space samples '{target}', so each class gets the arguments of the other; "
            "to give each its own, write an option of the config group for each"
        )
    if not len(plan.space) and plan.sweep.n_trials > 1 and not plan.sweep.vary_seed:
        yield (
            "sweep.space is empty: every trial is the base config again; sweep.vary_seed=true "
            "shows how far its values differ by seed"
        )


def _on_unused(plan: SweepPlan) -> Iterator[str]:
    sweep = plan.sweep
    if len(plan.objectives) > 1 and sweep.replicates not in ("auto", 0):
        yield (
            f"sweep.replicates={sweep.replicates} is not used: with several objectives no trial "
            "leads, so there is none to run on fresh seeds; besom confirm NAME runs those that "
            "you name"
        )
    if len(plan.runs) > 1 and sweep.keep_models > defaults("sweep")["sweep"]["keep_models"]:
        yield (
            f"sweep.keep_models={sweep.keep_models} is not used: a trial of several runs has no "
            "one model to keep; besom export NAME --model trains it"
        )


#: What a model that comes compiled has of its own.
_COMPILED_IN = ("optimizer", "trainer.loss", "trainer.metrics", "trainer.weighted_metrics")


def remarks_on_workers(facts: Mapping[str, Any], sampled: Sequence[str] = ()) -> list[str]:
    """What the workers found.

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
