"""A confirmation as tables and text: on the terminal, as CSV and as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from besom.errors import StudyError
from besom.report.tables import csv, frame_table, markdown, param_cell
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.result import ALPHA, Confirmation, ConfirmRow, Status
from besom.rerun.confirm.sentences import (
    amount,
    aside,
    bounded,
    caveats,
    conclusion,
    gain_span,
    gained,
    span,
)
from besom.store.environment import environment_then
from besom.store.paths import write_atomically
from besom.store.records import Objective
from besom.store.test_set_log import Opening, how_often_outside
from besom.text.console import say
from besom.text.counting import IS, counted, listed, named
from besom.text.printable import markdown_cell, markdown_line

#: The columns of a mean's and a gain's intervals.
MEAN, GAIN, FIXED_GAIN = "95 % interval", "gain, 95 %", "on these examples"


def files(plan: ConfirmPlan) -> tuple[Path, Path, Path, Path]:
    """The CSV, the Markdown, the JSON (sentences and table) and the picture of a confirmation.

    Each kind has its own, so that one on validation images never replaces that on test images:
    ``confirm.csv`` on test images, ``confirm_validation.csv``, and both with ``_new_split``.
    """
    stem = "confirm" + "_validation" * (plan.on == "validation") + "_new_split" * plan.new_split
    root = plan.paths.root
    csv_file, text, said, picture = (root / f"{stem}.{end}" for end in ("csv", "md", "json", "png"))
    return csv_file, text, said, picture


def to_markdown(confirmation: Confirmation, openings: Sequence[Opening]) -> str:
    """Everything there is to say, as Markdown."""
    plan, failed = confirmation.plan, failures(confirmation)
    limits = filter(None, [*caveats(confirmation), opened(confirmation, openings)])
    parts = [
        f"# {markdown_cell(plan.study.name)}: confirmed on the {plan.on} examples",
        markdown_line(conclusion(confirmation)),
        markdown_line(aside(confirmation)),
        markdown_line(_how(confirmation)),
        markdown(display(confirmation)),
        "\n".join(f"- {markdown_line(sentence)}" for sentence in limits),
        "## The configs",
        markdown(configs(plan)),
    ]
    if len(failed):
        parts += ["## Runs that failed", markdown(failed)]
    return "\n\n".join(filter(None, parts)) + "\n"


def to_json(confirmation: Confirmation, openings: Sequence[Opening]) -> str:
    """The sentences and the table for people, as ``besom report`` shows them."""
    shown = display(confirmation)
    known = {
        "sentences": sentences_of(confirmation, openings),
        "columns": list(shown.columns),
        "rows": shown.to_numpy().tolist(),
    }
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"


def sentences_of(confirmation: Confirmation, openings: Sequence[Opening]) -> list[str]:
    """The conclusion, the aside and what limits them."""
    lines = [conclusion(confirmation), aside(confirmation), *caveats(confirmation)]
    return [line for line in [*lines, opened(confirmation, openings)] if line]


def print_report(confirmation: Confirmation, openings: Sequence[Opening], console: Console) -> None:
    """The table, the conclusion and its limits, on the terminal."""
    if confirmation.rows:
        console.print(_table(confirmation, console))
    for line in sentences_of(confirmation, openings):
        say(console, line)


def _table(confirmation: Confirmation, console: Console) -> Table:
    """What fits: terminals have 80 columns, and the files have everything."""
    title = f"{confirmation.plan.objective.metric} of {confirmation.plan.study.name}"
    unbounded = console.options.update(max_width=1000)
    for intervals in ([MEAN, GAIN], [GAIN], ["gain"]):
        shown = display(confirmation)[["trial", "mean", *intervals, "status"]]
        table = frame_table(shown, title, wrapped=("status",), overflow="ellipsis")
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    return table


def write_report(confirmation: Confirmation, openings: Sequence[Opening]) -> list[Path]:
    """Write the ``files`` of a confirmation, each in one atomic step.

    Raises:
        StudyError: they cannot be written; the runs themselves are safe.
    """
    from besom.rerun.confirm.forest_plot import (  # matplotlib: not for those who only run
        write_confirmation,
    )

    table, text, said, picture = paths = files(confirmation.plan)
    try:
        write_atomically(table, csv(frame(confirmation)))
        write_atomically(text, to_markdown(confirmation, openings))
        write_atomically(said, to_json(confirmation, openings))
        write_confirmation(confirmation, picture)
    except OSError as error:
        raise StudyError(
            f"{table.parent} cannot be written: {error.strerror or error}. No finished run is "
            "lost: free disk space or fix the permissions, then repeat the command."
        ) from error
    return list(paths)


def replaced(confirmation: Confirmation) -> str:
    """Which trials the ``files`` no longer hold once they are written; empty if none.

    Call it before they are written. No run is lost: the journal has them all.
    """
    path = files(confirmation.plan)[0]
    try:
        before = [int(trial) for trial in pd.read_csv(path)["trial"]]
    except (OSError, ValueError, KeyError):
        return ""  # there is none, or it is not ours to judge
    gone = [trial for trial in before if trial not in {row.trial for row in confirmation.rows}]
    if not gone:
        return ""
    return (
        f"{path.name} also held other trials; {named('trial', gone, IS)} no longer in it. "
        "No run is lost: the command that wrote them writes them again without training."
    )


def opened(confirmation: Confirmation, openings: Sequence[Opening]) -> str:
    """How often the study's test examples have been looked at in all; empty on validation."""
    plan = confirmation.plan
    if plan.on != "test" or not openings:
        return ""
    runs = [o for o in openings if o.command == "confirm"]
    trained = [o for o in openings if o.command != "confirm"]
    looks = []
    if runs:
        configs = counted(len({o.trial for o in runs}), "config")
        seeds = counted(len({o.seed for o in runs}), "seed")
        looks += [f"{counted(confirmation.looked.n_looks, 'confirmation')} ({configs}, {seeds})"]
    if trained:
        looks += [f"{counted(len(trained), 'run')} of `besom train`"]
    data = environment_then(plan.study, plan.entrants[0]).get("data", {}).get("name")
    elsewhere = how_often_outside(plan.paths.root.parent, data)
    return (
        f"The test examples of this study have been opened by {listed(looks)}, first on "
        f"{openings[0].date[:10]}; each look says a little less."
        + (f" {elsewhere}" if elsewhere else "")
    )


