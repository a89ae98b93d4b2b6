"""One study on the terminal, in full."""

from __future__ import annotations

import pandas as pd
from rich.console import Console

from besom.report.fitted_ranking import fitted
from besom.report.leaderboard import headline, unranked
from besom.report.tables import WIDE, counts_text, frame_table
from besom.statistics import Claim
from besom.store.records import Outcome, StudyRecord
from besom.text.console import say
from besom.text.printable import command

#: A terminal shows no more rows than this, unless it is asked to.
MOST_ROWS = 100
#: Trials that failed, below a ranking of more rows.
MOST_FAILED = 5


def print_study(
    study: StudyRecord,
    frame: pd.DataFrame,
    claimed: Claim,
    console: Console,
    top: int | None = None,
    *,
    show_all: bool = False,
    chosen: bool = False,
) -> None:
    """Print what may be claimed, the ranking, and those of the other trials that failed.

    Args:
        study: the study.
        frame: its ranking.
        claimed: what may be claimed of it.
        console: where to.
        top: no table has more rows than this.
        show_all: print all rows, and every trial that is not ranked.
        chosen: the columns of ``frame`` were chosen: all of them are printed.
    """
    say(console, headline(study, claimed=claimed), wrap=True)
    say(console, claimed.text, wrap=True)
    for caveat in claimed.caveats:
        say(console, f"  {caveat}", wrap=True)
    most = len(study.trials) if show_all else MOST_ROWS
    if len(frame):
        print_ranking(frame.head(most), study, console, chosen=chosen)
    if len(frame) > most:
        more = f"{len(frame) - most} more rows: --all shows them; they are in the leaderboard's "
        say(console, more + "files, and in --format csv, md and json.", wrap=True)
    _print_unranked(study, console, most if top is None else min(top, most), len(frame), show_all)


def print_ranking(
    frame: pd.DataFrame, study: StudyRecord, console: Console, *, chosen: bool = False
) -> None:
    """A ranking on the terminal, and below it what has no column."""
    title = f"Leaderboard of {study.name}"
    found = fitted(frame, study, console.width, title, chosen)
    console.print(found.table)
    for remark in found.remarks:
        say(console, remark, wrap=True)


def _print_unranked(
    study: StudyRecord, console: Console, most: int, n_ranked: int, show_all: bool
) -> None:
    """The trials that are not ranked: those that failed, fewer than are ranked, or all."""
    rest = [t for t in study.trials if t.outcome is not Outcome.COMPLETE]
    shown = rest
    if not show_all and n_ranked:
        most = min(MOST_FAILED, max(n_ranked - 1, 1), most)
        shown = [t for t in rest if t.outcome.failed]
    table = unranked(study)
    table = table[table["trial"].isin([study.shown(t.number) for t in shown[:most]])]
    if console.width < WIDE or not show_all:
        table = table.drop(columns=["hyperparameters", "seconds"])
    if len(table):
        failed = "Failed" if len(shown) < len(rest) else "Not ranked"
        left = f", {len(table)} of {len(shown)}" if len(table) < len(shown) else ""
        console.print(frame_table(table, title=f"{failed}{left}"))
    if len(table) < len(rest):
        of = StudyRecord(study.name, study.objectives, tuple(rest))
        again = command("leaderboard", study.name, options="--all")
        say(console, f"Not ranked: {counts_text(of)}. `{again}` lists them.", wrap=True)
