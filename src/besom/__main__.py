"""The command ``besom``, and ``python -m besom``: hears Ctrl-C from the first moment on.

What a command needs takes a second to import. Until then nothing has begun that would have to end
in good order, so Ctrl-C ends the process at once, without a traceback from the midst of an import.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
_SHOW_CURSOR = b"\x1b[?25h"  # a panel may have hidden it


def main() -> NoReturn:
    """Run the command line; never returns."""
    # Where Ctrl-C is ignored (a script's background job), it stays so.
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, _end)
    from besom.cli import main as command_line

    came: list[int] = []

    def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
        if came:  # what the first one has begun to end would end in a traceback
            _end(signum, frame)
        came.append(signum)
        raise KeyboardInterrupt

    if heeded:
        signal.signal(signal.SIGINT, interrupt)
    code: object = 0
    try:
        command_line()
    except SystemExit as ending:
        code = ending.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    if heeded:
        # What Python does last is not to be interrupted noisily, nor the process killed by a late
        # one of several, once Python has put the system's own handler back.
        signal.signal(signal.SIGINT, signal.SIG_IGN if came or code == INTERRUPTED else _end)
    # Before a command begins, click ends an interrupted one with its own "Aborted!" and 1.
    sys.exit(INTERRUPTED if came and code == 1 else code)  # type: ignore[arg-type]


def _end(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """End at once: an exception might be swallowed by what is being imported, or shown.

    What was written stays, and workers end with this process, however it ends.
    """
    with contextlib.suppress(OSError):
        if os.isatty(1):
            os.write(1, _SHOW_CURSOR)
        os.write(2, b"besom: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
