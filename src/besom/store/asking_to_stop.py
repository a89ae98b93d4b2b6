"""Asks who runs a study to stop in good order, from another process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from besom.errors import StudyError
from besom.store import holding
from besom.store.holder import Holder
from besom.store.paths import StudyPaths
from besom.store.storage import stored_url

#: What is run to its end by itself, and in an instant.
_BRIEF = ("rename", "delete", "import")

_ENDS = {"sweep": " Running trials end with their epoch and are kept for a resume."}

#: How often it is looked whether a study has been given back.
_LOOK_S = 0.2


def stop_study(paths: StudyPaths, name: str) -> str:
    """Ask who runs a study to stop.

    A process on this machine gets a signal. One elsewhere finds a wish in the study's database,
    when it next renews its hold.

    Returns:
        Who was asked, in a sentence; empty if nobody runs it.

    Raises:
        StudyError: it cannot be asked from here.
    """
    url = stored_url(paths)
    holder = holding.who_holds(paths, url, name)
    if holder is None or holder.is_alive is False:
        return ""
    if holder.command in _BRIEF:
        raise StudyError(f"The study {name!r} is {holder}, which cannot be stopped. Wait for it.")
    ends = _ENDS.get(holder.command, "")
    if holder.is_here:
        _signal(holder, name)
        return f"{name} is {holder}: that process was told to stop.{ends}"
    if url is None or holding.ask_to_stop(paths, url, name, "`besom study stop`") is None:
        raise StudyError(
            f"The study {name!r} is {holder}, out of reach of this command. Give it on "
            f"{holder.host}, or there: kill -INT {holder.pid}"
        )
    return f"{name} is {holder}: that process sees within 10 s that it is to stop.{ends}"


def _signal(holder: Holder, name: str) -> None:
    """Send what Ctrl-C sends; where that is ignored, as in a script's background job, SIGTERM."""
    signum = signal.SIGTERM if _ignores_interrupts(holder.pid) else signal.SIGINT
    try:
        os.kill(holder.pid, signum)
    except ProcessLookupError:
        pass  # it has just ended
    except PermissionError:
        raise StudyError(
            f"The study {name!r} is {holder}, which belongs to another user. Ask them to stop it."
        ) from None


def _ignores_interrupts(pid: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    ignored = next((line.split()[1] for line in lines if line.startswith("SigIgn:")), "0")
    return bool(int(ignored, 16) >> (signal.SIGINT - 1) & 1)


def wait_for_the_end(paths: StudyPaths, name: str) -> None:
    """Return when nobody runs the study any more."""
    url = stored_url(paths)
    while (holder := holding.who_holds(paths, url, name)) and holder.is_alive is not False:
        time.sleep(_LOOK_S)
