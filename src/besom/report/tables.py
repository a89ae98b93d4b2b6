"""Tables, values and costs as people read them: on the terminal and in Markdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table

from besom.store.paths import StudyPaths, write_atomically
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.text.console import rich_table
from besom.text.counting import tally
from besom.text.printable import markdown_cell
from besom.text.values import compact_text, csv_text, csv_value

if TYPE_CHECKING:
    import pandas as pd

#: On a terminal narrower than this, the columns that can be spared are left out.
WIDE = 120

#: What a trial cost, as columns of a ranking. People are shown the first, files have them all.
COSTS = ("seconds", "cpu_seconds", "gpu_seconds")

#: A trial that has not ended; only the coordinator knows whether it runs.
UNFINISHED = "unfinished"

#: Of a hyperparameter where trials stand side by side.
PARAM_DIGITS = 4
#: Columns of texts, which may be wrapped.
_WRAPPED = ("reason", "hyperparameters", "note", "values", "when")


def shown_outcome(trial: TrialRecord) -> str:
    """How a trial ended, for people."""
    return UNFINISHED if trial.outcome is Outcome.RUNNING else str(trial.outcome)


def outcome_counts(trials: Iterable[TrialRecord]) -> dict[str, int]:
    """How many trials ended in which way, in the order of ``Outcome``; absent ones left out.

    The last are ``unfinished``: in a sweep that is running they run, else they wait for a resume.
    """
    found = Counter(t.outcome for t in trials)
    return {UNFINISHED if o is Outcome.RUNNING else str(o): found[o] for o in Outcome if found[o]}


def counts_text(study: StudyRecord) -> str:
    """The same in words: ``8 complete, 2 pruned``."""
    return tally(outcome_counts(study.trials))


def over_baseline(objective: Objective, gain: float) -> str:
    """How much better than the baseline: ``+0.25 over`` it, or ``0.25 better than`` it.

    Args:
        objective: of the study.
        gain: positive is better.
    """
    if objective.direction == "maximize":
        return f"{objective.gain_text(gain)} over the baseline"
    return f"{objective.gain_text(gain)} than the baseline" if gain else "equal to the baseline"


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
    """The cell of a hyperparameter, see ``compact_text``: nothing for one that does not apply."""
    return "" if isinstance(value, float) and value != value else compact_text(value, PARAM_DIGITS)


def short_names(columns: Sequence[Any]) -> dict[str, str]:
    """``optimizer.learning_rate`` as ``learning_rate``: what tells it from all others."""
    taken = Counter(end for column in columns for end in _ends(str(column)))
    return {
        str(c): next((end for end in _ends(str(c)) if taken[end] == 1), str(c)) for c in columns
    }


def _ends(path: str) -> list[str]:
    """The ends of a dotted path, the shortest first; the whole of it is an end, too."""
    parts = path.split(".")
    return [".".join(parts[-n:]) for n in range(1, len(parts) + 1)]


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

    texts = {}
    for column, cells in frame.items():
        if column in values:
            texts[column] = cells.map(csv_value).astype(object)
        elif pd.api.types.is_numeric_dtype(cells):
            texts[column] = cells
        else:
            texts[column] = cells.map(lambda v: csv_text(v) if isinstance(v, str) else v)
    plain = pd.DataFrame(texts, index=frame.index, columns=frame.columns)
    return str(plain.rename(columns=lambda column: csv_text(str(column))).to_csv(index=False))


def frame_table(
    frame: pd.DataFrame,
    title: str,
    wrapped: Collection[str] = _WRAPPED,
    overflow: Literal["fold", "ellipsis"] = "fold",
) -> Table:
    """A frame as a table for the terminal, see ``besom.text.console``."""
    return rich_table(
        [str(column) for column in frame.columns],
        (list(map(cell, row)) for row in frame.itertuples(index=False, name=None)),
        title,
        wrapped=wrapped,
        left=("outcome", "study"),
        overflow=overflow,
    )


def costs(study: StudyRecord, trials: Iterable[TrialRecord] | None = None) -> pd.DataFrame:
    """One row per trial that ran or might have: trial, outcome, epochs and what it cost.

    ``trials`` are those of the study, unless its replicates are given.

    Columns: trial, outcome, epochs (of all its runs), seconds (wall-clock, in its worker),
    cpu_seconds (of its worker, all threads; NaN where the worker was killed and could not tell, and
    of an imported study), gpu_seconds (the seconds times the share of a GPU that its worker held).
    Knowledge taken from another study cost nothing here and is left out.
    """
    import pandas as pd

    rows = [
        {
            "trial": t.number,
            "outcome": shown_outcome(t),
            "epochs": t.epochs_run,
            **trial_costs(study, t),
        }
        for t in (study.trials if trials is None else trials)
        if t.outcome is not Outcome.WARM_START
    ]
    return pd.DataFrame(rows, columns=["trial", "outcome", "epochs", *COSTS])


def trial_costs(study: StudyRecord, trial: TrialRecord) -> dict[str, float]:
    """One trial's cost by the names in ``COSTS``."""
    killed = trial.outcome in (Outcome.WORKER_DIED, Outcome.TIMEOUT) and not trial.cpu_seconds
    untold = killed or study.is_imported
    spent = (
        trial.seconds,
        math.nan if untold else trial.cpu_seconds,
        trial.seconds * _gpus(study, trial),
    )
    return {name: round(seconds, 3) for name, seconds in zip(COSTS, spent, strict=True)}


def _gpus(study: StudyRecord, trial: TrialRecord) -> float:
    """How much of a GPU the trial's worker held: workers may share one."""
    environment = study.facts.get("environments", {}).get(trial.environment.get("id"), {})
    used = environment.get("device", {}).get("gpus")
    return float(environment.get("gpus_per_worker", 1.0)) if used else 0.0


def write_costs(study: StudyRecord, paths: StudyPaths) -> None:
    """Write ``ledger.csv``: one row per trial, see ``costs``."""
    write_atomically(paths.ledger_csv, csv(costs(study)))
