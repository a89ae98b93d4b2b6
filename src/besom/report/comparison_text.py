"""A comparison of studies for people: on the terminal, and under ``results/compare/``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from besom.errors import StudyError
from besom.report.comparison import Comparison, aim_of
from besom.report.tables import csv, duration, format_gain, format_value, markdown, outcome_counts
from besom.store.paths import write_atomically
from besom.store.records import StudyRecord
from besom.text.counting import counted
from besom.text.printable import markdown_cell, markdown_line

#: The folder under ``results_dir``.
FOLDER = "compare"


def display(comparison: Comparison) -> pd.DataFrame:
    """The outcomes for people: one column a study, one row a thing known of any."""
    columns: dict[str, dict[str, str]] = {}
    frame = comparison.outcomes
    for study, (_, row) in zip(comparison.studies, frame.iterrows(), strict=True):
        columns[study.name] = _told(study, {k: v for k, v in row.items() if not pd.isna(v)})
    things = dict.fromkeys(thing for told in columns.values() for thing in told)
    rows = [
        {"": thing, **{name: told.get(thing, "-") for name, told in columns.items()}}
        for thing in things
    ]
    return pd.DataFrame(rows)


def _told(study: StudyRecord, row: Mapping[Any, Any]) -> dict[str, str]:
    metric = study.objective.metric
    told = {"objective": aim_of(study)}
    if "best" in row:
        told["best"] = f"{format_value(metric, row['best'])} (trial {row['trial']})"
    if "corrected" in row:
        low, high = (format_value(metric, row[end]) for end in ("low", "high"))
        told["corrected for selection"] = (
            f"{format_value(metric, row['corrected'])} ({low} to {high})"
        )
    if "front" in row:
        told["beaten by none of its own"] = counted(int(row["front"]), "trial")
    for objective in study.objectives:
        if (best := f"best {objective.metric}") in row:
            told[best] = format_value(objective.metric, row[best])
    if "baseline" in row:
        told["baseline"] = format_value(metric, row["baseline"])
    if "gain" in row:
        told["gain"] = format_gain(metric, row["gain"])
    if "at_equal_compute" in row:
        told["at equal compute"] = format_value(metric, row["at_equal_compute"])
    told["trials"] = ", ".join(f"{n} {outcome}" for outcome, n in outcome_counts(study).items())
    told["worker time"] = duration(row["worker_seconds"])
    told["CPU time"] = duration(row["cpu_seconds"])
    return told


def headline(comparison: Comparison) -> str:
    """One sentence: whose best is ahead, in all and at equal compute; empty if none can be.

    With several objectives nobody is ahead: it says whose trials are beaten by none.
    """
    if not comparison.comparable:
        return ""
    if comparison.unbeaten:
        shares = ", ".join(f"{name} has {n}" for name, n in comparison.unbeaten.items())
        total = counted(sum(comparison.unbeaten.values()), "trial")
        return f"Of the {total} that no trial of these studies beats in every objective, {shares}."
    first = _ahead(comparison, "best")
    if not first:
        return "No trial of these studies has completed."
    metric = comparison.studies[0].objective.metric
    text = f"{_whose(first, 'the best')} {metric}, {format_value(metric, first[0]['best'])}"
    ahead = _ahead(comparison, "at_equal_compute")
    if ahead and comparison.equal_compute is not None:
        time = f"after {duration(comparison.equal_compute)} of worker time each"
        value = format_value(metric, ahead[0]["at_equal_compute"])
        if _names(ahead) == _names(first):
            text += f", and {_whose(ahead, 'it')} {time}, too"
        else:
            text += f"; but {time} {_whose(ahead, 'the best')}, {value}"
    if _open(comparison, first[0]):
        text += (
            ". Corrected for having been picked, their intervals overlap: which study has the "
            "better config is open"
        )
    return f"{text}."


def _ahead(comparison: Comparison, column: str) -> list[dict[Any, Any]]:
    """The rows with the best value in a column, several if they are level; none if none has one."""
    rows = comparison.outcomes.dropna(subset=[column]).to_dict(orient="records")
    sign = comparison.studies[0].objective.sign
    best = max((sign * row[column] for row in rows), default=None)
    return [row for row in rows if sign * row[column] == best]


def _names(rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    return [str(row["study"]) for row in rows]


def _whose(rows: Sequence[Mapping[Any, Any]], what: str) -> str:
    """``a has WHAT``; nobody is ahead of whom it is level with."""
    names = _names(rows)
    if len(names) == 1:
        return f"{names[0]} has {what}"
    return f"{', '.join(names[:-1])} and {names[-1]} share {what}"


def _open(comparison: Comparison, first: Mapping[Any, Any]) -> bool:
    """Whether another study's corrected score may, by its interval, be as good as the first's."""
    rows = comparison.outcomes.dropna(subset=["low", "high"]).to_dict(orient="records")
    if first["study"] not in _names(rows):
        return False
    others = [row for row in rows if row["study"] != first["study"]]
    return any(row["low"] <= first["high"] and first["low"] <= row["high"] for row in others)


def to_markdown(comparison: Comparison) -> str:
    """Everything as Markdown."""
    out = io.StringIO()
    out.write(f"# {markdown_cell(', '.join(s.name for s in comparison.studies))}\n\n")
    if told := headline(comparison):
        out.write(markdown_line(told) + "\n\n")
    out.write(markdown(display(comparison)) + "\n")
    for remark in comparison.remarks:
        out.write(f"\n- {markdown_line(remark)}")
    out.write("\n\n## What differs\n\n")
    if len(comparison.contrasts):
        out.write(markdown(comparison.contrasts) + "\n")
    else:
        out.write("Nothing: space, config, budget, code, data, versions and device are the same.\n")
    return out.getvalue()


def write_comparison_files(comparison: Comparison, results_dir: Path) -> list[Path]:
    """Write ``compare/<a>-<b>.csv``, ``.md`` and, if the objectives are one, ``.png``.

    Raises:
        StudyError: the folder cannot be written.
    """
    from besom.plots import write_comparison

    base = results_dir / FOLDER
    paths = [base / f"{comparison.stem}{suffix}" for suffix in (".csv", ".md")]
    try:
        write_atomically(paths[0], csv(comparison.outcomes))
        write_atomically(paths[1], to_markdown(comparison))
        if comparison.comparable:
            picture = base / f"{comparison.stem}.png"
            paths.append(write_comparison(comparison.studies, picture))
    except OSError as error:
        raise StudyError(f"{base} cannot be written: {error.strerror or error}.") from error
    return paths
