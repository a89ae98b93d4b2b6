"""Tables and values as people read them: on the terminal and in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.text.printable import markdown_cell, one_line, visible
from besom.text.values import csv_text, csv_value, value_text

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a terminal from which the leader's corrected score stands in the table too, not
#: only in the sentence above it.
_ROOM_FOR_CORRECTED = 100

#: On a terminal narrower than this, the columns that can be spared are left out.
WIDE = 120

#: What a trial cost, as columns of a ranking. People are shown the first, files have them all.
COSTS = ("seconds", "cpu_seconds", "gpu_seconds")

#: A trial that has not ended; only the coordinator knows whether it runs.
UNFINISHED = "unfinished"

_WORDY = ("reason", "hyperparameters", "note", "values", "when")


def shown_outcome(trial: TrialRecord) -> str:
    """How a trial ended, for people."""
    return UNFINISHED if trial.outcome is Outcome.RUNNING else str(trial.outcome)


def outcome_counts(study: StudyRecord) -> dict[str, int]:
    """How many trials ended in which way, in the order of ``Outcome``; absent ones left out.

    The last are ``unfinished``: in a sweep that goes on they run, else they wait for a resume.
    """
    found = Counter(t.outcome for t in study.trials)
    return {UNFINISHED if o is Outcome.RUNNING else str(o): found[o] for o in Outcome if found[o]}


def format_value(metric: str, value: float) -> str:
    """A value for people: accuracies with four decimals, all else with five digits or whole."""
    return f"{value:.4f}" if "accuracy" in metric else _rounded(value, digits=5)


def format_gain(metric: str, gain: float) -> str:
    """A difference of values for people, with its sign."""
    return f"{gain:+.4f}" if "accuracy" in metric else _rounded(gain, digits=4, sign="+")


def over_baseline(objective: Objective, gain: float) -> str:
    """How much better than the baseline, as the metric itself moved: a loss falls below it.

    Args:
        objective: of the study.
        gain: positive is better.
    """
    if objective.direction == "maximize":
        return f"{format_gain(objective.metric, gain)} over the baseline"
    if gain == 0:
        return "equal to the baseline"
    side = "below" if gain > 0 else "above"
    return f"{format_gain(objective.metric, abs(gain)).removeprefix('+')} {side} the baseline"


def _rounded(value: float, digits: int, sign: str = "") -> str:
    """So many digits, but 167178 parameters are no 1.6718e+05."""
    whole = 10**digits - 0.5 <= abs(value) < 1e15
    return f"{value:{sign}.0f}" if whole else f"{value:{sign}.{digits}g}"


def duration(seconds: float) -> str:
    """Seconds for people: in the unit in which they are few."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def cell(value: Any) -> str:
    """A cell of what besom itself says: nothing for what is not known, four digits of numbers."""
    import pandas as pd  # not above: `besom list` needs none

    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shown_params(params: Mapping[str, Any]) -> str:
    """Hyperparameters side by side: ``hidden_units 512-256, dropout 0.2``."""
    short = short_names(list(params))
    cells = {path: param_cell(value) for path, value in params.items()}
    return ", ".join(f"{short.get(path, path)} {text}" for path, text in cells.items() if text)


def param_cell(value: Any) -> str:
    """The cell of a hyperparameter, see ``value_text``: nothing for one that does not apply."""
    return "" if isinstance(value, float) and value != value else value_text(value, digits=4)


def hyperparameters(frame: pd.DataFrame) -> list[str]:
    """The columns of a ranking that are hyperparameters: None is null, NaN does not apply."""
    columns = [str(column) for column in frame.columns]
    if "parameters" not in columns:
        return []
    rest = columns[columns.index("parameters") + 1 :]
    return [column for column in rest if column not in (*COSTS, "note")]


def short_names(columns: Sequence[Any]) -> dict[str, str]:
    """``optimizer.learning_rate`` as ``learning_rate``, unless two would be the same."""
    leaves = [str(c).rpartition(".")[2] for c in columns]
    return {
        str(c): leaf for c, leaf in zip(columns, leaves, strict=True) if leaves.count(leaf) == 1
    }


def display(frame: pd.DataFrame, study: StudyRecord) -> pd.DataFrame:
    """A ranking for people: rounded, short headings, no empty columns."""
    import pandas as pd

    shown = frame.astype(object)
    metrics = [o.metric for o in study.objectives]
    for metric in metrics:
        shown[metric] = [format_value(metric, v) for v in frame[metric]]
    if "gain" in shown:
        gains = frame["gain"]
        shown["gain"] = ["" if pd.isna(v) else format_gain(metrics[0], v) for v in gains]
    form = ".4f" if "accuracy" in metrics[0] else ".4g"
    for column in ("standard_error", "corrected"):
        if column in shown:
            shown[column] = ["" if pd.isna(v) else format(v, form) for v in frame[column]]
    if "tied" in shown:
        shown["tied"] = ["" if v is None else ("tied" if v else "no") for v in frame["tied"]]
    if "seconds" in shown and "seconds" not in metrics:
        shown["seconds"] = [f"{v:.1f}" for v in frame["seconds"]]
    shown = shown.drop(columns=[c for c in COSTS[1:] if c in shown and c not in metrics])
    params = hyperparameters(frame)
    for column in shown.columns:
        shown[column] = list(map(param_cell if column in params else cell, shown[column]))
    for column in ("note", "corrected", "standard_error", "tied"):
        if column in shown and not shown[column].astype(bool).any():
            shown = shown.drop(columns=column)
    return shown.rename(columns=short_names(list(shown.columns)))


