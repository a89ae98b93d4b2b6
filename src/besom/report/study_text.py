"""One study on the terminal, in full."""

from __future__ import annotations

import pandas as pd
from rich.console import Console

from besom.report.leaderboard import headline, unranked
from besom.report.tables import WIDE, print_ranking, rich_table
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
        console.print(rich_table(shown, title=f"Not ranked{left}"))
