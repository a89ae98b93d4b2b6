"""Ranks the complete trials of a study, lists the others with their reasons, and writes both."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd

from besom.equality import is_real
from besom.errors import ConfigError, did_you_mean
from besom.report.leaderboard_columns import columns_for, display, hyperparameters, make_frame
from besom.report.tables import (
    counts_text,
    csv,
    markdown,
    over_baseline,
    short_names,
    shown_outcome,
    shown_params,
)
from besom.statistics import Claim, pareto_front, ranks
from besom.store.paths import StudyPaths, write_atomically
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.text.counting import counted
from besom.text.printable import markdown_cell, markdown_line
from besom.text.values import value_text


def ranking(study: StudyRecord, claimed: Claim | None = None) -> pd.DataFrame:
    """One row per complete trial, best first; equal values share a rank.

    Columns: rank, trial, the objectives, gain (over the baseline, positive is better; absent where
    the baseline did not complete), with ``claimed`` also standard_error, tied (with the first, at
    95 %) and corrected (the first row's score, corrected for selection), then best_epoch, epochs,
    parameters, what it cost (seconds, cpu_seconds and, where a GPU was used, gpu_seconds, see
    ``besom.report.costs``), a column for each sampled hyperparameter by its dotted path, and note.
    ``besom.report.leaderboard_columns`` says what each is.

    With several objectives each has METRIC_error and tied_by_METRIC in place of standard_error and
    tied, and the rank is that of the Pareto front: 1 is beaten by no other trial, 2 only by those
    of rank 1, and so on.
    """
    trials = study.complete
    if len(study.objectives) > 1:
        rank_of = _fronts(study)
    elif claimed is not None and claimed.rows:
        rank_of = {number: row.rank for number, row in claimed.rows.items()}
    else:
        rank_of = _ranks(study)
    order = sorted(trials, key=lambda t: (rank_of[t.number], _by_first(study, t), t.number))
    columns = columns_for(study, claimed, rank_of)
    return make_frame(columns if order else columns[: 2 + len(study.objectives)], order)


def unranked(study: StudyRecord) -> pd.DataFrame:
    """One row per trial that is not ranked: trial, outcome, reason, epochs, seconds, params."""
    rows = [
        {
            "trial": t.number,
            "outcome": shown_outcome(t),
            "reason": t.reason,
            "epochs": t.epochs,
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
    short = {leaf: path for path, leaf in short_names(list(frame.columns)).items()}
    column = short.get(column, column)
    if column not in frame.columns:
        raise ConfigError(
            f"--sort {column!r}: the leaderboard has no such column."
            + did_you_mean(column, [str(c) for c in frame.columns])
        )
    key = frame[column]
    if key.dtype == object:  # numbers, then everything else by its text, what does not apply last
        order = key.map(_place).sort_values(kind="stable").index
        return frame.loc[order]
    return frame.loc[key.sort_values(kind="stable").index]


def _place(value: Any) -> tuple[int, float, str]:
    if _is_nan(value):
        return 2, 0.0, ""
    return (0, float(value), "") if is_real(value) else (1, 0.0, value_text(value))


def write_leaderboard(study: StudyRecord, paths: StudyPaths, claimed: Claim | None = None) -> None:
    """Write ``leaderboard.csv`` and ``leaderboard.md``, each in one atomic step."""
    frame = ranking(study, claimed)
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
    out = io.StringIO()
    out.write(f"# {markdown_cell(study.name)}\n\n{markdown_line(headline(study))}\n\n")
    if claimed is not None:
        out.write(f"{markdown_line(claimed.text)}\n\n")
        out.writelines(f"- {markdown_line(caveat)}\n" for caveat in claimed.caveats)
        out.write("\n" if claimed.caveats else "")
    out.write(f"{markdown_line(_ranked_by(study))}\n\n")
    out.write(markdown(display(frame)) if len(frame) else "")
    rest = unranked(study)
    if len(rest):
        out.write("\n\n## Not ranked\n\n")
        out.write(markdown(rest))
    out.write("\n")
    return out.getvalue()


def headline(study: StudyRecord, ranked: pd.DataFrame | None = None) -> str:
    """One line: who leads, by how much over the baseline, and how the others ended.

    Args:
        study: the study.
        ranked: its ``ranking``, in order, where it has been made already.
    """
    tail = counts_text(study)
    frame = ranking(study) if ranked is None else ranked
    if frame.empty:
        return f"{study.name}: no trial has completed ({tail or 'none has ended'})."
    if len(study.objectives) > 1:
        front = int((frame["rank"] == 1).sum())
        return f"{study.name}: {counted(front, 'trial')} on the Pareto front ({tail})."
    objective, first = study.objective, frame.iloc[0]
    n_first = int((frame["rank"] == 1).sum())
    lead = f"and {n_first - 1} more lead" if n_first > 1 else "leads"
    text = f"{study.name}: trial {first['trial']} {lead} with {objective.metric} "
    text += objective.text(first[objective.metric])
    if study.baseline is not None and study.baseline.number == first["trial"]:
        text += ", and is the baseline itself"
    elif "gain" in frame:
        text += f", {over_baseline(objective, first['gain'])} before any correction"
    return f"{text} ({tail})."


def _ranked_by(study: StudyRecord) -> str:
    parts = [
        f"`{o.metric}` ({'higher' if o.sign > 0 else 'lower'} is better, {o.epoch} epoch)"
        for o in study.objectives
    ]
    how = "Ranked by Pareto front over" if len(parts) > 1 else "Ranked by"
    return f"{how} {' and '.join(parts)}."


def _by_first(study: StudyRecord, trial: TrialRecord) -> float:
    assert trial.value is not None
    return -study.objective.sign * trial.value


def _ranks(study: StudyRecord) -> dict[int, int]:
    trials = study.complete
    ranked = ranks([t.value or 0.0 for t in trials], study.objective.direction)
    return {t.number: rank for t, rank in zip(trials, ranked, strict=True)}


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
