"""Ranks the complete trials of a study, lists the others with their reasons, and writes both."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from besom.errors import ConfigError, did_you_mean
from besom.layout import StudyPaths, write_atomically
from besom.records import Outcome, StudyRecord, TrialRecord

#: What ``leaderboard`` can print.
FORMATS = ("table", "csv", "md", "json")


def ranking(study: StudyRecord) -> pd.DataFrame:
    """One row a complete trial, best first; equal values share a rank.

    Columns: rank, trial, the objective, gain (over the baseline, positive is better; absent where
    the baseline did not complete), best_epoch, epochs, parameters, seconds, then a column for each
    sampled hyperparameter by its dotted path. Trial 0, the baseline, is marked in ``note``.
    """
    objective = study.objective
    trials = sorted(study.complete, key=lambda t: (-objective.sign * _value(t), t.number))
    baseline = study.baseline
    paths = _param_paths(trials)
    rows = []
    for trial in trials:
        value = _value(trial)
        row: dict[str, Any] = {"trial": trial.number, objective.metric: value}
        if baseline is not None:
            row["gain"] = objective.sign * (value - _value(baseline))
        row |= {
            "best_epoch": trial.best_epoch,
            "epochs": trial.epochs,
            "parameters": trial.numbers.get("n_params"),
            "seconds": round(trial.seconds, 3),
        }
        row |= {path: trial.params.get(path) for path in paths}
        row["note"] = "baseline" if trial.baseline else ""
        rows.append(row)
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", objective.metric])
    for column in ("best_epoch", "parameters"):
        if column in frame:
            frame[column] = frame[column].astype("Int64")
    values = frame[objective.metric].astype(float) * -objective.sign
    frame.insert(0, "rank", values.rank(method="min").astype(int))
    return frame


def unranked(study: StudyRecord) -> pd.DataFrame:
    """One row a trial that is not ranked: trial, outcome, reason, epochs, seconds, params."""
    rows = [
        {
            "trial": t.number,
            "outcome": str(t.outcome),
            "reason": t.reason,
            "epochs": t.epochs,
            "seconds": round(t.seconds, 3),
            "hyperparameters": _shown_params(t),
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
    if column not in frame.columns:
        raise ConfigError(
            f"--sort {column!r}: the leaderboard has no such column."
            + did_you_mean(column, [str(c) for c in frame.columns])
        )
    key = frame[column]
    if key.map(lambda v: isinstance(v, list | dict)).any():
        key = key.map(str)
    return frame.loc[key.sort_values(kind="stable").index]


def write_leaderboard(study: StudyRecord, paths: StudyPaths) -> None:
    """Write ``leaderboard.csv`` and ``leaderboard.md``, each in one atomic step."""
    frame = ranking(study)
    write_atomically(paths.leaderboard_csv, to_csv(frame))
    write_atomically(paths.leaderboard_md, to_markdown(study, frame))


def to_csv(frame: pd.DataFrame) -> str:
    """The ranking as CSV; lists and mappings as JSON."""
    return str(_plain_cells(frame).to_csv(index=False))


def to_json(frame: pd.DataFrame) -> str:
    """The ranking as a JSON list of rows."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return json.dumps(rows, indent=2, default=str)


def to_markdown(study: StudyRecord, frame: pd.DataFrame) -> str:
    """Both tables as Markdown, under one line that says what is ranked."""
    objective = study.objective
    better = "higher" if objective.sign > 0 else "lower"
    out = io.StringIO()
    out.write(f"# {study.name}\n\n{headline(study)}\n\n")
    out.write(f"Ranked by `{objective.metric}` ({better} is better, {objective.epoch} epoch).\n\n")
    out.write((_display(frame, study).to_markdown(index=False) or "") if len(frame) else "")
    rest = unranked(study)
    if len(rest):
        out.write("\n\n## Not ranked\n\n")
        out.write(rest.to_markdown(index=False) or "")
    out.write("\n")
    return out.getvalue()


def print_tables(study: StudyRecord, frame: pd.DataFrame, console: Console) -> None:
    """Both tables on the terminal."""
    console.print(headline(study))
    if len(frame):
        console.print(_rich(_display(frame, study), title=f"Leaderboard of {study.name}"))
    rest = unranked(study)
    if len(rest):
        console.print(_rich(rest, title="Not ranked"))


def headline(study: StudyRecord) -> str:
    """One sentence: who leads, by how much over the baseline, and what became of the others."""
    counts = outcome_counts(study)
    tail = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    frame = ranking(study)
    if frame.empty:
        return f"{study.name}: no trial has completed ({tail or 'none has ended'})."
    objective, first = study.objective, frame.iloc[0]
    text = f"{study.name}: trial {first['trial']} leads with {objective.metric} "
    text += format_value(objective.metric, first[objective.metric])
    if "gain" in frame:
        text += f", {first['gain']:+.4g} over the baseline"
    return f"{text} ({tail})."


def outcome_counts(study: StudyRecord) -> dict[str, int]:
    """How many trials ended in which way, in the order of ``Outcome``; absent ones left out."""
    counted = {str(o): sum(t.outcome is o for t in study.trials) for o in Outcome}
    return {outcome: n for outcome, n in counted.items() if n}


def format_value(metric: str, value: float) -> str:
    """A value for people: accuracies with four decimals, all else with five digits."""
    return f"{value:.4f}" if "accuracy" in metric else f"{value:.5g}"


def _value(trial: TrialRecord) -> float:
    assert trial.value is not None
    return trial.value


def _param_paths(trials: Sequence[TrialRecord]) -> list[str]:
    return list(dict.fromkeys(path for trial in trials for path in trial.params))


def _shown_params(trial: TrialRecord) -> str:
    return ", ".join(f"{path}={_cell(value)}" for path, value in trial.params.items())


def _display(frame: pd.DataFrame, study: StudyRecord) -> pd.DataFrame:
    """The ranking for people: rounded, short headings, no empty cells."""
    shown = frame.copy()
    metric = study.objective.metric
    shown[metric] = [format_value(metric, v) for v in frame[metric]]
    if "gain" in shown:
        shown["gain"] = [
            f"{v:+.4f}" if "accuracy" in metric else f"{v:+.4g}" for v in shown["gain"]
        ]
    shown["seconds"] = [f"{v:.1f}" for v in frame["seconds"]]
    for column in shown.columns[shown.columns.get_loc("seconds") + 1 :]:  # type: ignore[operator]
        shown[column] = [_cell(v) for v in frame[column]]
    if not shown["note"].any():
        shown = shown.drop(columns="note")
    return shown.rename(columns=_short_names(frame.columns))


def _short_names(columns: Sequence[Any]) -> dict[str, str]:
    """``optimizer.learning_rate`` as ``learning_rate``, unless two would be the same."""
    leaves = [str(c).rpartition(".")[2] for c in columns]
    return {
        str(c): leaf for c, leaf in zip(columns, leaves, strict=True) if leaves.count(leaf) == 1
    }


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(_cell(v) for v in value) or "[]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return "" if value is None or value is pd.NA else str(value)


def _plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(lambda v: json.dumps(v) if isinstance(v, list | dict) else v)


def _rich(frame: pd.DataFrame, title: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in frame.columns:
        numeric = column not in ("reason", "outcome", "hyperparameters", "note")
        table.add_column(str(column), justify="right" if numeric else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(v) for v in row))
    return table
