"""The console of every command, and its tables: what is printed cannot steer the terminal."""

from __future__ import annotations

import contextlib
import os
import pydoc
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from besom.text.printable import one_line, visible


class TerminalConsole(Console):
    """The console of every command: what enters it from outside cannot steer the terminal.

    Texts are shown as they are, without markup, and what is hidden in them as escapes. It falls
    silent when its reader is gone: ``besom sweep NAME | head``.
    """

    def __init__(self, quiet: bool = False, **settings: Any) -> None:
        super().__init__(quiet=quiet, markup=False, highlight=False, emoji=False, **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Render as rich does; no text keeps a control character."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)

    @property
    def shows_panels(self) -> bool:
        """Whether it can redraw in place; FORCE_COLOR makes no terminal of a file."""
        return self.is_interactive and self.file.isatty()

    def on_broken_pipe(self) -> None:
        """Go on without output: a run does not end with its reader."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


@contextlib.contextmanager
def paged(console: TerminalConsole) -> Iterator[TerminalConsole]:
    """Show what the block prints in the user's pager where it is longer than their terminal.

    The pager is ``$PAGER``, else less, which ends by itself where all fits on one screen.
    """
    if not (console.shows_panels and sys.stdin.isatty()):
        yield console
        return
    with console.capture() as captured:
        yield console
    text = captured.get()
    if len(text.splitlines()) < console.height:
        console.file.write(text)
        console.file.flush()
    else:
        os.environ.setdefault("LESS", "FRX")  # as git sets it: colours, and no clearing
        pydoc.pager(text)


def say(console: Console, line: str, wrap: bool = False) -> None:
    """Print one line of plain text; with ``wrap`` it is broken between words where it is long.

    The spaces that it begins with stand before all that it is broken into.
    """
    text = Text(one_line(line.lstrip(" ")))
    indent = " " * (len(line) - len(line.lstrip(" ")))
    for part in text.wrap(console, max(console.width - len(indent), 1)) if wrap else [text]:
        part.rstrip()
        console.print(Text(indent) + part, soft_wrap=True)


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
