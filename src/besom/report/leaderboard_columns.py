"""What the columns of a leaderboard are. A new column is one entry here, and nothing elsewhere.

A ranking carries its columns in ``DataFrame.attrs``, so that it may be sorted and cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

from besom.report.costs import trial_costs
from besom.report.tables import COSTS, cell, param_cell, short_names
from besom.statistics import Claim
from besom.store.records import Objective, StudyRecord, TrialRecord

#: The key in ``DataFrame.attrs``.
_COLUMNS = "besom_columns"


@dataclass(frozen=True)
class LeaderboardColumn:
    """One column of a leaderboard.

    Attributes:
        name: its heading in files; tables shorten dotted paths.
        value: a trial's cell, as files have it.
        text: a cell that is known, as people read it.
        is_param: whether it is a sampled hyperparameter: None is null, NaN does not apply.
        is_whole: whether its numbers are whole, also where some are not known.
        files_only: whether tables leave it out.
        needs_values: whether tables leave it out where all its cells are empty.
        narrow_from: the width of a narrow terminal from which it has a column of its own; None:
            never.
    """

    name: str
    value: Callable[[TrialRecord], Any]
    text: Callable[[Any], str] = cell
    is_param: bool = False
    is_whole: bool = False
    files_only: bool = False
    needs_values: bool = False
    narrow_from: int | None = None

    def __deepcopy__(self, memo: object) -> Self:
        return self  # pandas copies attrs with each frame

    def shown(self, value: Any) -> str:
        """A cell as people read it, empty where it is not known."""
        if self.is_param:
            return param_cell(value)
        return "" if value is None or value is pd.NA or value != value else self.text(value)


def columns_for(
    study: StudyRecord, claimed: Claim | None, rank_of: dict[int, int]
) -> list[LeaderboardColumn]:
    """The columns of a study's leaderboard, in their order.

    Args:
        study: what is ranked.
        claimed: what may be claimed of it, for the columns that say so.
        rank_of: the rank of each complete trial, by its number.
    """
    aim, baseline, single = study.objective, study.baseline, len(study.objectives) == 1
    found = [
        LeaderboardColumn("rank", lambda t: rank_of[t.number], narrow_from=0),
        LeaderboardColumn("trial", lambda t: t.number, narrow_from=0),
    ]
    for index, objective in enumerate(study.objectives):
        value = _value_of(index)
        found.append(LeaderboardColumn(objective.metric, value, objective.text, narrow_from=0))
        if claimed is not None and objective.metric in claimed.each:
            found += _by_one(objective, claimed.each[objective.metric])
    if baseline is not None and single:
        over = baseline.value or 0.0
        gain = lambda t: aim.sign * (t.value - over) + 0.0  # noqa: E731
        found.append(LeaderboardColumn("gain", gain, aim.gain_text, narrow_from=0))
    if claimed is not None and claimed.rows:
        rows, corrected = claimed.rows, {claimed.leader: claimed.corrected}
        error_text = "{:.4f}".format if aim.is_share else "{:.2g}".format
        found += [
            LeaderboardColumn(
                *("standard_error", lambda t: rows[t.number].standard_error, error_text),
                needs_values=True,
                narrow_from=0,
            ),
            LeaderboardColumn(
                *("tied", lambda t: rows[t.number].tied, lambda tied: "tied" if tied else "no"),
                needs_values=True,
                narrow_from=0,
            ),
            LeaderboardColumn(
                *("corrected", lambda t: corrected.get(t.number), aim.text),
                needs_values=True,
                narrow_from=100,
            ),
        ]
    found += [
        LeaderboardColumn("best_epoch", lambda t: t.best_epoch, is_whole=True),
        LeaderboardColumn("epochs", lambda t: t.epochs),
        LeaderboardColumn("parameters", lambda t: t.numbers.get("n_params"), is_whole=True),
    ]
    costs = {t.number: trial_costs(study, t) for t in study.complete}
    for name in COSTS:
        if name != "gpu_seconds" or any(cost[name] for cost in costs.values()):
            seconds = _cost_of(name, costs)
            found.append(
                LeaderboardColumn(name, seconds, "{:.1f}".format, files_only=name != COSTS[0])
            )
    # An objective may be a cost itself: it keeps its place and its exact value.
    by_name: dict[str, LeaderboardColumn] = {}
    for column in found:
        by_name.setdefault(column.name, column)
    for path in dict.fromkeys(path for trial in study.complete for path in trial.params):
        by_name[path] = LeaderboardColumn(path, _param_of(path), is_param=True)
    return [*by_name.values(), LeaderboardColumn("note", _note, needs_values=True)]


def _by_one(objective: Objective, claimed: Claim) -> list[LeaderboardColumn]:
    """Of one of several objectives: the error of its values, and who is tied with its best."""
    rows = claimed.rows
    return [
        LeaderboardColumn(
            f"{objective.metric}_error",
            lambda t: rows[t.number].standard_error,
            "{:.4f}".format if objective.is_share else "{:.2g}".format,
            needs_values=True,
            narrow_from=0,
        ),
        LeaderboardColumn(
            f"tied_by_{objective.metric}",
            lambda t: rows[t.number].tied,
            lambda tied: "tied" if tied else "no",
            needs_values=True,
        ),
    ]


def make_frame(columns: Sequence[LeaderboardColumn], trials: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row per trial, in this order; the frame knows its columns."""
    cells = {column.name: [column.value(trial) for trial in trials] for column in columns}
    frame = pd.DataFrame(cells)
    for column in columns:
        values = cells[column.name]
        if column.is_whole:
            frame[column.name] = frame[column.name].astype("Int64")
        elif column.is_param and len({type(value) for value in values}) > 1:
            # pandas would take null for what does not apply, and 3 for 3.0 beside it.
            frame[column.name] = pd.Series(values, dtype=object)
    frame.attrs[_COLUMNS] = tuple(columns)
    return frame


def columns_of(frame: pd.DataFrame) -> list[LeaderboardColumn]:
    """What the columns of a ranking are; none of another frame."""
    return [column for column in frame.attrs.get(_COLUMNS, ()) if column.name in frame]


def hyperparameters(frame: pd.DataFrame) -> list[str]:
    """The columns of a ranking that are hyperparameters."""
    return [column.name for column in columns_of(frame) if column.is_param]


def display(frame: pd.DataFrame) -> pd.DataFrame:
    """A ranking for people: rounded, short headings, no empty columns."""
    shown: dict[str, list[str]] = {}
    for column in columns_of(frame):
        cells = [column.shown(value) for value in frame[column.name].astype(object)]
        if not column.files_only and (any(cells) or not column.needs_values):
            shown[column.name] = cells
    return pd.DataFrame(shown, index=frame.index).rename(columns=short_names(list(shown)))


def _value_of(index: int) -> Callable[[TrialRecord], Any]:
    return lambda trial: None if trial.values is None else trial.values[index]


def _cost_of(name: str, costs: dict[int, dict[str, float]]) -> Callable[[TrialRecord], Any]:
    return lambda trial: costs[trial.number][name]


def _param_of(path: str) -> Callable[[TrialRecord], Any]:
    return lambda trial: trial.params.get(path, math.nan)


def _note(trial: TrialRecord) -> str:
    notes = [str(trial.origin)] if trial.origin != "sampled" else []
    if trial.continues is not None:
        notes = [f"continues trial {trial.continues}"]
    if trial.audited_at is not None:
        notes.append(f"audited: to be pruned at epoch {trial.audited_at}")
    return "; ".join(notes)
