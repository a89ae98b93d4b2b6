"""Ranks the complete trials of a study, lists the others with their reasons, and writes both.

What the columns are is said in ``columns_for``: a new column is one entry there, and nothing
elsewhere. A ranking carries its columns in ``DataFrame.attrs``, so that it may be sorted and cut.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from besom.equality import is_real
from besom.errors import ConfigError, did_you_mean
from besom.report.claimed import claim_as_json
from besom.report.tables import (
    COSTS,
    cell,
    counts_text,
    csv,
    markdown,
    over_baseline,
    param_cell,
    short_names,
    shown_outcome,
    shown_params,
    trial_costs,
)
from besom.statistics import Claim, pareto_front, ranked
from besom.store.paths import StudyPaths, write_atomically
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.text.counting import counted, named
from besom.text.printable import markdown_cell, markdown_line
from besom.text.values import value_text

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
        LeaderboardColumn("trial", lambda t: study.shown(t.number), narrow_from=0),
    ]
    for index, objective in enumerate(study.objectives):
        value = _value_of(index)
        found.append(LeaderboardColumn(objective.metric, value, objective.text, narrow_from=0))
        if claimed is not None and objective.metric in claimed.each:
            found += _by_one(objective, claimed.each[objective.metric])
    if baseline is not None and single:
        over = baseline.value or 0.0
        gain = lambda t: aim.sign * (t.value - over) + 0.0  # noqa: E731
        found.append(LeaderboardColumn("gain", gain, aim.gain_text))
    if claimed is not None and claimed.rows:
        rows = claimed.rows
        error_text = "{:.4f}".format if aim.is_share else "{:.2g}".format
        for name, cell_of, text in (
            ("standard_error", lambda t: rows[t.number].standard_error, error_text),
            ("tied", lambda t: rows[t.number].tied, lambda tied: "tied" if tied else "no"),
        ):
            found.append(LeaderboardColumn(name, cell_of, text, needs_values=True, narrow_from=0))
    if any(t.runs for t in study.complete):
        text = "{:.4f}".format if aim.is_share else "{:.2g}".format
        found.append(LeaderboardColumn("spread", lambda t: t.spread, text, narrow_from=100))
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
    shown = shown_cells(frame)
    return pd.DataFrame(shown, index=frame.index).rename(columns=short_names(list(shown)))


def shown_cells(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The cells of a ranking for people, by the whole name of their column."""
    columns = [column for column in columns_of(frame) if not column.files_only]
    cells = [[c.shown(value) for value in frame[c.name].astype(object)] for c in columns]
    pairs = zip(columns, cells, strict=True)
    return {c.name: texts for c, texts in pairs if any(texts) or not c.needs_values}


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


def ranking(study: StudyRecord, claimed: Claim | None = None) -> pd.DataFrame:
    """One row per complete trial, best first; equal values share a rank.

    Columns: rank, trial, the objectives, gain (over the baseline, positive is better; absent where
    the baseline did not complete), with ``claimed`` also standard_error and tied (with the first,
    at 95 %), for trials of several runs spread (the standard deviation over the runs), then
    best_epoch, epochs, parameters, what it cost (seconds, cpu_seconds and, where a GPU was used,
    gpu_seconds, see ``besom.report.tables``), a column for each sampled hyperparameter by its
    dotted path, and note.
    ``besom.report.leaderboard`` says what each is.

    With several objectives each has METRIC_error and tied_by_METRIC in place of standard_error and
    tied, and the rank is that of the Pareto front: 1 is beaten by no other trial, 2 only by those
    of rank 1, and so on.
    """
    rank_of, order = in_order(study)
    columns = columns_for(study, claimed, rank_of)
    return make_frame(columns if order else columns[: 2 + len(study.objectives)], order)


def in_order(study: StudyRecord) -> tuple[dict[int, int], list[TrialRecord]]:
    """The rank of each complete trial by its number, and these trials, best first."""
    if len(study.objectives) > 1:
        rank_of, sign = _fronts(study), study.objective.sign
        return rank_of, sorted(
            study.complete, key=lambda t: (rank_of[t.number], -sign * (t.value or 0.0), t.number)
        )
    found = ranked(study)
    return {trial.number: rank for rank, trial in found}, [trial for _, trial in found]


def unranked(study: StudyRecord) -> pd.DataFrame:
    """One row per trial that is not ranked: trial, outcome, reason, epochs, seconds, params."""
    rows = [
        {
            "trial": study.shown(t.number),
            "outcome": shown_outcome(t),
            "reason": t.reason,
            "epochs": t.epochs_run,
            "seconds": round(t.seconds, 3),
            "hyperparameters": shown_params(t.params),
        }
        for t in study.trials
        if t.outcome is not Outcome.COMPLETE
    ]
    columns = ["trial", "outcome", "reason", "epochs", "seconds", "hyperparameters"]
    return pd.DataFrame(rows, columns=columns)


