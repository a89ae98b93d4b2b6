"""Prints what ``besom sweep NAME --dry-run`` found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from optuna.pruners import NopPruner
from rich.console import Console

from besom.report.tables import frame_table, shown_params
from besom.seam import KERAS_TRIALS
from besom.statistics import power
from besom.store.records import Objective
from besom.study.dry_run import DryRun
from besom.study.objective import follows_the_task
from besom.study.plan import SweepPlan
from besom.study.remarks import remarks_on_workers
from besom.study.screening import ScreeningPruner
from besom.targets import function_name
from besom.text.console import say
from besom.text.counting import counted, listed
from besom.text.numbers import duration


def print_space(plan: SweepPlan, console: Console) -> None:
    """Print the search space as a table, and what is optimised in it."""
    rows = [
        {"hyperparameter": entry.path, "values": str(entry), "when": entry.condition or ""}
        for entry in plan.space.entries
    ]
    if rows:
        console.print(frame_table(pd.DataFrame(rows), f"Search space of {plan.name}"))
    else:
        say(console, "The search space is empty: only the base config would run.", wrap=True)
    known = [] if _is_told_later(plan) else [_optimised(plan, plan.objectives)]
    for line in [*known, *plan.notes]:
        say(console, line, wrap=True)


def _is_told_later(plan: SweepPlan) -> bool:
    """Whether what is optimised is known, and printed, once the data have been read."""
    return follows_the_task(plan.sweep) and plan.sweep.trial_function == KERAS_TRIALS


def _optimised(plan: SweepPlan, objectives: Sequence[Objective]) -> str:
    aims = ", ".join(f"{o.metric} ({o.direction})" for o in objectives)
    strategy = [f"{key} {plan.choices.get(f'sweep/{key}', 'own')}" for key in ("sampler", "pruner")]
    return f"Optimised: {aims}; {', '.join(strategy)}."


def print_dry_run(plan: SweepPlan, found: DryRun, console: Console) -> None:
    """Print the configs that were built, and the time and memory to expect."""
    rows = [
        {
            "config": probed.name,
            "parameters": f"{probed.numbers['n_params']:,.0f}",
            "model MB": _short(probed.numbers["model_bytes"] / 1e6),
            "s/epoch": "infeasible" if probed.broken else _short(probed.seconds_per_epoch),
            "hyperparameters": shown_params(probed.params),
        }
        for probed in found.built
    ]
    console.print(frame_table(pd.DataFrame(rows), "Built, not trained"))
    follows = [_optimised(plan, found.objectives)] if _is_told_later(plan) else []
    of_workers = remarks_on_workers(found.facts, plan.space.paths)
    for line in [*follows, *of_workers, *_findings(plan, found)]:
        say(console, line, wrap=True)


def _findings(plan: SweepPlan, found: DryRun) -> Iterator[str]:
    small, large = found.smallest.numbers["n_params"], found.largest.numbers["n_params"]
    yield f"Parameters: {small:,.0f} to {large:,.0f}."
    if outside := [p for p in found.sampled if p.broken]:
        yield (
            f"Constraints: {len(outside)} of {len(found.sampled)} sampled configs break one "
            f"({outside[0].name}: {outside[0].broken[0]}); such trials are not trained."
        )
    if unsavable := [p for p in found.built if p.unsavable]:
        yield (
            f"Models: {len(unsavable)} of {len(found.built)} cannot be saved ({unsavable[0].name}: "
            f"{unsavable[0].unsavable}); their trials count like any other."
        )
    fits = [p.config["trainer"].get("fit") for p in found.built]
    if names := sorted({function_name(fit) for fit in fits if fit is not None}):
        yield f"Training: by {listed(names)}, timed for a while on a few examples."
    memory = max(probed.numbers.get("memory_bytes", 0.0) for probed in found.built)
    workers = counted(found.n_workers, "worker")
    yield f"Memory: up to {memory / 1e9:.1f} GB per worker, {workers}."
    yield _time_to_expect(plan, found)
    if seen := _power(plan, found):
        yield seen


def _power(plan: SweepPlan, found: DryRun) -> str:
    """What the sweep will be able to see, of a share of examples; empty of anything else."""
    data = found.facts.get("data", {})
    n_examples = data.get("n_train" if data.get("folds") else "n_validation") or 0
    one_share = len(found.objectives) == 1 and found.objectives[0].is_share
    if not one_share or plan.sweep.repeats > 1:
        return ""
    said = power.in_words(n_examples, found.n_trials(plan.sweep.n_trials))
    assumed = f"where two trials disagree on {100 * power.ASSUMED_DISAGREEMENT:.0f} % of them"
    return said and f"Power: {said}, {assumed}."


def _time_to_expect(plan: SweepPlan, found: DryRun) -> str:
    n_trials, trials = found.n_trials(plan.sweep.n_trials), "trials"
    if n_trials == found.n_points:
        trials = "trials, which is every point of the space"
    pruner, each = found.pruner, "trial"
    if found.n_runs > 1:
        n_runs, folds = counted(n_trials * found.n_runs, "run"), plan.sweep.folds
        parts = [counted(folds, "fold")] if folds is not None else []
        parts += [counted(plan.sweep.repeats, "repeat")] if plan.sweep.repeats > 1 else []
        trials, each = f"{trials} ({n_runs}: {' x '.join(parts)} each)", "run"
    if isinstance(pruner, ScreeningPruner):
        kept = min(pruner.keep, n_trials)
        epochs = counted(pruner.epochs, "epoch")
        trials += f" of {epochs}, the best {kept} of them to their end"
    elif not isinstance(pruner, NopPruner) and len(plan.objectives) == 1:
        trials += " if none is pruned"
    seconds = found.expected_seconds(n_trials)
    text = (
        f"Time to expect: about {duration(seconds)} for {n_trials} {trials}: "
        f"{duration(max(found.start_s, 0.1))} to start the workers, and for each {each} about "
        f"{duration(found.seconds_beside_epochs)} to build, compile and save its model."
    )
    limit = plan.sweep.timeout_s
    if limit is not None and limit < seconds:
        text += f" sweep.timeout_s ends it after {duration(limit)}."
    return text


def _short(number: float) -> str:
    """Two digits of a number below 1, else one decimal."""
    return f"{number:.2g}" if number < 1 else f"{number:,.1f}"
