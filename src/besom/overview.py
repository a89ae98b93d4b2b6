"""Studies on the terminal: one in full, or a line for each under a results folder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console

from besom.errors import BesomError
from besom.layout import StudyPaths
from besom.leaderboard import headline, outcome_counts, ranking, unranked
from besom.records import StudyRecord
from besom.screen import say
from besom.statistics import Claim, claim
from besom.study.storage import load_record, study_names
from besom.tables import format_gain, format_value, print_ranking, rich_table

#: What ``list`` shows of a study. ``best`` comes with its standard error.
_LISTED = ("study", "trials", "objective", "best", "corrected", "tied", "gain", "trial")
#: The same on a narrow terminal, where ``trials`` is "complete of all".
_LISTED_NARROW = ("study", "trials", "objective", "best", "corrected", "trial")

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


def print_studies(results_dir: Path, console: Console) -> None:
    """Print every study with its trials and its best; a damaged one with what is wrong with it."""
    names = study_names(results_dir)
    if not names:
        nothing = f"There is no study under {results_dir}. `besom sweep quickstart` makes one."
        say(console, nothing, wrap=True)
        return
    columns = _LISTED if console.width >= WIDE else _LISTED_NARROW
    rows = []
    for name in names:
        try:
            study = load_record(results_dir, name)
            cells = _listed(study, StudyPaths.of(results_dir, name))
        except BesomError as error:
            rows.append([name, str(error), *([""] * (len(columns) - 2))])
            continue
        if console.width < WIDE:
            cells["trials"] = f"{len(study.complete)} of {len(study.trials)}"
        rows.append([name, *(cells.get(column, "") for column in columns[1:])])
    frame = pd.DataFrame(rows, columns=columns)
    console.print(rich_table(frame, f"Studies under {results_dir}", wordy=("study", "trials")))
    say(
        console,
        "best and gain are raw: the best of many looks better than it is. corrected is what is "
        "left of best once that luck is taken out.",
        wrap=True,
    )


class _First(NamedTuple):
    """The first trial of a study; None for what cannot be said of it."""

    trial: int
    standard_error: float | None = None
    corrected: float | None = None
    n_tied: int | None = None


def _listed(study: StudyRecord, paths: StudyPaths) -> dict[str, str]:
    """The cells by their heading; nobody is best where there are several objectives."""
    counts = outcome_counts(study)
    cells = {
        "trials": ", ".join(f"{n} {outcome}" for outcome, n in counts.items()),
        "objective": "\n".join(objective.metric for objective in study.objectives),
    }
    if not study.complete:
        return cells
    if len(study.objectives) > 1:
        return cells | {"best": f"{int((ranking(study)['rank'] == 1).sum())} on the front"}
    first = _as_written(study, paths.leaderboard_csv) or _as_claimed(study)
    metric = study.objective.metric
    trial = next(t for t in study.complete if t.number == first.trial)
    assert trial.value is not None
    cells |= {"best": format_value(metric, trial.value), "trial": str(first.trial)}
    if first.standard_error is not None:
        cells["best"] += f" ± {format_value(metric, first.standard_error)}"
    if first.corrected is not None:
        cells["corrected"] = format_value(metric, first.corrected)
    if first.n_tied is not None:
        cells["tied"] = str(first.n_tied)
    if study.baseline is not None and study.baseline.value is not None:
        gain = study.objective.sign * (trial.value - study.baseline.value)
        cells["gain"] = format_gain(metric, gain)
    return cells


def _as_claimed(study: StudyRecord) -> _First:
    claimed = claim(study)
    assert claimed.leader is not None
    row = claimed.rows[claimed.leader]
    tied = None if claimed.corrected is None else len(claimed.tied)
    return _First(claimed.leader, row.standard_error, claimed.corrected, tied)


def _as_written(study: StudyRecord, path: Path) -> _First | None:
    """The same from the leaderboard's file, in a hundredth of the time.

    None if it is not there, or not of the trials that the study has now.
    """
    metric = study.objective.metric
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        written = {int(row["trial"]): float(row[metric]) for row in rows}
        (first,) = (row for row in rows if row["corrected"])
        error, corrected = float(first["standard_error"]), float(first["corrected"])
        n_tied = sum(row["tied"] == "True" for row in rows) - 1
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None
    if written != {t.number: t.value for t in study.complete}:
        return None
    return _First(int(first["trial"]), error, corrected, n_tied)
