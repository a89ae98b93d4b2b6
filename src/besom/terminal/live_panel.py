"""A panel on the terminal that is redrawn in place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from besom.executors.signals import Suspension
from besom.text.numbers import duration
from besom.text.printable import one_line

#: What a panel shows until the first worker is ready.
STARTING = "starting the workers: importing TensorFlow, loading the data ..."
#: A terminal narrower than this has no room for a bar, nor for a metric's name on each line.
NARROW = 60
BAR = 30

_SHOW_CURSOR, _HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


class LivePanel:
    """A context manager: what ``render`` gives is redrawn in place, and gone at the end.

    What is printed to the console meanwhile stays above it. Ctrl-Z gives the shell its cursor back.
    """

    _console: Console
    _live: Live | None = None
    _stopping = ""

    def __enter__(self) -> Self:
        self._suspension = Suspension(self._control(_SHOW_CURSOR), self._control(_HIDE_CURSOR))
        self._suspension.__enter__()
        self._live = Live(
            console=self._console, get_renderable=self.render, refresh_per_second=4, transient=True
        )
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
            self._live = None
        self._suspension.__exit__(*error)

    def _control(self, code: bytes) -> Callable[[], None]:
        def write() -> None:
            # Past the console: the signal may have come in the midst of its own writing.
            with contextlib.suppress(OSError):
                os.write(self._console.file.fileno(), code)

        return write

    def render(self) -> RenderableType:
        """The panel as it stands."""
        raise NotImplementedError

    def stopping(self, reason: str) -> None:
        """No new runs; the panel says so from now on."""
        self._stopping = stopping_text(reason)

    def panel(
        self,
        name: str,
        done: int,
        total: int,
        eta_s: float | None,
        lines: Iterable[Text],
        workers: Iterable[Sequence[str]],
    ) -> RenderableType:
        """Name, bar and time to go; then ``lines``; then one row per worker."""
        to_go = "" if eta_s is None else f"ETA {duration(eta_s)}"
        texts = [f"{done}/{total}", "stopping" if self._stopping else to_go]
        bar: list[RenderableType] = []
        if self._console.width >= NARROW:
            bar = [ProgressBar(total=max(total, 1), completed=done, width=BAR)]
        # If there is no room, it is the name that gives way.
        room = self._console.width - sum(len(text) + 1 for text in texts) - len(bar) * (BAR + 1)
        head, table = Table.grid(padding=(0, 1)), Table.grid(padding=(0, 1))
        head.add_column(no_wrap=True, overflow="ellipsis", max_width=max(1, room))
        head.add_row(Text(one_line(name), style="bold"), *bar, *texts)
        for cells in workers:
            table.add_row(*(Text(one_line(cell)) for cell in cells))
        stopping = [Text(one_line(self._stopping), style="yellow")] if self._stopping else []
        # Last: on a low terminal, what does not fit is cut off at the bottom.
        return Group(head, *lines, *stopping, table)


def stopping_text(reason: str) -> str:
    """What both views say when no new trials will start."""
    return f"stopping after the running epochs ({reason}); a second Ctrl-C stops at once"
