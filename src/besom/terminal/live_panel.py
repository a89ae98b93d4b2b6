"""The terminal of what takes long: a console nobody need read, a panel redrawn in place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from besom.text.printable import one_line, visible
from besom.executors.signals import Suspension

#: What a panel shows until the first worker is ready.
STARTING = "starting the workers: importing TensorFlow, loading the data ..."
_SHOW_CURSOR, _HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


class Screen(Console):
    """The console of every command: what enters it from outside cannot steer the terminal.

    Texts are shown as they are, without markup, and what is hidden in them as escapes. It falls
    silent when nobody reads it any more: ``besom sweep NAME | head``.
    """

    def __init__(self, quiet: bool = False) -> None:
        super().__init__(quiet=quiet, markup=False, highlight=False, emoji=False)

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
        """Go on unheard: what runs is not to end with its reader."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


class Panel:
    """A context manager: what ``render`` gives is redrawn in place, and gone at the end.

    What is printed to the console meanwhile stays above it. Ctrl-Z gives the shell its cursor back.
    """

    _console: Console
    _live: Live | None = None

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


def say(console: Console, line: str, wrap: bool = False) -> None:
    """Print one line of plain text; with ``wrap`` it is broken between words where it is long."""
    console.print(Text(one_line(line)), soft_wrap=not wrap)


def stopping_text(reason: str) -> str:
    """What both views say when no new trials will start."""
    return f"stopping after the running epochs ({reason}); a second Ctrl-C stops at once"
