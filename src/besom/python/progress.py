"""What a call from Python shows while its sweep runs: a panel in a terminal or in a notebook."""

from __future__ import annotations

import importlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from besom.store.records import StudyRecord, TrialRecord
from besom.study.watcher import Watcher
from besom.terminal.sweep_view import LiveView, PlainView
from besom.text.console import TerminalConsole

#: A notebook's panel is redrawn at most this often.
_INTERVAL_S = 0.25
_WIDTH = 96


@contextmanager
def progress_view(progress: bool | None) -> Iterator[Watcher]:
    """Give who shows the progress of a sweep.

    Args:
        progress: False: nothing is shown; True: a panel, and where none can be drawn, one line per
            finished trial; None: a panel or nothing.
    """
    console = TerminalConsole(force_jupyter=False)
    if progress is False:
        yield Watcher()
    elif _in_notebook():
        with NotebookView() as panel:
            yield panel
    elif console.shows_panels:
        with LiveView(console) as panel:
            yield panel
    else:
        yield PlainView(console) if progress else Watcher()


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel, whose output is not a terminal's."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class NotebookView(LiveView):
    """The terminal's panel as HTML that is redrawn in place; what is said goes below it.

    Rich's own live display needs ipywidgets in a notebook; this needs nothing. It is drawn by the
    sweep's own thread, which calls ``idle`` at least once a second.
    """

    def __init__(self) -> None:
        super().__init__(TerminalConsole(force_jupyter=False, width=_WIDTH))
        self._shown: Any = None
        self._next = 0.0

    def __enter__(self) -> Self:
        display = importlib.import_module("IPython.display").display
        self._shown = display(self._rendered(), raw=True, display_id=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._workers, self._next = {}, 0.0
        self._redraw()

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        super().began(study, n_trials, n_workers)
        self._redraw()

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        super().epoch(trial, worker, epoch, metrics)
        self._redraw()

    def finished(self, trial: TrialRecord) -> None:
        super().finished(trial)
        self._redraw()

    def stopping(self, reason: str) -> None:
        super().stopping(reason)
        self._next = 0.0
        self._redraw()

    def idle(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        if time.monotonic() >= self._next:
            self._shown.update(self._rendered(), raw=True)
            self._next = time.monotonic() + _INTERVAL_S

    def _rendered(self) -> dict[str, str]:
        """The panel as HTML, and as text for who shows none."""
        page = TerminalConsole(
            file=io.StringIO(), record=True, width=_WIDTH, force_terminal=True, force_jupyter=False
        )
        page.print(self.render())
        text = page.export_text(clear=False)
        code = page.export_html(inline_styles=True, code_format="{code}")
        return {"text/html": f'<pre class="besom">{code}</pre>', "text/plain": text}