def _how(confirmation: Confirmation) -> str:
    """How the table is to be read."""
    plan = confirmation.plan
    seeds = ", ".join(map(str, plan.seeds))
    split = ", each with its own validation split" if plan.new_split else ""
    race = "who is far behind gets no more" if plan.race else "every config gets all of them"
    better = "higher" if plan.objective.sign > 0 else "lower"
    unit = "percentage points" if plan.objective.is_share else "units of the metric"
    if confirmation.of_new:
        allow = (
            "for other seeds and other examples. Those *on these examples* allow for other seeds "
            "only"
        )
    else:
        allow = f"for other seeds, not for other {plan.on} examples"
    looked = confirmation.looked
    chances = counted(max(looked.n_configs, len(confirmation.rows)), "config")
    chances += f" and {counted(looked.n_looks, 'look')}" if looked.n_looks > 1 else ""
    return (
        f"`{plan.objective.metric}`, {better} is better. Seeds {seeds}{split}; {race}. ± is one "
        "standard error, sd the standard deviation between seeds. Gains are over the baseline at "
        f"the same seeds, in {unit}, positive where better. Intervals allow {allow}. The first's "
        "own is wider, because it was picked by its mean. A gain's interval holds for that row "
        f"alone; `p_gain`, the standing and the conclusion allow for the {chances} that these "
        "examples have been asked about."
    )


