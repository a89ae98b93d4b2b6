"""Holds back Ctrl-C for the few moments in which it would leave a process untracked."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
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
