"""The leaderboard as the page's script reads it, and its first rows as plain HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from besom.page.page_table import are_numbers
from besom.report.leaderboard import shown_cells
from besom.report.tables import short_names, shown_outcome, shown_params
from besom.store.records import Outcome, StudyRecord

#: Rows that stand in the page itself, for readers without scripts.
STATIC_ROWS = 100
#: Columns that stand behind the hyperparameters.
_ASIDE = ("spread", "best_epoch", "epochs", "parameters", "seconds")
#: Above this many trials, only failed ones say why they are not ranked.
MOST_REASONS = 2000


@dataclass(frozen=True)
class TableColumn:
    """One column of the page's leaderboard.

    Attributes:
        label: its short heading; ``title`` is the whole one.
        numeric: whether its cells are numbers, perhaps with a unit after them.
        shown: whether it is visible at first: constant columns are not.
        aside: whether it stands at the end, and paper leaves it out.
        texts: its cells, best trial first.
    """

    label: str
    title: str
    numeric: bool
    shown: bool
    aside: bool
    texts: list[str]


@dataclass(frozen=True)
class TrialTable:
    """The ranking: its columns, and each row's trial."""

    columns: list[TableColumn]
    trials: list[int]

    def for_script(self) -> dict[str, Any]:
        """What the page's script needs to sort, filter and show it."""
        return {"trials": self.trials, "columns": [vars(column) for column in self.columns]}

    def rows(self) -> list[tuple[int, list[str]]]:
        """The first rows: each trial with its cells."""
        first = self.trials[:STATIC_ROWS]
        return [(trial, [c.texts[i] for c in self.columns]) for i, trial in enumerate(first)]


def trial_table(frame: pd.DataFrame) -> TrialTable:
    """Read a ranking of ``besom.report.leaderboard``."""
    if frame.empty:
        return TrialTable([], [])
    cells = shown_cells(frame)
    short = short_names(list(cells))
    columns: list[TableColumn] = []
    for title, texts in cells.items():
        constant = len(columns) > 1 and len(texts) > 1 and len(set(texts)) == 1
        numeric = are_numbers(texts)
        aside = title in _ASIDE
        columns.append(TableColumn(short[title], title, numeric, not constant, aside, texts))
    # What was tried is looked for sooner than what it cost.
    columns.sort(key=lambda column: column.aside)
    return TrialTable(columns, [int(trial) for trial in frame["trial"]])


def unranked_for_script(study: StudyRecord) -> dict[str, list[Any]]:
    """Why trials are not ranked, for what the page says when one is pointed at."""
    few = len(study.trials) <= MOST_REASONS
    rest = [t for t in study.trials if t.outcome is not Outcome.COMPLETE]
    told = [t for t in rest if few or t.outcome.failed]
    return {
        "trials": [t.number for t in told],
        "outcomes": [shown_outcome(t).replace("_", " ") for t in told],
        "reasons": [t.reason[:200] for t in told],
        "params": [shown_params(t.params)[:200] if few else "" for t in told],
    }