def frame(confirmation: Confirmation) -> pd.DataFrame:
    """One row per config, the first one first; empty where something is not known.

    Intervals and p-values are for new examples where ``of_new`` is True; those that begin with
    ``fixed_`` are for these ones. Gains and ``behind`` are positive where better, whatever the
    direction. There is a column ``seed_N`` for each seed's score.
    """
    rows, aim = [], confirmation.plan.objective
    for row in confirmation.rows:
        cells: dict[str, Any] = {"metric": aim.metric, "status": str(row.status)}
        cells |= {name: getattr(row, name) for name in ("rank", "trial", "baseline")}
        cells |= {"of_new": confirmation.of_new}
        if row.estimate is not None and row.fixed_estimate is not None:
            cells |= {"mean": row.estimate.mean, "sd": row.estimate.standard_deviation}
            cells["low"], cells["high"] = bounded(aim, row.estimate.interval)
            cells["fixed_low"], cells["fixed_high"] = bounded(aim, row.fixed_estimate.interval)
        if row.gain is not None and row.fixed_gain is not None:
            cells |= {"gain": row.gain.estimate.mean, "p_gain": row.p_gain}
            cells["gain_low"], cells["gain_high"] = row.gain.estimate.interval
            fixed = row.fixed_gain.estimate.interval
            cells["fixed_gain_low"], cells["fixed_gain_high"] = fixed
        if row.behind is not None:
            cells |= {"behind": row.behind.estimate.mean, "p_behind": row.p_behind}
        cells |= {"n_seeds": len(row.scores), "n_failed": len(row.failures)}
        cells |= {f"seed_{s}": row.scores.get(s) for s in confirmation.plan.seeds}
        rows.append(cells)
    columns = [
        *("rank", "trial", "status", "baseline", "metric", "of_new", "mean", "sd"),
        *("low", "high", "fixed_low", "fixed_high"),
        *("gain", "gain_low", "gain_high", "fixed_gain_low", "fixed_gain_high", "p_gain"),
        *("behind", "p_behind", "n_seeds", "n_failed"),
    ]
    columns += [f"seed_{seed}" for seed in confirmation.plan.seeds]
    table = pd.DataFrame(rows, columns=columns)
    table["rank"] = table["rank"].astype("Int64")
    return table.replace([math.inf, -math.inf], math.nan)


def display(confirmation: Confirmation) -> pd.DataFrame:
    """The same for people: rounded, in percent where the metric is a share of images."""
    aim = confirmation.plan.objective
    columns = ["rank", "trial", "mean", MEAN, "sd", "gain", GAIN, FIXED_GAIN, "seeds", "status"]
    rows = []
    for row in confirmation.rows:
        cells = dict.fromkeys(columns, "")
        cells |= {"rank": "" if row.rank is None else str(row.rank), "trial": str(row.trial)}
        known = row.estimate
        if known is not None:
            cells["mean"] = amount(aim, known, digits=2)
            cells[MEAN] = span(aim, known.interval)
            if cells[MEAN] and row.confidence > 1.0 - ALPHA:
                cells[MEAN] += f" (at {100 * row.confidence:.3g} %)"
            cells["sd"] = _width(aim, known.standard_deviation)
        if row.gain is not None:
            cells["gain"] = gained(aim, row.gain.estimate, digits=2)
            cells[GAIN] = gain_span(aim, row.gain.estimate.interval)
        if row.fixed_gain is not None:
            cells[FIXED_GAIN] = gain_span(aim, row.fixed_gain.estimate.interval)
        cells["seeds"] = str(len(row.scores))
        cells["status"] = _status_text(confirmation, row)
        rows.append(cells)
    shown = pd.DataFrame(rows, columns=columns)
    return shown if confirmation.of_new else shown.drop(columns=FIXED_GAIN)


def failures(confirmation: Confirmation) -> pd.DataFrame:
    """One row per run that failed: trial, seed, outcome, reason."""
    rows = [
        {"trial": r.trial, "seed": r.seed, "outcome": str(r.outcome), "reason": r.reason}
        for row in confirmation.rows
        for r in row.failures
    ]
    return pd.DataFrame(rows, columns=["trial", "seed", "outcome", "reason"])


def configs(plan: ConfirmPlan) -> pd.DataFrame:
    """One row per config: trial, and its hyperparameters."""
    rows = [
        {"trial": t.number, **{p: param_cell(v) for p, v in t.params.items()}}
        for t in plan.entrants
    ]
    return pd.DataFrame(rows).fillna("")


def _status_text(confirmation: Confirmation, row: ConfirmRow) -> str:
    words = str(row.status)
    if row.trial in confirmation.dropped and row.scores:
        words += f" after {confirmation.dropped[row.trial]}"
    if row.failures and row.status is not Status.FAILED:
        words += f", {len(row.failures)} failed"
    return f"baseline, {words}" if row.baseline else words


def _width(aim: Objective, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{100 * value:.2f}" if aim.is_share else f"{value:.2g}"
