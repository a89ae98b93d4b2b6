"""Studies on the terminal: one in full, or a line for each under a results folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from besom.errors import BesomError
from besom.leaderboard import headline, outcome_counts, ranking, unranked
from besom.records import StudyRecord
from besom.statistics import Claim
from besom.study.storage import load_record, study_names
from besom.tables import format_gain, format_value, print_ranking, rich_table

#: A terminal shows no more rows than this.
MOST_ROWS = 100
#: On a terminal narrower than this, the trials that are not ranked are shown without their params.
WIDE = 120


def print_study(
    study: StudyRecord,
    frame: pd.DataFrame,
    claimed: Claim,
    console: Console,
    top: int | None = None,
) -> None:
    """Print what may be claimed, the ranking, and the trials that are not in it."""
    console.print(headline(study), markup=False, highlight=False)
    console.print(claimed.text, markup=False, highlight=False)
    for caveat in claimed.caveats:
        console.print(f"  {caveat}", markup=False, highlight=False)
    if len(frame):
        print_ranking(frame.head(MOST_ROWS), study, console)
    if len(frame) > MOST_ROWS:
        console.print(
            f"{len(frame) - MOST_ROWS} more rows are in the leaderboard's files, and in "
            "--format csv, md and json.",
            highlight=False,
        )
    rest = unranked(study)
    if len(rest):
        if console.width < WIDE:
            rest = rest.drop(columns=["hyperparameters", "seconds"])
        shown = rest.head(MOST_ROWS if top is None else min(top, MOST_ROWS))
        left = f", {len(rest) - len(shown)} more" if len(shown) < len(rest) else ""
        console.print(rich_table(shown, title=f"Not ranked{left}"))


def print_studies(results_dir: Path, console: Console) -> None:
    """Print every study with its trials and its best; a damaged one with what is wrong with it."""
    names = study_names(results_dir)
    if not names:
        console.print(
            f"There is no study under {results_dir}. `besom sweep quickstart` makes one.",
            highlight=False,
        )
        return
    table = Table(title=f"Studies under {results_dir}", title_justify="left", header_style="bold")
    for column in ("study", "trials", "objective", "best", "gain", "trial"):
        table.add_column(column, justify="left" if column in ("study", "trials") else "right")
    for name in names:
        try:
            study = load_record(results_dir, name)
        except BesomError as error:
            table.add_row(name, str(error), "", "", "", "")
            continue
        counts = ", ".join(f"{n} {outcome}" for outcome, n in outcome_counts(study).items())
        frame, metric = ranking(study), study.objective.metric
        if frame.empty:
            table.add_row(name, counts, metric, "", "", "")
            continue
        first = frame.iloc[0]
        gain = format_gain(metric, first["gain"]) if "gain" in frame else ""
        best = format_value(metric, first[metric])
        table.add_row(name, counts, metric, best, gain, str(first["trial"]))
    console.print(table)
