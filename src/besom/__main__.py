"""The command ``besom``, and ``python -m besom``: handles Ctrl-C from the first moment on.

Importing what a command needs takes a second. Until then there is nothing to clean up, so Ctrl-C
ends the process at once, without a traceback from the middle of an import.
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
    # If Ctrl-C is ignored (a script's background job), it stays ignored.
    handles_interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if handles_interrupts:
        signal.signal(signal.SIGINT, _end_now)
    from besom.cli import main as command_line
    from besom.cli.completion_command import VARIABLE, register

    register()

    received: list[int] = []

    def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
        if received:  # while the first one is ending things, a second would cause a traceback
            _end_now(signum, frame)
        received.append(signum)
        raise KeyboardInterrupt

    if handles_interrupts:
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = _end_if_interrupted
    code: object = 0
    try:
        command_line(complete_var=VARIABLE)
    except SystemExit as ending:
        code = ending.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    # Interrupted before a command begins, click prints "Aborted!" and exits with 1.
    if code == INTERRUPTED or (received and code == 1):
        _end_interrupted()
    if handles_interrupts:
        signal.signal(signal.SIGINT, _end_now)  # no traceback while Python shuts down
    sys.exit(code)  # type: ignore[arg-type]


def _end_interrupted() -> NoReturn:
    """End with all that was printed, but without Python's own shutdown.

    A further Ctrl-C could print a traceback there. And Python kills itself with SIGINT at its very
    end if a KeyboardInterrupt has ever passed through ``exec``, as it does while a dataclass is
    made, however it was handled later.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def _end_if_interrupted(ignored: sys.UnraisableHookArgs) -> None:
    """Python drops an exception that is raised in a destructor or a weak reference's callback."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        _end_now(signal.SIGINT, None)
    sys.__unraisablehook__(ignored)


def _end_now(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """End at once: whatever is being imported might swallow an exception, or print it.

    What was written stays, and workers end with this process, however it ends.
    """
    with contextlib.suppress(OSError):
        if os.isatty(1):
            os.write(1, _SHOW_CURSOR)
        os.write(2, b"besom: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