def print_ranking(frame: pd.DataFrame, study: StudyRecord, console: Console) -> None:
    """A ranking on the terminal; on a narrow one the hyperparameters share a column."""
    title = f"Leaderboard of {study.name}"
    table = rich_table(display(frame, study), title)
    if _natural_width(table, console) > console.width:
        table = rich_table(_narrow(frame, study, console.width), title)
    console.print(table)


def markdown(frame: pd.DataFrame) -> str:
    """A frame as a Markdown table; nothing in a cell ends it, or is taken for Markdown."""
    escaped = frame.map(lambda v: markdown_cell(v) if isinstance(v, str) else v)
    escaped.columns = [markdown_cell(str(column)) for column in frame.columns]
    if frame.empty:
        return str(escaped.to_markdown(index=False))
    aligned = ["right" if frame[column].map(_is_number).all() else "left" for column in frame]
    # Numbers stand as they were rounded: tabulate would make 0.95 of 0.9500.
    return str(escaped.to_markdown(index=False, disable_numparse=True, colalign=aligned))


def _is_number(value: Any) -> bool:
    """Whether a cell is a number, as one or as text, or empty."""
    try:
        float(value.replace(",", "") or 0) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return False
    return True


def csv(frame: pd.DataFrame, values: Collection[str] = ()) -> str:
    """A frame as CSV, for spreadsheets too: no cell is taken for a formula, none ends its line.

    Args:
        frame: texts, numbers and bools; anything in the columns of ``values``.
        values: the columns that hold a config's values, see ``besom.text.values.csv_value``.
    """
    import pandas as pd

    told = {}
    for column, cells in frame.items():
        if column in values:
            told[column] = cells.map(csv_value).astype(object)
        elif pd.api.types.is_numeric_dtype(cells):
            told[column] = cells
        else:
            told[column] = cells.map(lambda v: csv_text(v) if isinstance(v, str) else v)
    plain = pd.DataFrame(told, index=frame.index, columns=frame.columns)
    return str(plain.rename(columns=lambda column: csv_text(str(column))).to_csv(index=False))


def rich_table(
    frame: pd.DataFrame,
    title: str,
    wordy: Collection[str] = _WORDY,
    left: Collection[str] = ("outcome", "study"),
    overflow: Literal["fold", "ellipsis"] = "fold",
) -> Table:
    """A frame as a table for the terminal; nothing in it is taken for rich's markup.

    Args:
        frame: what to show, see ``cell``.
        title: stands above it.
        wordy: columns of texts, which may be wrapped.
        left: columns that begin at the left beside those.
        overflow: what becomes of a number that has no room.
    """
    shown = Text(one_line(title), style="table.title")
    table = Table(title=shown, title_justify="left", header_style="bold")
    for column in frame.columns:
        justify: Literal["left", "right"] = "left" if column in (*wordy, *left) else "right"
        heading = Text(one_line(str(column)))
        no_wrap = column not in wordy
        table.add_column(heading, justify=justify, no_wrap=no_wrap, overflow=overflow)
    for row in frame.itertuples(index=False, name=None):
        table.add_row(*(Text(visible(cell(value))) for value in row))
    return table


def _natural_width(table: Table, console: Console) -> int:
    unlimited = console.options.update(max_width=10_000)
    return console.measure(table, options=unlimited).maximum


def _narrow(frame: pd.DataFrame, study: StudyRecord, width: int) -> pd.DataFrame:
    """What fits: the error beside the score, the hyperparameters in one column."""
    paths = hyperparameters(frame)
    words = [
        shown_params({path: row[path] for path in paths})
        + (f" ({row['note']})" * bool(row["note"]))
        for _, row in frame.iterrows()
    ]
    metrics = [o.metric for o in study.objectives]
    kept = ["rank", "trial", *metrics, "gain", "standard_error", "tied"]
    kept += ["corrected"] * (width >= _ROOM_FOR_CORRECTED)
    shown = display(frame[[c for c in frame.columns if c in kept]], study)
    if "standard_error" in shown:
        scores = zip(shown[metrics[0]], shown.pop("standard_error"), strict=True)
        shown[metrics[0]] = [f"{score} ± {error}" if error else score for score, error in scores]
    return shown.assign(hyperparameters=words)
