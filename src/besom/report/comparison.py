"""``besom compare``: several studies side by side, in what they reached, spent and are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from besom.errors import StudyError
from besom.plots.study_curves import summarise as summarise_progress
from besom.report.diff import contrasts_of
from besom.report.tables import UNFINISHED, counts_text, csv, markdown, outcome_counts
from besom.statistics import claim, pareto_front, score
from besom.store.paths import write_atomically
from besom.store.records import Outcome, StudyRecord
from besom.text.counting import counted, listed
from besom.text.numbers import duration
from besom.text.printable import markdown_cell, markdown_line

#: The folder under ``results_dir``.
FOLDER = "compare"

#: Longer names are cut: a file's name has 255 bytes.
_MOST_CHARS = 120


@dataclass(frozen=True)
class Comparison:
    """Several studies, side by side.

    Attributes:
        studies: in the order given.
        outcomes: one row per study, see ``outcomes_of``.
        contrasts: one row per difference, one column per study, see ``contrasts_of``.
        remarks: what to keep in mind when reading the values against each other.
        comparable: whether all pursue the same metrics in the same directions; only then may their
            values be compared.
        equal_compute: the worker seconds at which ``at equal compute`` is read off; None without.
        unbeaten: with several objectives, how many of each study's trials no trial of any study
            beats, by the study's name; empty with one, or where they are not comparable.
    """

    studies: tuple[StudyRecord, ...]
    outcomes: pd.DataFrame
    contrasts: pd.DataFrame
    remarks: tuple[str, ...]
    comparable: bool
    equal_compute: float | None
    unbeaten: Mapping[str, int]

    @property
    def stem(self) -> str:
        """The files' name: the studies', joined."""
        return "-".join(study.name for study in self.studies)[:_MOST_CHARS]


def compare(studies: Sequence[StudyRecord]) -> Comparison:
    """Put studies side by side.

    Raises:
        StudyError: fewer than two, or one is named twice.
    """
    names = [study.name for study in studies]
    if len(names) < 2:
        raise StudyError("compare takes two studies or more: besom compare NAME NAME [NAME ...].")
    if twice := {name for name in names if names.count(name) > 1}:
        raise StudyError(f"The study {min(twice)!r} is named twice. Name each study once.")
    aims = {tuple((o.metric, o.direction) for o in study.objectives) for study in studies}
    comparable, several = len(aims) == 1, any(len(study.objectives) > 1 for study in studies)
    totals = [spent(study)[0] for study in studies if study.complete]
    budget = min(totals) if comparable and totals and not several else None
    contrasts = contrasts_of(studies)
    return Comparison(
        tuple(studies),
        outcomes_of(studies, budget),
        contrasts,
        tuple(_remarks(studies, contrasts, comparable)),
        comparable,
        budget,
        unbeaten_of(studies) if comparable and several else {},
    )


def outcomes_of(studies: Sequence[StudyRecord], budget: float | None) -> pd.DataFrame:
    """One row per study.

    Columns: study, metric, direction, best, trial, corrected, low, high (the best corrected for
    having been picked, with its 95 % interval), baseline, gain (corrected too, or raw where there
    is no ``corrected``), at_equal_compute (the best after ``budget`` worker seconds), trials,
    complete, pruned, failed, worker_seconds, cpu_seconds. Empty where it is not known. Several
    objectives have no best: their studies have front (trials beaten by none of their own), and for
    each metric ``best METRIC``.
    """
    rows = []
    for study in studies:
        aim, counts = study.objective, outcome_counts(study.trials)
        row: dict[str, Any] = {"study": study.name, "metric": _metrics(study)}
        row["direction"] = " ".join(o.direction for o in study.objectives)
        row |= _best(study) if len(study.objectives) == 1 else _best_of_each(study)
        if study.baseline is not None and len(study.objectives) == 1:
            row["baseline"], _ = score(study.baseline, aim)
            if "best" in row:
                row.setdefault("gain", aim.sign * (row["best"] - row["baseline"]))
        if budget is not None:
            row["at_equal_compute"] = best_after(study, budget)
        row["trials"] = sum(counts.values()) - counts.get(UNFINISHED, 0)
        row["complete"] = len(study.complete)
        row["pruned"] = counts.get(str(Outcome.PRUNED), 0)
        row["failed"] = sum(t.outcome.failed for t in study.trials)
        row["worker_seconds"], row["cpu_seconds"] = spent(study)
        rows.append(row)
    more = dict.fromkeys(key for row in rows for key in row if key == "front" or " " in key)
    frame = pd.DataFrame(rows, columns=[*_FIRST, *more, *_LAST])
    for column in ("trial", "front"):
        if column in frame:
            frame[column] = frame[column].astype("Int64")
    return frame


#: The columns before and after those that only several objectives have.
_FIRST = (
    *("study", "metric", "direction", "best", "trial", "corrected", "low", "high"),
    *("baseline", "gain", "at_equal_compute"),
)
_LAST = ["trials", "complete", "pruned", "failed", "worker_seconds", "cpu_seconds"]


def _best(study: StudyRecord) -> dict[str, Any]:
    found = claim(study)
    if found.leader is None:
        return {}
    row: dict[str, Any] = {"best": found.raw, "trial": found.leader}
    if found.baseline is not None:
        row["gain"] = found.baseline.gain
    if found.corrected is not None and found.interval is not None:
        row |= {"corrected": found.corrected, "low": found.interval.low}
        row["high"] = found.interval.high
    return row


def _best_of_each(study: StudyRecord) -> dict[str, Any]:
    """What several objectives have in place of a best."""
    values = _values([study])
    if not values.size:
        return {}
    directions = [o.direction for o in study.objectives]
    best = {
        f"best {o.metric}": o.sign * float((o.sign * column).max())
        for o, column in zip(study.objectives, values.T, strict=True)
    }
    return {"front": int(pareto_front(values, directions).sum()), **best}


def unbeaten_of(studies: Sequence[StudyRecord]) -> dict[str, int]:
    """Of each study, how many trials stand on the Pareto front of all their trials together."""
    values = _values(studies)
    if not values.size:
        return {}
    front = pareto_front(values, [o.direction for o in studies[0].objectives])
    owners = [study.name for study in studies for _ in study.complete]
    return {s.name: sum(owner == s.name for owner in compress(owners, front)) for s in studies}


def _values(studies: Sequence[StudyRecord]) -> npt.NDArray[np.float64]:
    """(n_complete of all, n_objectives) the values of complete trials, study by study."""
    return np.array([t.values for study in studies for t in study.complete], dtype=float)


def spent(study: StudyRecord) -> tuple[float, float]:
    """Worker seconds and CPU seconds of every trial that has ended, whatever became of it."""
    over = [trial for trial in study.trials if trial.outcome is not Outcome.RUNNING]
    cpu_seconds = math.nan if study.is_imported else sum(t.cpu_seconds for t in over)
    return sum(t.seconds for t in over), cpu_seconds


def best_after(study: StudyRecord, seconds: float) -> float | None:
    """The best value known after so many worker seconds; None if no trial had completed by then."""
    line = summarise_progress([study]).studies[0]
    known = line.best[line.seconds <= seconds * (1 + 1e-9)]
    return float(known[-1]) if known.size else None


def _remarks(
    studies: Sequence[StudyRecord], contrasts: pd.DataFrame, comparable: bool
) -> list[str]:
    found = []
    if not comparable:
        named = ", ".join(f"{s.name} {_aim_of(s)}" for s in studies)
        found.append(
            f"These studies have different objectives ({named}), so their values cannot be "
            "compared and no picture is drawn."
        )
    elif any(len(study.objectives) > 1 for study in studies):
        found.append(
            "With several objectives there is no single best: the best of each is shown, possibly "
            "of different trials. The picture shows only the first, "
            f"{studies[0].objective.metric}."
        )
    data = contrasts[(contrasts["part"] == "data") & (contrasts["what"] == "fingerprint")]
    if len(data) and comparable:
        found.append(
            "The studies were judged on different validation examples, so part of the differences "
            "between their values is luck. `besom confirm` measures them on the test examples."
        )
    return [*found, *(f"{s.name} has no complete trial." for s in studies if not s.complete)]


def _aim_of(study: StudyRecord) -> str:
    """What a study pursues: ``maximizes val_accuracy and minimizes n_params``."""
    return " and ".join(f"{o.direction}s {o.metric}" for o in study.objectives)


def _metrics(study: StudyRecord) -> str:
    return " and ".join(objective.metric for objective in study.objectives)


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
    cells = {"objective": _aim_of(study)}
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
    known = "cpu_seconds" in row
    cells["CPU time"] = duration(row["cpu_seconds"]) if known else "not known"
    return cells


def headline(comparison: Comparison) -> str:
    """The best value and whose it is, in all and at equal compute; empty if not comparable.

    With several objectives there is no best: it counts the trials that no other trial beats.
    """
    if not comparison.comparable:
        return ""
    if comparison.unbeaten:
        shares = ", ".join(f"{name} {n}" for name, n in comparison.unbeaten.items())
        return f"Trials that no trial of these studies beats in every objective: {shares}."
    first = _ahead(comparison, "best")
    if first.empty:
        return "No trial of these studies has completed."
    aim = comparison.studies[0].objective
    text = f"Best {aim.metric}: {aim.text(first['best'].iloc[0])} ({listed(list(first['study']))})"
    ahead = _ahead(comparison, "at_equal_compute")
    if comparison.equal_compute is not None and not ahead.empty:
        value, spent = ahead["at_equal_compute"].iloc[0], duration(comparison.equal_compute)
        owners = listed(list(ahead["study"]))
        text += f"; after {spent} of worker time each: {aim.text(value)} ({owners})"
    # By its interval, another study's corrected score may be as good as the first's.
    one, table = first.iloc[0], comparison.outcomes
    others = table[table["study"] != one["study"]]
    if ((others["low"] <= one["high"]) & (others["high"] >= one["low"])).any():
        text += ". The corrected intervals overlap: which study has the better config is open"
    return f"{text}."


def _ahead(comparison: Comparison, column: str) -> pd.DataFrame:
    """The rows with the best value in a column, several if they are level; none if none has one."""
    values = comparison.studies[0].objective.sign * comparison.outcomes[column].astype(float)
    return comparison.outcomes[values == values.max()]


def to_markdown(comparison: Comparison) -> str:
    """Everything as Markdown."""
    names = ", ".join(study.name for study in comparison.studies)
    same = "Nothing: space, config, budget, code, data, versions and device are the same."
    parts = [
        f"# {markdown_cell(names)}",
        markdown_line(headline(comparison)),
        markdown(display(comparison)),
        "\n".join(f"- {markdown_line(remark)}" for remark in comparison.remarks),
        "## What differs",
        markdown(comparison.contrasts) if len(comparison.contrasts) else same,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


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
