"""Prints what ``besom sweep NAME --dry-run`` found."""

from __future__ import annotations

import pandas as pd
from rich.console import Console

from besom.study.dry_run import DryRun
from besom.study.plan import SweepPlan
from besom.tables import rich_table, shown_params


def print_space(plan: SweepPlan, console: Console) -> None:
    """The search space as a table."""
    rows = [
        {"hyperparameter": entry.path, "values": str(entry), "when": entry.condition or ""}
        for entry in plan.space.entries
    ]
    if rows:
        console.print(rich_table(pd.DataFrame(rows), f"Search space of {plan.name}"))
    else:
        console.print("The search space is empty: only the base config would run.")
    for note in plan.notes:
        console.print(note, markup=False, highlight=False)


def print_dry_run(plan: SweepPlan, found: DryRun, console: Console) -> None:
    """The configs that were built, and the time and memory to expect."""
    rows = [
        {
            "config": probed.name,
            "parameters": f"{probed.numbers['n_params']:,.0f}",
            "model MB": f"{probed.numbers['model_bytes'] / 1e6:.1f}",
            "s/epoch": f"{probed.seconds_per_epoch:.2f}",
            "hyperparameters": shown_params(probed.params),
        }
        for probed in found.built
    ]
    console.print(rich_table(pd.DataFrame(rows), "Built, not trained"))
    memory = max(probed.numbers.get("memory_bytes", 0.0) for probed in found.built)
    n_trials = plan.sweep["n_trials"]
    seconds = found.expected_seconds(n_trials)
    small, large = found.smallest.numbers["n_params"], found.largest.numbers["n_params"]
    for line in (
        f"Parameters: {small:,.0f} to {large:,.0f}.",
        f"Memory: up to {memory / 1e9:.1f} GB a worker, {found.n_workers} workers.",
        f"Time to expect: about {_clock(seconds)} for {n_trials} trials if none is pruned, "
        "start-up not counted.",
    ):
        console.print(line, highlight=False)


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
