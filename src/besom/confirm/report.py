"""A confirmation as tables: on the terminal, as CSV and as Markdown."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from besom.confirm.images import is_share
from besom.confirm.plan import ConfirmPlan
from besom.confirm.result import Confirmation, Row, Status
from besom.confirm.words import (
    amount,
    bounded,
    caveats,
    conclusion,
    gain_span,
    gained,
    span,
)
from besom.environment import environment_then
from besom.errors import StudyError
from besom.layout import write_atomically
from besom.openings import Opening, n_configs, said, said_outside
from besom.statistics import Gain

#: The columns of a gain's intervals, and how they are headed on a terminal.
_GAIN, _NEW_GAIN = "its 95 % interval", "on new images"
_ON_TERMINALS = {_GAIN: "gain, 95 %", _NEW_GAIN: "on new images"}


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


def frame(confirmation: Confirmation) -> pd.DataFrame:
    """One row a config, the first one first, then a column ``seed_N`` for each seed's score.

    Columns: rank, trial, status, baseline, metric, mean, sd, low, high (these images), new_low,
    new_high (new images), gain, gain_low, gain_high, p_gain (these images), new_gain_low,
    new_gain_high, p_new_gain (new images), behind, p_behind (these images), n_seeds, n_failed.
    Gains and ``behind`` are positive where better, whatever the direction. Empty where it cannot be
    told.
    """
    rows, metric = [], confirmation.plan.objective.metric
    for row in confirmation.rows:
        cells: dict[str, Any] = {
            "rank": row.rank,
            "trial": row.trial,
            "status": str(row.status),
            "baseline": row.baseline,
            "metric": metric,
        }
        if row.estimate is not None:
            low, high = bounded(metric, row.estimate.interval)
            cells |= {"mean": row.estimate.mean, "sd": row.estimate.standard_deviation}
            cells |= {"low": low, "high": high}
        if row.new is not None:
            cells["new_low"], cells["new_high"] = bounded(metric, row.new.interval)
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
    metric = confirmation.plan.objective.metric
    rows = []
    for row in confirmation.rows:
        cells = {"rank": "" if row.rank is None else str(row.rank), "trial": str(row.trial)}
        known = row.estimate
        cells["mean"] = "" if known is None else amount(metric, known, digits=2)
        cells["95 % interval"] = "" if known is None else span(metric, known.interval, digits=2)
        cells["sd"] = "" if known is None else _width(metric, known.standard_deviation)
        cells["gain"] = "" if row.gain is None else gained(metric, row.gain.estimate)
        cells[_GAIN] = _gain_span(metric, row.gain)
        cells[_NEW_GAIN] = _gain_span(metric, row.new_gain)
        cells["seeds"] = _seeds(row)
        cells["standing"] = _standing(confirmation, row)
        rows.append(cells)
    shown = pd.DataFrame(rows)
    return shown if _of_new_images(confirmation) else shown.drop(columns=_NEW_GAIN, errors="ignore")


def _of_new_images(confirmation: Confirmation) -> bool:
    """Whether any gain is known for new images."""
    return any(row.new_gain is not None for row in confirmation.rows)


def failures(confirmation: Confirmation) -> pd.DataFrame:
    """One row a run that failed: trial, seed, outcome, reason."""
    rows = [
        {"trial": r.trial, "seed": r.seed, "outcome": str(r.outcome), "reason": r.reason}
        for row in confirmation.rows
        for r in row.failures
    ]
    return pd.DataFrame(rows, columns=["trial", "seed", "outcome", "reason"])


def to_markdown(confirmation: Confirmation, openings: Sequence[Opening]) -> str:
    """Everything there is to say, as Markdown."""
    plan = confirmation.plan
    out = io.StringIO()
    out.write(f"# {plan.study.name}: confirmed on the {plan.on} images\n\n")
    out.write(f"{conclusion(confirmation)}\n\n{_how(plan)}\n\n")
    out.write((display(confirmation).to_markdown(index=False, disable_numparse=True) or "") + "\n")
    for sentence in [*caveats(confirmation), opened(plan, openings)]:
        out.write(f"\n- {sentence}" if sentence else "")
    if new := _new_images(confirmation):
        out.write(f"\n- {new}")
    out.write("\n\n## The configs\n\n")
    configs = [
        {"trial": t.number, **{p: _cell(v) for p, v in t.params.items()}} for t in plan.entrants
    ]
    out.write((pd.DataFrame(configs).fillna("").to_markdown(index=False) or "") + "\n")
    failed = failures(confirmation)
    if len(failed):
        out.write("\n## Runs that failed\n\n" + (failed.to_markdown(index=False) or "") + "\n")
    return out.getvalue()


def print_report(confirmation: Confirmation, openings: Sequence[Opening], console: Console) -> None:
    """The table, the conclusion and its limits, on the terminal."""
    shown = display(confirmation)
    if len(shown):
        # Terminals have 80 columns; who has how many seeds is said where it matters.
        left_out = ["rank", "sd", "seeds"]
        both = _of_new_images(confirmation)
        left_out += ["95 % interval", "gain"] if both else [_GAIN]
        shown = shown.drop(columns=left_out).rename(columns=_ON_TERMINALS)
        title = f"{confirmation.plan.objective.metric} of {confirmation.plan.study.name}"
        table = _table(shown, title)
        for interval in (_ON_TERMINALS[_GAIN], "95 % interval"):
            unbounded = console.options.update(max_width=1000)
            wide = console.measure(table, options=unbounded).maximum > console.width
            if wide and interval in shown:
                shown = shown.drop(columns=interval)
                table = _table(shown, title)
        console.print(table)
    lines = [conclusion(confirmation), *caveats(confirmation), opened(confirmation.plan, openings)]
    for line in filter(None, lines):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(shown: pd.DataFrame, title: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in shown.columns:
        wordy = column == "standing"
        table.add_column(column, justify="left" if wordy else "right", no_wrap=not wordy)
    for row in shown.itertuples(index=False):
        table.add_row(*map(str, row))
    return table


def write_report(confirmation: Confirmation, openings: Sequence[Opening]) -> list[Path]:
    """Write the ``files`` of a confirmation, each in one atomic step.

    Raises:
        StudyError: they cannot be written; the runs themselves are safe.
    """
    from besom.confirm.plot import write_confirmation  # matplotlib: not for those who only run

    table, text, picture = paths = files(confirmation.plan)
    try:
        write_atomically(table, str(frame(confirmation).to_csv(index=False)))
        write_atomically(text, to_markdown(confirmation, openings))
        write_confirmation(confirmation, picture)
    except OSError as error:
        raise StudyError(
            f"{table.parent} cannot be written: {error.strerror or error}. No finished run is "
            "lost: the same command writes the report when there is room or permission."
        ) from error
    return list(paths)


def replaced(confirmation: Confirmation) -> str:
    """Which trials the ``files`` no longer speak of once they are written; empty if of all.

    To be asked before. No run is lost: the journal has them all.
    """
    path = files(confirmation.plan)[0]
    try:
        before = [int(trial) for trial in pd.read_csv(path)["trial"]]
    except (OSError, ValueError, KeyError):
        return ""  # there is none, or it is not ours to judge
    gone = [str(t) for t in before if t not in {row.trial for row in confirmation.rows}]
    if not gone:
        return ""
    trials, are = ("trial", "is") if len(gone) == 1 else ("trials", "are")
    return (
        f"{path.name} was of other trials too; {trials} {', '.join(gone)} {are} no longer in it. "
        "No run is lost: the command that wrote it writes it again without training."
    )


def opened(plan: ConfirmPlan, openings: Sequence[Opening]) -> str:
    """How often the study's test images have been opened in all; empty on validation images."""
    if plan.on != "test" or not openings:
        return ""
    n = n_configs(openings)
    data = environment_then(plan.study, plan.entrants[0]).get("data", {}).get("name")
    elsewhere = said_outside(plan.paths.root.parent, data)
    return (
        f"The test images of this study have been opened {said(openings)}, for {n} "
        f"{'config' if n == 1 else 'configs'}; each time they have a little less to say."
        + (f" {elsewhere}" if elsewhere else "")
    )


