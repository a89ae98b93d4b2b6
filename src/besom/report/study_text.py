"""One study on the terminal, in full."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from rich.console import Console
from rich.table import Table

from besom.report.leaderboard import columns_of, display, headline, hyperparameters, unranked
from besom.report.tables import WIDE, frame_table, shown_params
from besom.statistics import Claim
from besom.store.records import StudyRecord
from besom.text.console import say

#: A terminal shows no more rows than this.
MOST_ROWS = 100


def print_study(
    study: StudyRecord,
    frame: pd.DataFrame,
    claimed: Claim,
    console: Console,
    top: int | None = None,
) -> None:
    """Print what may be claimed, the ranking, and the trials that are not in it."""
    say(console, headline(study), wrap=True)
    say(console, claimed.text, wrap=True)
    for caveat in claimed.caveats:
        say(console, f"  {caveat}", wrap=True)
    if len(frame):
        print_ranking(frame.head(MOST_ROWS), study, console)
    if len(frame) > MOST_ROWS:
        more = f"{len(frame) - MOST_ROWS} more rows are in the leaderboard's files, and in "
        say(console, more + "--format csv, md and json.", wrap=True)
    rest = unranked(study)
    if len(rest):
        if console.width < WIDE:
            rest = rest.drop(columns=["hyperparameters", "seconds"])
        shown = rest.head(MOST_ROWS if top is None else min(top, MOST_ROWS))
        left = f", {len(rest) - len(shown)} more" if len(shown) < len(rest) else ""
        console.print(frame_table(shown, title=f"Not ranked{left}"))


def print_ranking(frame: pd.DataFrame, study: StudyRecord, console: Console) -> None:
    """A ranking on the terminal; on a narrow one the hyperparameters share a column."""
    title = f"Leaderboard of {study.name}"
    table = frame_table(display(frame), title)
    if _natural_width(table, console) > console.width:
        errors = {study.objective.metric: "standard_error"}
        if len(study.objectives) > 1:
            errors = {o.metric: f"{o.metric}_error" for o in study.objectives}
        table = frame_table(_narrow(frame, errors, console.width), title)
    console.print(table)


def _natural_width(table: Table, console: Console) -> int:
    unlimited = console.options.update(max_width=10_000)
    return console.measure(table, options=unlimited).maximum


def _narrow(frame: pd.DataFrame, errors: Mapping[str, str], width: int) -> pd.DataFrame:
    """What fits: the error beside each score, the hyperparameters in one column.

    Args:
        frame: a ranking.
        errors: metric to the column with its error.
        width: of the terminal.
    """
    paths = hyperparameters(frame)
    words = [
        shown_params({path: row[path] for path in paths})
        + (f" ({row['note']})" * bool(row["note"]))
        for _, row in frame.iterrows()
    ]
    own = [c for c in columns_of(frame) if c.narrow_from is not None and c.narrow_from <= width]
    shown = display(frame[[column.name for column in own]])
    for metric, column in errors.items():
        if column in shown:
            scores = zip(shown[metric], shown.pop(column), strict=True)
            shown[metric] = [f"{score} ± {error}" if error else score for score, error in scores]
    return shown.assign(hyperparameters=words)
