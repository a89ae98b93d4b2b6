"""A table of texts, as the templates show it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from besom.report.tables import cell
from besom.text.printable import cut

#: Rows of the tables that have no filter; their files have them all.
MOST_ROWS = 200
#: Characters of a cell: a single value may be a page long, and the config has it whole.
MOST_CELL = 400


class PageTable(NamedTuple):
    """A table of texts; ``n_left_out`` rows are not in it."""

    columns: list[str]
    rows: list[list[str]]
    n_left_out: int = 0

    @classmethod
    def of(cls, frame: pd.DataFrame, most: int = MOST_ROWS) -> PageTable:
        """The first rows of a frame, as people read them."""
        rows = frame.head(most).itertuples(index=False, name=None)
        texts = [[cut(cell(value), MOST_CELL) for value in row] for row in rows]
        return cls(list(map(str, frame.columns)), texts, max(len(frame) - most, 0))

    @property
    def numeric(self) -> list[bool]:
        """Of each column, whether all that it has is numbers: they stand at the right."""
        return [are_numbers([row[i] for row in self.rows]) for i in range(len(self.columns))]


def are_numbers(texts: list[str]) -> bool:
    """Whether each cell that is not empty is a number, perhaps with a unit after it."""
    return all(_is_number(text) for text in texts if text)


def _is_number(text: str) -> bool:
    first, _, rest = text.partition(" ")
    try:
        float(first.replace(",", "").replace("%", ""))
    except ValueError:
        return False
    return not rest or rest == "%" or rest.isalpha()