def _how(plan: ConfirmPlan) -> str:
    seeds = ", ".join(map(str, plan.seeds))
    split = ", each with its own validation split" if plan.new_split else ""
    race = "the race gives no more seeds to who is beaten" if plan.race else "every config gets all"
    better = "higher" if plan.objective.sign > 0 else "lower"
    unit = "percentage points" if is_share(plan.objective.metric) else "its unit"
    return (
        f"`{plan.objective.metric}`, {better} is better. Seeds {seeds}{split}; {race}. ± is one "
        f"standard error; sd is the standard deviation between seeds; gains are over the baseline "
        f"at the same seeds, in {unit}, positive where better. The first's own interval is wider "
        "than a single mean's: it allows for its having been picked by its mean. A gain's interval "
        "is for that row alone; the conclusion and `p_gain` allow for the number of rows."
    )


def _new_images(confirmation: Confirmation) -> str:
    """What the intervals cover; empty where it is not about images, or each seed had its own."""
    first, plan = confirmation.first, confirmation.plan
    if first is None or first.new is None:
        return ""
    told = (
        f"Intervals allow for other seeds on these {plan.on} images. Those for new images allow "
        "for other images from the same source too"
    )
    if _of_new_images(confirmation):
        return f"{told}, by which image each seed got right."
    return (
        f"{told}; there is none for gains, since these runs did not store which image they got "
        "right."
    )


def _standing(confirmation: Confirmation, row: Row) -> str:
    words = str(row.status)
    if row.status is Status.BEATEN:
        words = f"beaten after {confirmation.beaten[row.trial]}"
    if row.failures and row.status is not Status.FAILED:
        words += f", {len(row.failures)} failed"
    return f"baseline, {words}" if row.baseline else words


def _seeds(row: Row) -> str:
    return f"{len(row.scores)}" + (f" ({len(row.failures)} failed)" if row.failures else "")


def _gain_span(metric: str, gain: Gain | None) -> str:
    return "" if gain is None else gain_span(metric, gain.estimate.interval)


def _width(metric: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{100 * value:.2f}" if is_share(metric) else f"{value:.2g}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
