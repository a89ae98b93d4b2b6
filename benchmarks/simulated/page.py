"""The tables of ``docs/what-may-i-claim.md``, filled in from the stored results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulated.cells import shown

PAGE = Path(__file__).parents[2] / "docs" / "what-may-i-claim.md"

Rows = Mapping[str, Mapping[str, Any]]

_OFF = {"raw off by": ("", "bias before"), "corrected": ("", "bias")}
_HOLDS = {"raw interval holds": ("", "coverage before"), "interval holds": ("", "coverage")}
_TIES = {"wrongly not tied": ("ties", "false")}


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        first: the heading of its first column, which has the labels.
        rows: of the results: a cell, or one row of a cell that has several.
        columns: heading to the row of the cell (empty: its only one) and that row's column.
    """

    first: str
    rows: tuple[str, ...]
    columns: Mapping[str, tuple[str, str]]


TABLES = {
    "power": Table(
        "true difference",
        ("power/300-30-2", "power/3000-30-2", "power/enough"),
        {"said by `--dry-run`": ("", "power before"), "seen": ("", "power")},
    ),
    "searched": Table(
        "search of 50 configs",
        (
            "searched/10000-own-0",
            "searched/50000-own-0",
            "searched/gain-1000-5",
            "searched/gain-10000-1",
            "searched/gain-10000-2",
        ),
        {
            "wrong gain by one seed": ("gain", "false before"),
            "by fresh seeds": ("gain", "false"),
            "true gain shown by one seed": ("gain", "power before"),
            "by fresh ones": ("gain", "power"),
            "interval holds": ("gain", "coverage"),
        },
    ),
    "confirm": Table(
        "configs",
        ("confirm/360-5", "confirm/360-20", "confirm/360-gain-2", "confirm/360-gain-4"),
        {
            "wrongly behind, examples fixed": ("behind", "false before"),
            "new": ("behind", "false"),
            "wrong gain, fixed": ("gain", "false before"),
            "new ": ("gain", "false"),
            "interval holds, fixed": ("gain", "coverage before"),
            "new  ": ("gain", "coverage"),
            "gain shown": ("gain", "power"),
        },
    ),
    "selection": Table(
        "trials",
        (
            "selection/equal-shared",
            "selection/different",
            "selection/few",
            "selection/rival",
            "selection/adaptive",
            "epochs/small",
        ),
        {**_OFF, **_HOLDS, "too high": ("", "false"), **_TIES},
    ),
    "folds": Table(
        "trials",
        ("folds/share-5", "folds/share-5-3", "folds/loss-5", "folds/auc-5"),
        {**_OFF, **_HOLDS, **_TIES},
    ),
}


def filled(page: str, rows: Rows) -> str:
    """The page with its tables made anew, each between ``<!-- table: NAME -->`` and its end."""

    def made(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n\n{_text(TABLES[match[1]], rows)}\n\n<!-- end -->"

    return re.sub(r"<!-- table: (\S+) -->\n.*?<!-- end -->", made, page, flags=re.DOTALL)


def _text(table: Table, rows: Rows) -> str:
    lines = [[table.first, *(heading.strip() for heading in table.columns)]]
    lines.append(["---"] * len(lines[0]))
    for name in table.rows:
        label = next((row["label"] for key, row in rows.items() if key.startswith(name)), name)
        numbers = [_number(rows, name, *where) for where in table.columns.values()]
        lines.append([label.split(": ")[0], *numbers])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(rows: Rows, cell: str, row: str, column: str) -> str:
    found = rows.get(f"{cell}/{row}" if row else cell)
    return shown(dict(found), column) if found else "–"
