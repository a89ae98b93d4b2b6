"""A ranking on a terminal: one line per trial, with as many columns as fit.

Rank, trial, score and error are always there. Hyperparameters come next, then the other columns;
what has no room is named below the table, and so is what is the same in every row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import pandas as pd
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from besom.errors import ConfigError
from besom.report.leaderboard import column_named, columns_of, shown_cells
from besom.report.tables import short_names
from besom.store.records import StudyRecord
from besom.text.console import rich_table
from besom.text.counting import named
from besom.text.printable import one_line

#: Between the columns of a table, and at its edges.
_PADDING = 3

#: A hyperparameter that has no room gets what is left, if that is so much, and is wrapped.
_LEAST_WRAPPED = 16

#: Columns without room that are named; of hundreds, the rest are counted.
MOST_NAMED = 30

_ELEMENT = re.compile(r"(?P<list>.+)\.\d+")


class _Column(NamedTuple):
    """A column as people see it; its heading is the name, in one line or in two."""

    name: str
    cells: list[str]
    is_param: bool = False
    is_first: bool = False
    heading: tuple[str, ...] = ()

    @property
    def head(self) -> int:
        return max(map(cell_len, self.heading or [self.name]))

    @property
    def width(self) -> int:
        return max(self.head, *map(cell_len, self.cells)) + _PADDING


class FittedRanking(NamedTuple):
    """A table and what is not in it, in sentences."""

    table: Table
    remarks: list[str]


def fitted(
    frame: pd.DataFrame, study: StudyRecord, width: int, title: str, chosen: bool = False
) -> FittedRanking:
    """The rows of a ranking as a table of at most so many characters.

    Args:
        frame: a ranking, not empty.
        study: what it is of.
        width: of the terminal.
        title: stands above the table.
        chosen: the user has chosen the columns: all of them are shown, and cells wrapped.
    """
    columns = _shortened(_with_errors(_as_one(_shown(frame, width)), study))
    constant = [] if chosen or len(frame) < 2 else [c for c in columns if _is_constant(c)]
    columns = [column for column in columns if column not in constant]
    remarks = []
    if constant:
        same = ", ".join(f"{column.name} {column.cells[0]}" for column in constant)
        remarks.append(f"The same in every row: {same}.")
    wrapped: Collection[str] = ("note",)
    left_out: list[_Column] = []
    if _width([c for c in columns if chosen or c.is_first or c.is_param]) > width:
        # A heading in two lines is not pretty, but a hyperparameter that is left out is worse.
        columns = [column._replace(heading=_in_two_lines(column)) for column in columns]
    if _width(columns) > width:
        if chosen:
            wrapped = [column.name for column in columns if column.is_param]
        else:
            remarks += _notes(frame)
            columns, left_out, wrapped = _fitting([c for c in columns if c.name != "note"], width)
    if left_out:
        names = ", ".join(column.name for column in left_out[:MOST_NAMED])
        if (more := len(left_out) - MOST_NAMED) > 0:
            names += f" and {more} more"
        remarks.append(f"Not shown: {names}. --columns NAME,NAME shows those you choose.")
    shown = [column if column.name in wrapped else _aligned(column) for column in columns]
    rows = zip(*(column.cells for column in shown), strict=True)
    left = [column.name for column in shown if _begins_at_the_left(column)]
    headings = [column.name for column in shown]
    table = rich_table(headings, list(rows), title, wrapped=wrapped, left=left)
    for made, column in zip(table.columns, shown, strict=True):
        made.header = Text("\n".join(map(one_line, column.heading or [column.name])))
    return FittedRanking(table, remarks)


def only(frame: pd.DataFrame, study: StudyRecord, words: Sequence[str]) -> pd.DataFrame:
    """A ranking with rank, trial, objectives and the columns that the words name.

    Args:
        frame: a ranking.
        study: what it is of.
        words: names, short or in full; several in one word are separated by commas.

    Raises:
        ConfigError: there is no such column (near names listed), or none is named.
    """
    asked = [name.strip() for word in words for name in word.split(",") if name.strip()]
    if not asked:
        raise ConfigError("--columns names no column. Give names, as in --columns dropout,seconds.")
    found = [column_named(frame, name, "--columns") for name in asked]
    always = ["rank", "trial", *(objective.metric for objective in study.objectives)]
    kept = [name for name in dict.fromkeys([*always, *found]) if name in frame]
    return frame[kept]


def _shown(frame: pd.DataFrame, width: int) -> list[_Column]:
    """Every column that people are shown, with the cells as they read them."""
    known, cells, found = {c.name: c for c in columns_of(frame)}, shown_cells(frame), []
    for column in (known[name] for name in frame.columns if name in cells):
        is_first = column.narrow_from is not None and column.narrow_from <= width
        found.append(_Column(column.name, cells[column.name], column.is_param, is_first))
    return found


def _as_one(columns: Sequence[_Column]) -> list[_Column]:
    """The paths of one list (``model.units.0``, ``model.units.1``) as one column of it."""
    found: dict[str, _Column] = {}
    for column in columns:
        element = _ELEMENT.fullmatch(column.name) if column.is_param else None
        name = element["list"] if element else column.name
        if element and name in found:
            both = zip(found[name].cells, column.cells, strict=True)
            found[name] = found[name]._replace(cells=["-".join(filter(None, ab)) for ab in both])
        else:
            found[name] = column._replace(name=name)
    return list(found.values())


def _shortened(columns: Sequence[_Column]) -> list[_Column]:
    short = short_names([column.name for column in columns])
    return [column._replace(name=short.get(column.name, column.name)) for column in columns]


def _is_constant(column: _Column) -> bool:
    return not column.is_first and column.name != "note" and len(set(column.cells)) == 1


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + 1


def _with_errors(columns: Sequence[_Column], study: StudyRecord) -> list[_Column]:
    """Each objective with its error beside it, in one column."""
    one = len(study.objectives) == 1
    errors = {o.metric: "standard_error" if one else f"{o.metric}_error" for o in study.objectives}
    by_name = {column.name: column for column in columns}
    merged = []
    for column in columns:
        if column.name in errors.values():
            continue
        if (error := by_name.get(errors.get(column.name, ""))) is not None:
            pairs = zip(column.cells, error.cells, strict=True)
            column = column._replace(cells=[f"{a} ± {b}" if b else a for a, b in pairs])
        merged.append(column)
    return merged


def _in_two_lines(column: _Column) -> tuple[str, ...]:
    """Its name, broken behind a ``_`` or a dot where the column is narrower for it."""
    name, least = column.name, max(map(cell_len, column.cells))
    breaks = [i for i, character in enumerate(name[:-1], start=1) if character in "_."]
    if not breaks or column.is_first or cell_len(name) <= least:
        return (name,)
    at = min(breaks, key=lambda i: max(cell_len(name[:i]), cell_len(name[i:])))
    return name[:at], name[at:]


def _fitting(
    columns: Sequence[_Column], width: int
) -> tuple[list[_Column], list[_Column], list[str]]:
    """What fits into the width, what does not, and which columns of the first are wrapped."""
    first = [column for column in columns if column.is_first]
    params = [column for column in columns if column.is_param]
    rest = [column for column in columns if not column.is_first and not column.is_param]
    taken, room, wrapped = list(first), width - _width(first), list[str]()
    for column in [*params, *rest]:
        if column.width <= room:
            taken.append(column)
            room -= column.width
    if params and not any(column.is_param for column in taken):
        taken = list(first)
        if width - _width(first) >= _LEAST_WRAPPED:
            taken.append(params[0])
            wrapped.append(params[0].name)
    names = {column.name for column in taken}
    shown = [column for column in columns if column.name in names]
    return shown, [column for column in columns if column.name not in names], wrapped


def _notes(frame: pd.DataFrame) -> list[str]:
    """What the column of notes says, in a sentence."""
    if "note" not in frame:
        return []
    by_note: dict[str, list[object]] = {}
    for trial, note in zip(frame["trial"], frame["note"], strict=True):
        if note:
            by_note.setdefault(str(note), []).append(trial)
    parts = [f"{named('trial', trials)}: {note}" for note, trials in by_note.items()]
    text = "; ".join(parts)
    return [f"{text[:1].upper()}{text[1:]}."] if parts else []


def _aligned(column: _Column) -> _Column:
    """Numbers with their points below each other, also those with an error or a unit."""
    pairs = [cell.partition(" ") for cell in column.cells]
    numbers, tails = [number for number, _, _ in pairs], [tail for _, _, tail in pairs]
    if not any("." in number for number in numbers) or not all(map(_is_number, numbers)):
        return column
    signs = [tail[:2] for tail in tails]
    errors = [tail[2:] for tail in tails]
    if set(signs) <= {"± ", ""} and all(map(_is_number, errors)):
        tails = [a + b for a, b in zip(signs, _by_point(errors), strict=True)]
    lines = [f"{a} {b}" if b else a for a, b in zip(_by_point(numbers), tails, strict=True)]
    width = max(map(cell_len, lines))
    indent = " " * max(column.head - width, 0)
    return column._replace(cells=[indent + line.ljust(width) for line in lines])


def _by_point(numbers: Sequence[str]) -> list[str]:
    split = [number.partition(".") for number in numbers]
    before = max(len(whole) for whole, _, _ in split)
    after = max(len(point + rest) for _, point, rest in split)
    return [f"{whole:>{before}}{point + rest:<{after}}" for whole, point, rest in split]


def _begins_at_the_left(column: _Column) -> bool:
    """Hyperparameters that are words, and numbers that were brought in line."""
    words = column.is_param and any(cell[:1].isalpha() for cell in column.cells)
    return words or any(cell.endswith(" ") for cell in column.cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
