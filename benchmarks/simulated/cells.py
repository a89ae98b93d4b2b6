"""A cell of the table: one simulated situation, replicated, and what share of claims held in it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.statistics import Interval

Random = np.random.Generator

#: What one replication showed, by column: ``bias``, ``coverage``, ``false`` and ``power``, each
#: also with " before". A cell with several rows names the row first: ``gain/coverage``. What a
#: replication says nothing about is left out.
Seen = dict[str, float]

#: The columns of the table, and what each of them is.
COLUMNS = {
    "bias": "how far the number is above the truth, on average",
    "coverage": "how often the interval holds the truth",
    "false": "how often a claim is made that is not true",
    "power": "how often a difference that there is, is shown",
}


@dataclass(frozen=True)
class Cell:
    """One situation.

    Attributes:
        key: by which the page names it, ``part/name``.
        label: in the table.
        n: replications at full size.
        once: one replication.
        in_points: whether the bias is of a share, and shown in percentage points.
    """

    key: str
    label: str
    n: int
    once: Callable[[Random], Seen]
    in_points: bool = True

    def run(self, n: int, seed: int) -> list[dict[str, Any]]:
        """Replicate it, with random numbers of its own, and return its rows."""
        rng = np.random.default_rng([seed, zlib.crc32(self.key.encode())])
        seen: dict[str, dict[str, list[float]]] = {}
        for _ in range(n):
            for name, value in self.once(rng).items():
                row, _, column = name.rpartition("/")
                seen.setdefault(row, {}).setdefault(column, []).append(float(value))
        return [self._row(row, n, columns) for row, columns in seen.items()]

    def _row(self, name: str, n: int, columns: dict[str, list[float]]) -> dict[str, Any]:
        row: dict[str, Any] = {
            "cell": f"{self.key}/{name}" if name else self.key,
            "label": f"{self.label}: {name}" if name else self.label,
            "replications": n,
            "unit": "points" if self.in_points else "",
        }
        for column, values in sorted(columns.items()):
            scale = 100.0 if column.startswith("bias") and self.in_points else 1.0
            row[column] = round(scale * float(np.mean(values)), 6)
            if column == "bias":
                row["bias error"] = round(scale * float(np.std(values)) / math.sqrt(len(values)), 6)
        return row


def holds(interval: Interval, truth: float) -> bool:
    """Whether the truth lies in it."""
    return interval.low <= truth <= interval.high


def draw_seed(rng: Random) -> int:
    """A seed for a function that takes one."""
    return int(rng.integers(2**31))


def table(rows: Iterable[dict[str, Any]]) -> list[list[str]]:
    """The rows as text, each column before and after."""
    head = ["cell", "replications"]
    head += [f"{name}{when}" for name in COLUMNS for when in (", before", "")]
    lines = [head]
    for row in rows:
        line = [f"{row['cell']} ({row['label']})", f"{row['replications']:,}"]
        for column in COLUMNS:
            line += [shown(row, f"{column} before"), shown(row, column)]
        lines.append(line)
    return lines


def shown(row: dict[str, Any], column: str) -> str:
    """One number of a row as the tables show it; a dash where there is none."""
    value = row.get(column)
    if value is None:
        return "–"
    if column.startswith("bias"):
        digits = 2 if row["unit"] else 3
        text = f"{value:.{digits}f}"
        return text.removeprefix("-") if float(text) == 0.0 else text
    percent = 100.0 * value
    near_an_end = 0.0 < percent < 2.0 or 99.0 <= percent < 100.0
    return f"{percent:.1f} %" if near_an_end else f"{percent:.0f} %"