def sort_by(frame: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """Sort a ranking by one of its columns, largest last; None leaves it by rank.

    Raises:
        ConfigError: no such column (near names listed).
    """
    if column is None:
        return frame
    column = column_named(frame, column, "--sort")
    key = frame[column]
    if key.dtype == object:  # numbers, then everything else by its text, what does not apply last
        order = key.map(_place).sort_values(kind="stable").index
        return frame.loc[order]
    return frame.loc[key.sort_values(kind="stable").index]


def column_named(frame: pd.DataFrame, name: str, option: str) -> str:
    """The column of a ranking that a user means, by its short name or its path.

    Raises:
        ConfigError: there is none (near names listed).
    """
    names = [str(column) for column in frame.columns]
    short = {leaf: path for path, leaf in short_names(names).items()}
    found = short.get(name, name)
    if found not in names:
        raise ConfigError(
            f"{option} {name!r}: the leaderboard has no such column."
            + did_you_mean(name, [*names, *short])
        )
    return found


def _place(value: Any) -> tuple[int, float, str]:
    if _is_nan(value):
        return 2, 0.0, ""
    return (0, float(value), "") if is_real(value) else (1, 0.0, value_text(value))


def write_leaderboard(study: StudyRecord, paths: StudyPaths, claimed: Claim | None = None) -> None:
    """Write ``leaderboard.csv``, ``leaderboard.md`` and ``claim.json``, each in one atomic step."""
    frame = ranking(study, claimed)
    if claimed is not None:
        write_atomically(paths.claim, claim_as_json(study, claimed))
    write_atomically(paths.leaderboard_csv, to_csv(frame))
    write_atomically(paths.leaderboard_md, to_markdown(study, frame, claimed))


def to_csv(frame: pd.DataFrame) -> str:
    """The ranking as CSV: hyperparameters as ``besom.text.values.csv_value`` writes them."""
    return csv(frame, hyperparameters(frame))


def to_json(frame: pd.DataFrame) -> str:
    """The ranking as a JSON list of rows; one has no key for a hyperparameter it has not."""
    params = set(hyperparameters(frame))
    rows = [
        {
            str(key): None if value is None or _is_nan(value) else value
            for key, value in row.items()
            if key not in params or not _is_nan(value)
        }
        for row in frame.astype(object).to_dict(orient="records")
    ]
    return json.dumps(rows, indent=2, default=str)


def _is_nan(value: Any) -> bool:
    return value is pd.NA or (isinstance(value, float) and math.isnan(value))


def to_markdown(study: StudyRecord, frame: pd.DataFrame, claimed: Claim | None = None) -> str:
    """Both tables as Markdown, under what may be claimed and what is ranked."""
    claims = [] if claimed is None else [claimed.text]
    caveats = [] if claimed is None else [f"- {markdown_line(c)}" for c in claimed.caveats]
    parts = [
        f"# {markdown_cell(study.name)}",
        *(markdown_line(line) for line in (headline(study, frame, claimed), *claims)),
        "\n".join(caveats),
        markdown_line(_ranked_by(study)),
        markdown(display(frame)) if len(frame) else "",
    ]
    if len(rest := unranked(study)):
        parts += ["## Not ranked", markdown(rest)]
    return "\n\n".join(filter(None, parts)) + "\n"


def headline(
    study: StudyRecord, ranked: pd.DataFrame | None = None, claimed: Claim | None = None
) -> str:
    """One line: who leads, by how much over the baseline, and how the others ended.

    Args:
        study: the study.
        ranked: its ``ranking``, in order, where it has been made already.
        claimed: what may be claimed of it, where that is said beside this line: its gain is then
            the only one.
    """
    tail = counts_text(study)
    frame = ranking(study) if ranked is None else ranked
    if frame.empty:
        return f"{study.name}: no trial has completed ({tail or 'none has ended'})."
    if len(study.objectives) > 1:
        front = int((frame["rank"] == 1).sum())
        return f"{study.name}: {counted(front, 'trial')} on the Pareto front ({tail})."
    objective, first = study.objective, frame[frame["rank"] == 1]
    best = objective.text(first[objective.metric].iloc[0])
    text = f"{study.name}: best {objective.metric} {best} ({named('trial', list(first['trial']))}"
    if study.baseline is not None and study.shown(study.baseline.number) in set(first["trial"]):
        text += ", the baseline included" if len(first) > 1 else ", the baseline itself"
    elif "gain" in frame and (claimed is None or claimed.baseline is None):
        text += f", {over_baseline(objective, first['gain'].iloc[0])} before any correction"
    return f"{text}); {tail}."


def _ranked_by(study: StudyRecord) -> str:
    parts = [
        f"`{o.metric}` ({'higher' if o.sign > 0 else 'lower'} is better, {o.epoch} epoch)"
        for o in study.objectives
    ]
    how = "Ranked by Pareto front over" if len(parts) > 1 else "Ranked by"
    return f"{how} {' and '.join(parts)}."


def _fronts(study: StudyRecord) -> dict[int, int]:
    """Successive Pareto fronts (Goldberg 1989): the front, then that of the rest, and so on."""
    left = study.complete
    directions = [o.direction for o in study.objectives]
    found: dict[int, int] = {}
    rank = 0
    while left:
        rank += 1
        front = pareto_front(np.array([t.values for t in left], dtype=float), directions)
        found |= {t.number: rank for t, on in zip(left, front, strict=True) if on}
        left = [t for t, on in zip(left, front, strict=True) if not on]
    return found
