"""``besom list``: one line per study under a results folder.

It loads neither pandas nor SciPy where the leaderboards are as they were written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from besom.errors import BesomError
from besom.report.tables import WIDE, counts_text
from besom.store.paths import StudyPaths, study_names
from besom.store.records import StudyRecord
from besom.store.storage import load_record
from besom.text.console import rich_table, say

#: What ``list`` shows of a study. ``best`` comes with its standard error.
_LISTED = ("study", "trials", "objective", "best", "corrected", "tied", "gain", "trial")
#: The same on a narrow terminal, where ``trials`` is "complete of all".
_LISTED_NARROW = ("study", "trials", "objective", "best", "corrected", "trial")


def print_studies(results_dir: Path, console: Console) -> None:
    """Print every study with its trials and its best; a damaged one with what is wrong with it."""
    names = study_names(results_dir)
    if not names:
        nothing = f"There is no study under {results_dir}. `besom sweep quickstart` makes one."
        say(console, nothing, wrap=True)
        return
    columns = _LISTED if console.width >= WIDE else _LISTED_NARROW
    rows = [_row(results_dir, name, columns, console.width < WIDE) for name in names]
    title = f"Studies under {results_dir}"
    console.print(rich_table(columns, rows, title, wrapped=("study", "trials")))
    say(
        console,
        "best is raw: the best of many looks better than it is. corrected and gain are what is "
        "left once that luck is taken out; where corrected is empty, gain is raw.",
        wrap=True,
    )


def _row(results_dir: Path, name: str, columns: Sequence[str], is_narrow: bool) -> list[str]:
    try:
        study = load_record(results_dir, name)
        cells = _cells(study, StudyPaths.of(results_dir, name))
    except BesomError as error:
        return [name, str(error)]
    if is_narrow:
        cells["trials"] = f"{len(study.complete)} of {len(study.trials)}"
    return [name, *(cells.get(column, "") for column in columns[1:])]


class _First(NamedTuple):
    """The first trial of a study; None for what cannot be said of it."""

    trial: int
    standard_error: float | None = None
    corrected: float | None = None
    n_tied: int | None = None
    gain: float | None = None


def _cells(study: StudyRecord, paths: StudyPaths) -> dict[str, str]:
    """The cells by their heading; with several objectives there is no best."""
    cells = {
        "trials": counts_text(study),
        "objective": "\n".join(objective.metric for objective in study.objectives),
    }
    if not study.complete:
        return cells
    if len(study.objectives) > 1:
        from besom.report.leaderboard import ranking

        return cells | {"best": f"{int((ranking(study)['rank'] == 1).sum())} on the front"}
    first = _as_written(study, paths.claim) or _as_claimed(study)
    aim = study.objective
    trial = next(t for t in study.complete if t.number == first.trial)
    assert trial.value is not None
    cells |= {"best": aim.text(trial.value), "trial": str(first.trial)}
    if first.standard_error is not None:
        error = first.standard_error
        cells["best"] += f" ± {aim.text(error) if aim.is_share else f'{error:.2g}'}"
    if first.corrected is not None:
        cells["corrected"] = aim.text(first.corrected)
    if first.n_tied is not None:
        cells["tied"] = str(first.n_tied)
    if study.baseline is not None and study.baseline.value is not None:
        raw = aim.sign * (trial.value - study.baseline.value)
        cells["gain"] = aim.gain_text(raw if first.gain is None else first.gain)
    return cells


def _as_claimed(study: StudyRecord) -> _First:
    from besom.statistics import claim

    claimed = claim(study)
    assert claimed.leader is not None
    row = claimed.rows[claimed.leader]
    tied = None if claimed.corrected is None else len(claimed.tied)
    gain = None if claimed.baseline is None else claimed.baseline.gain
    return _First(claimed.leader, row.standard_error, claimed.corrected, tied, gain)


def _as_written(study: StudyRecord, path: Path) -> _First | None:
    """The same from the file that was written with the leaderboard, in a hundredth of the time.

    None if it is not there, or not of the trials and replicates that the study has now.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        values = {int(number): tuple(row) for number, row in known["values"].items()}
        if known["n_replicates"] != len(study.replicates):
            return None
        corrected = known["corrected"]
        n_tied = None if corrected is None else len(known["tied"])
        gain = known["gain"]
        first = _First(int(known["leader"]), known["raw_error"], corrected, n_tied, gain)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return first if values == {t.number: t.values for t in study.complete} else None
