"""How a worker on Ray ended, in words: from the exception that Ray raised for it, and its log."""

from __future__ import annotations

import re

from besom.executors.failures import MEMORY_WORDS, Death

#: Python's faulthandler says so as the last thing.
_FATAL = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
_EXIT_DETAIL = re.compile(r"Worker exit detail: (.+?)(?:\. Some common causes|$)", re.DOTALL)
#: How Ray says that it only knows that a process is no longer there.
_SILENT = "unexpectedly exits with a connection error"


def describe_end(
    error: BaseException, node: str, node_lost: bool, log_tail: str, oom_killed: bool
) -> Death:
    """Say why a worker is gone.

    Args:
        error: what a call of the actor raised; of Ray's classes, known by their names.
        node: the name of the worker's node; empty where that is the coordinator's.
        node_lost: Ray says that the node is no longer there.
        log_tail: the end of what the worker printed.
        oom_killed: the kernel's out-of-memory killer struck on this machine since the last such
            death.
    """
    names = {base.__name__ for base in type(error).__mro__}
    text = str(error)
    if node_lost or names & {"NodeDiedError", "ActorUnavailableError"}:
        where = f"its node {node}" if node else "Ray on this machine"
        return Death(f"{where} was lost (Ray notices that after 15 to 50 s)", node_lost=True)
    if "OutOfMemoryError" in names or "NODE_OUT_OF_MEMORY" in text:
        reason = "out of memory (killed by Ray, because its node was running out of memory)"
        return Death(reason, out_of_memory=True)
    if oom_killed:
        return Death(
            "out of memory (killed by the kernel's out-of-memory killer)", out_of_memory=True
        )
    if found := _FATAL.search(log_tail):
        return Death(f"crashed ({found[1].strip()})")
    if MEMORY_WORDS.search(log_tail):
        return Death("out of memory (its process ended)", out_of_memory=True)
    if detail := _EXIT_DETAIL.search(text):
        said = " ".join(detail[1].split()).rstrip(".")
        if _SILENT not in said:
            return Death(f"its process ended ({said})")
        return Death("its process was killed, or ended by itself; Ray does not know the signal")
    return Death(f"Ray lost it ({type(error).__name__}: {_last_line(text)})")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "without a message"
