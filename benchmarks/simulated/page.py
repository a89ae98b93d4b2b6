"""The tables of ``docs/what-may-i-claim.md``, filled in from the stored results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulated.cells import shown

PAGE = Path(__file__).parents[2] / "docs" / "what-may-i-claim.md"

Rows = Mapping[str, Mapping[str, Any]]

#: What stands in the columns of each table: the heading, and the row and column of the cell.
TABLES: dict[str, dict[str, tuple[str, str]]] = {}


def filled(page: str, rows: Rows) -> str:
    """The page with its tables made anew. One stands between ``<!-- table: NAME -->`` and an end.

    The name is that of a part, or of a table of its own in ``TABLES``.
    """

    def made(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n\n{_table(match[1], rows)}\n\n<!-- end -->"

    return re.sub(r"<!-- table: (\S+) -->\n.*?<!-- end -->", made, page, flags=re.DOTALL)


def _table(name: str, rows: Rows) -> str:
    columns = TABLES[name]
    lines = [["study", *columns]]
    lines.append(["---"] * len(lines[0]))
    cells = dict.fromkeys("/".join(row.split("/")[:2]) for row in rows)
    for cell in cells:
        if cell.split("/")[0] == name:
            label = next(r["label"] for key, r in rows.items() if key.startswith(cell))
            found = [_number(rows, cell, *where) for where in columns.values()]
            lines.append([label.split(": ")[0], *found])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(rows: Rows, cell: str, row: str, column: str) -> str:
    found = rows.get(f"{cell}/{row}" if row else cell)
    return shown(dict(found), column) if found else "–"
