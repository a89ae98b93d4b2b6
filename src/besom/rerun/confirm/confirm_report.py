"""A confirmation as tables and text: on the terminal, as CSV and as Markdown."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from besom.errors import StudyError
from besom.report.tables import csv, frame_table, markdown, param_cell
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.result import Confirmation, ConfirmRow, Status
from besom.rerun.confirm.sentences import (
    amount,
    bounded,
    caveats,
    conclusion,
    gain_span,
    gained,
    span,
)
from besom.statistics import Gain
from besom.store.environment import environment_then
from besom.store.paths import write_atomically
from besom.store.records import Objective
from besom.store.test_set_log import Opening, how_often, how_often_outside, n_configs
from besom.text.console import say
from besom.text.counting import IS, counted, named
from besom.text.printable import markdown_cell, markdown_line

#: The columns of a gain's intervals.
GAIN, NEW_GAIN = "its 95 % interval", "on new examples"
#: How the columns of a gain's intervals are headed on a terminal.
_ON_TERMINALS = {GAIN: "gain, 95 %", NEW_GAIN: "on new ones"}


def files(plan: ConfirmPlan) -> tuple[Path, Path, Path]:
    """The CSV, the Markdown and the picture of a confirmation.

    Each kind has its own, so that one on validation images never replaces that on test images:
    ``confirm.csv`` on test images, ``confirm_validation.csv``, and both with ``_new_split``.
    """
    stem = "confirm"
    if plan.on == "validation":
        stem += "_validation"
    if plan.new_split:
        stem += "_new_split"
    root = plan.paths.root
    return root / f"{stem}.csv", root / f"{stem}.md", root / f"{stem}.png"


def to_markdown(confirmation: Confirmation, openings: Sequence[Opening]) -> str:
    """Everything there is to say, as Markdown."""
    plan = confirmation.plan
    out = io.StringIO()
    out.write(f"# {markdown_cell(plan.study.name)}: confirmed on the {plan.on} examples\n\n")
    out.write(f"{markdown_line(conclusion(confirmation))}\n\n{markdown_line(_how(plan))}\n\n")
    out.write(markdown(display(confirmation)) + "\n")
    for sentence in [*caveats(confirmation), opened(plan, openings)]:
        out.write(f"\n- {markdown_line(sentence)}" if sentence else "")
    if new := _new_examples(confirmation):
        out.write(f"\n- {markdown_line(new)}")
    out.write("\n\n## The configs\n\n")
    out.write(markdown(configs(plan)) + "\n")
    failed = failures(confirmation)
    if len(failed):
        out.write("\n## Runs that failed\n\n" + markdown(failed) + "\n")
    return out.getvalue()


def print_report(confirmation: Confirmation, openings: Sequence[Opening], console: Console) -> None:
    """The table, the conclusion and its limits, on the terminal."""
    shown = display(confirmation)
    if len(shown):
        # Terminals have 80 columns; the files have these too.
        left_out = ["rank", "sd", "seeds"]
        both = has_new_gains(confirmation)
        left_out += ["95 % interval", "gain"] if both else [GAIN]
        shown = shown.drop(columns=left_out).rename(columns=_ON_TERMINALS)
        title = f"{confirmation.plan.objective.metric} of {confirmation.plan.study.name}"
        table = frame_table(shown, title, wrapped=("status",), overflow="ellipsis")
        for interval in (_ON_TERMINALS[GAIN], "95 % interval"):
            unbounded = console.options.update(max_width=1000)
            wide = console.measure(table, options=unbounded).maximum > console.width
            if wide and interval in shown:
                shown = shown.drop(columns=interval)
                table = frame_table(shown, title, wrapped=("status",), overflow="ellipsis")
        console.print(table)
    lines = [conclusion(confirmation), *caveats(confirmation), opened(confirmation.plan, openings)]
    for line in filter(None, lines):
        say(console, line)


def write_report(confirmation: Confirmation, openings: Sequence[Opening]) -> list[Path]:
    """Write the ``files`` of a confirmation, each in one atomic step.

    Raises:
        StudyError: they cannot be written; the runs themselves are safe.
    """
    from besom.rerun.confirm.forest_plot import (  # matplotlib: not for those who only run
        write_confirmation,
    )

    table, text, picture = paths = files(confirmation.plan)
    try:
        write_atomically(table, csv(frame(confirmation)))
        write_atomically(text, to_markdown(confirmation, openings))
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


def opened(plan: ConfirmPlan, openings: Sequence[Opening]) -> str:
    """How often the study's test examples have been opened in all; empty on validation."""
    if plan.on != "test" or not openings:
        return ""
    data = environment_then(plan.study, plan.entrants[0]).get("data", {}).get("name")
    elsewhere = how_often_outside(plan.paths.root.parent, data)
    return (
        f"The test examples of this study have been opened {how_often(openings)}, for "
        f"{counted(n_configs(openings), 'config')}; each time they say a little less."
        + (f" {elsewhere}" if elsewhere else "")
    )


