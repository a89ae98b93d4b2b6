"""A comparison of studies for people: on the terminal, and under ``results/compare/``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from besom.errors import StudyError
from besom.report.comparison import Comparison, aim_of
from besom.report.tables import counts_text, csv, markdown
from besom.store.paths import write_atomically
from besom.store.records import StudyRecord
from besom.text.counting import counted, listed
from besom.text.numbers import duration
from besom.text.printable import markdown_cell, markdown_line

#: The folder under ``results_dir``.
FOLDER = "compare"


def display(comparison: Comparison) -> pd.DataFrame:
    """The outcomes for people: one column per study, one row per known fact."""
    columns: dict[str, dict[str, str]] = {}
    frame = comparison.outcomes
    for study, (_, row) in zip(comparison.studies, frame.iterrows(), strict=True):
        columns[study.name] = _cells(study, {k: v for k, v in row.items() if not pd.isna(v)})
    things = dict.fromkeys(thing for cells in columns.values() for thing in cells)
    rows = [
        {"": thing, **{name: cells.get(thing, "-") for name, cells in columns.items()}}
        for thing in things
    ]
    return pd.DataFrame(rows)


def _cells(study: StudyRecord, row: Mapping[Any, Any]) -> dict[str, str]:
    aim = study.objective
    cells = {"objective": aim_of(study)}
    if "best" in row:
        cells["best"] = f"{aim.text(row['best'])} (trial {row['trial']})"
    if "corrected" in row:
        low, high = (aim.text(row[end]) for end in ("low", "high"))
        cells["corrected for selection"] = f"{aim.text(row['corrected'])} ({low} to {high})"
    if "front" in row:
        cells["beaten by none of its own"] = counted(int(row["front"]), "trial")
    for objective in study.objectives:
        if (best := f"best {objective.metric}") in row:
            cells[best] = objective.text(row[best])
    if "baseline" in row:
        cells["baseline"] = aim.text(row["baseline"])
    if "gain" in row:
        cells["gain"] = aim.gain_text(row["gain"])
    if "at_equal_compute" in row:
        cells["at equal compute"] = aim.text(row["at_equal_compute"])
    cells["trials"] = counts_text(study)
    cells["worker time"] = duration(row["worker_seconds"])
    cells["CPU time"] = duration(row["cpu_seconds"])
    return cells


def headline(comparison: Comparison) -> str:
    """One sentence: the best value and whose it is, in all and at equal compute, or nothing.

    With several objectives there is no best: it counts the trials that no other trial beats.
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
    aim = comparison.studies[0].objective
    text = f"Best {aim.metric}: {aim.text(first[0]['best'])} ({listed(_names(first))})"
    ahead = _ahead(comparison, "at_equal_compute")
    if ahead and comparison.equal_compute is not None:
        value, spent = aim.text(ahead[0]["at_equal_compute"]), duration(comparison.equal_compute)
        text += f"; after {spent} of worker time each: {value} ({listed(_names(ahead))})"
    if _open(comparison, first[0]):
        text += (
            ". The intervals, corrected for selection, overlap: which study has the better config "
            "is open"
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
    if sentence := headline(comparison):
        out.write(markdown_line(sentence) + "\n\n")
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
