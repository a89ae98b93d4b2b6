"""A comparison of studies for people: on the terminal, and under ``results/compare/``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from besom.comparison import Comparison, aim_of
from besom.errors import StudyError
from besom.layout import write_atomically
from besom.leaderboard import outcome_counts
from besom.records import StudyRecord
from besom.tables import format_value

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
    if "baseline" in row:
        told["baseline"] = format_value(metric, row["baseline"])
    if "gain" in row:
        told["gain"] = f"{row['gain']:+.4g}"
    if "at_equal_compute" in row:
        told["at equal compute"] = format_value(metric, row["at_equal_compute"])
    told["trials"] = ", ".join(f"{n} {outcome}" for outcome, n in outcome_counts(study).items())
    told["worker time"] = duration(row["worker_seconds"])
    told["CPU time"] = duration(row["cpu_seconds"])
    return told


def duration(seconds: float) -> str:
    """Seconds for people: in the unit in which they are few."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def headline(comparison: Comparison) -> str:
    """One sentence: whose best is ahead, in all and at equal compute; empty if none can be."""
    if not comparison.comparable:
        return ""
    first = _ahead(comparison, "best")
    if first is None:
        return "No trial of these studies has completed."
    metric = comparison.studies[0].objective.metric
    text = f"{first['study']} has the best {metric}, {format_value(metric, first['best'])}"
    ahead = _ahead(comparison, "at_equal_compute")
    if ahead is not None and comparison.equal_compute is not None:
        time = f"after {duration(comparison.equal_compute)} of worker time each"
        if ahead["study"] == first["study"]:
            text += f", and is ahead {time}, too"
        else:
            value = format_value(metric, ahead["at_equal_compute"])
            text += f"; but {time} {ahead['study']} is ahead with {value}"
    return f"{text}."


def _ahead(comparison: Comparison, column: str) -> dict[Any, Any] | None:
    """The row with the best value in a column; None if none has one."""
    rows = comparison.outcomes.dropna(subset=[column]).to_dict(orient="records")
    sign = comparison.studies[0].objective.sign
    return max(rows, key=lambda row: sign * row[column], default=None)


def to_markdown(comparison: Comparison) -> str:
    """Everything as Markdown."""
    out = io.StringIO()
    out.write("# " + ", ".join(study.name for study in comparison.studies) + "\n\n")
    if told := headline(comparison):
        out.write(told + "\n\n")
    out.write((display(comparison).to_markdown(index=False, disable_numparse=True) or "") + "\n")
    for remark in comparison.remarks:
        out.write(f"\n- {remark}")
    out.write("\n\n## What differs\n\n")
    if len(comparison.contrasts):
        table = comparison.contrasts.to_markdown(index=False, disable_numparse=True)
        out.write((table or "") + "\n")
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
        write_atomically(paths[0], str(comparison.outcomes.to_csv(index=False)))
        write_atomically(paths[1], to_markdown(comparison))
        if comparison.comparable:
            picture = base / f"{comparison.stem}.png"
            paths.append(write_comparison(comparison.studies, picture))
    except OSError as error:
        raise StudyError(f"{base} cannot be written: {error.strerror or error}.") from error
    return paths