def _how(plan: ConfirmPlan) -> str:
    seeds = ", ".join(map(str, plan.seeds))
    split = ", each with its own validation split" if plan.new_split else ""
    race = "a config that is beaten gets no more" if plan.race else "every config gets all of them"
    better = "higher" if plan.objective.sign > 0 else "lower"
    unit = "percentage points" if plan.objective.is_share else "units of the metric"
    return (
        f"`{plan.objective.metric}`, {better} is better. Seeds {seeds}{split}; {race}. ± is one "
        "standard error, sd the standard deviation between seeds. Gains are over the baseline at "
        f"the same seeds, in {unit}, positive where better. The first's own interval is wider, "
        "because it was picked by its mean. A gain's interval holds for that row alone; the "
        "conclusion and `p_gain` allow for the number of rows."
    )


def _new_examples(confirmation: Confirmation) -> str:
    """What the intervals cover; empty where each seed had other examples, or none are known."""
    first, plan = confirmation.first, confirmation.plan
    if first is None or first.new is None:
        return ""
    text = (
        f"Intervals allow for other seeds on these {plan.on} examples. Those for new examples also "
        "allow for other examples from the same source"
    )
    if has_new_gains(confirmation):
        share = plan.objective.is_share
        did = "which example each seed got right" if share else "what each seed scored on each"
        return f"{text}, by {did}."
    return (
        f"{text}; gains have none, because these runs did not store which examples they got right."
    )


def frame(confirmation: Confirmation) -> pd.DataFrame:
    """One row per config, the first one first, then a column ``seed_N`` for each seed's score.

    Columns: rank, trial, status, baseline, metric, mean, sd, low, high (these examples), new_low,
    new_high (new examples), gain, gain_low, gain_high, p_gain (these examples), new_gain_low,
    new_gain_high, p_new_gain (new examples), behind, p_behind (these examples), n_seeds, n_failed.
    Gains and ``behind`` are positive where better, whatever the direction. Empty where it is
    not known.
    """
    rows, aim = [], confirmation.plan.objective
    for row in confirmation.rows:
        cells: dict[str, Any] = {
            "rank": row.rank,
            "trial": row.trial,
            "status": str(row.status),
            "baseline": row.baseline,
            "metric": aim.metric,
        }
        if row.estimate is not None:
            low, high = bounded(aim, row.estimate.interval)
            cells |= {"mean": row.estimate.mean, "sd": row.estimate.standard_deviation}
            cells |= {"low": low, "high": high}
        if row.new is not None:
            cells["new_low"], cells["new_high"] = bounded(aim, row.new.interval)
        if row.gain is not None:
            cells["gain"] = row.gain.estimate.mean
            cells["gain_low"], cells["gain_high"] = row.gain.estimate.interval
            cells["p_gain"] = row.p_gain
        if row.new_gain is not None:
            cells["new_gain_low"], cells["new_gain_high"] = row.new_gain.estimate.interval
            cells["p_new_gain"] = row.p_new_gain
        if row.behind is not None:
            cells |= {"behind": row.behind.estimate.mean, "p_behind": row.p_behind}
        cells |= {"n_seeds": len(row.scores), "n_failed": len(row.failures)}
        cells |= {f"seed_{s}": row.scores.get(s) for s in confirmation.plan.seeds}
        rows.append(cells)
    table = pd.DataFrame(rows, columns=_columns(confirmation.plan))
    table["rank"] = table["rank"].astype("Int64")
    return table.replace([math.inf, -math.inf], math.nan)


def _columns(plan: ConfirmPlan) -> list[str]:
    fixed = (
        "rank trial status baseline metric mean sd low high new_low new_high gain gain_low "
        "gain_high p_gain new_gain_low new_gain_high p_new_gain behind p_behind n_seeds n_failed"
    )
    return [*fixed.split(), *(f"seed_{seed}" for seed in plan.seeds)]


def display(confirmation: Confirmation) -> pd.DataFrame:
    """The same for people: rounded, in percent where the metric is a share of images."""
    aim = confirmation.plan.objective
    rows = []
    for row in confirmation.rows:
        cells = {"rank": "" if row.rank is None else str(row.rank), "trial": str(row.trial)}
        known = row.estimate
        cells["mean"] = "" if known is None else amount(aim, known, digits=2)
        cells["95 % interval"] = "" if known is None else span(aim, known.interval, digits=2)
        cells["sd"] = "" if known is None else _width(aim, known.standard_deviation)
        cells["gain"] = "" if row.gain is None else gained(aim, row.gain.estimate)
        cells[GAIN] = _gain_span(aim, row.gain)
        cells[NEW_GAIN] = _gain_span(aim, row.new_gain)
        cells["seeds"] = _seeds(row)
        cells["status"] = _status_text(confirmation, row)
        rows.append(cells)
    shown = pd.DataFrame(rows)
    return shown if has_new_gains(confirmation) else shown.drop(columns=NEW_GAIN, errors="ignore")


def has_new_gains(confirmation: Confirmation) -> bool:
    """Whether any gain is known for new examples."""
    return any(row.new_gain is not None for row in confirmation.rows)


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
    if row.status is Status.BEATEN:
        words = f"beaten after {confirmation.beaten[row.trial]}"
    if row.failures and row.status is not Status.FAILED:
        words += f", {len(row.failures)} failed"
    return f"baseline, {words}" if row.baseline else words


def _seeds(row: ConfirmRow) -> str:
    return f"{len(row.scores)}" + (f" ({len(row.failures)} failed)" if row.failures else "")


def _gain_span(aim: Objective, gain: Gain | None) -> str:
    return "" if gain is None else gain_span(aim, gain.estimate.interval)


def _width(aim: Objective, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{100 * value:.2f}" if aim.is_share else f"{value:.2g}"
