"""The one builder of tables for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from rich.table import Table
from rich.text import Text

from besom.text.printable import one_line, visible


def rich_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str,
    *,
    wrapped: Collection[str] = (),
    left: Collection[str] = (),
    overflow: Literal["fold", "ellipsis"] = "fold",
) -> Table:
    """Return a table in which nothing is taken for rich's markup.

    Args:
        headings: one per column.
        rows: texts, one per column; at the end of a row they may be missing.
        title: stands above it.
        wrapped: columns of texts: they begin at the left and may be wrapped.
        left: other columns that begin at the left.
        overflow: what becomes of a number that has no room.
    """
    shown = Text(one_line(title), style="table.title")
    table = Table(title=shown, title_justify="left", header_style="bold")
    for heading in headings:
        justify: Literal["left", "right"] = "left" if heading in (*wrapped, *left) else "right"
        no_wrap = heading not in wrapped
        table.add_column(
            Text(one_line(heading)), justify=justify, no_wrap=no_wrap, overflow=overflow
        )
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table
