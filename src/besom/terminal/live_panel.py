"""A panel on the terminal that is redrawn in place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from besom.executors.signals import Suspension

#: What a panel shows until the first worker is ready.
STARTING = "starting the workers: importing TensorFlow, loading the data ..."
_SHOW_CURSOR, _HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


class LivePanel:
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


def stopping_text(reason: str) -> str:
    """What both views say when no new trials will start."""
    return f"stopping after the running epochs ({reason}); a second Ctrl-C stops at once"
