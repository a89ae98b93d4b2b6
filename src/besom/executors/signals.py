"""SIGINT and SIGTERM while trials run (once in good order, twice at once), Ctrl-Z, and moments
in which no signal may come.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopSignals:
    """A context manager within which a signal stops the work instead of the process.

    The first one calls ``stop``; a second one, or one while there is nothing to stop, is handed to
    who had the signal before, as Python's own handler and the command line's raise
    KeyboardInterrupt; else that is raised here. Outside the main thread nothing is caught: its
    owner decides.

    Attributes:
        stop: called with the reason, such as ``SIGINT received``; None as long as nothing runs.
    """

    def __init__(self, stop: Callable[[str], None] | None = None) -> None:
        self.stop = stop
        self._received = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                # Where one is ignored (a script's background job), it stays so.
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self._received += 1
        if self.stop is None or self._received > 1:
            before = self._before.get(signal.Signals(signum))
            if callable(before):
                before(signum, frame)
            raise KeyboardInterrupt
        self.stop(f"{signal.Signals(signum).name} received")


class Suspension:
    """A context manager within which Ctrl-Z (SIGTSTP) suspends the process between two calls.

    Outside the main thread, or where Ctrl-Z is ignored or another's business, it does nothing.

    Args:
        before: called before the process stops; from a signal's handler, so it may come in the
            middle of anything.
        after: called when it goes on.
    """

    def __init__(self, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._call_before, self._call_after = before, after
        self._installed = False

    def __enter__(self) -> Suspension:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, self._suspend)
            self._installed = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._installed:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            self._installed = False

    def _suspend(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._call_before()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._call_after()


@contextmanager
def held_back() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the block is over; use it for milliseconds only.

    Python runs their handlers in the main thread, between any two instructions, so between the
    birth of a process and the note of its number too. Other threads need no such care.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        came.append(signum)

    ours = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not None]
    before = {signum: signal.signal(signum, note) for signum in ours}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        for number in came:
            signal.raise_signal(number)
