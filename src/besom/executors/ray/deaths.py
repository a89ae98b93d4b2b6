"""Why an actor is gone, in words: from the exception that Ray raised for it.

A worker's process that ends is described by its actor. Here the actor itself is gone, its node, or
the connection to it.
"""

from __future__ import annotations

import re

from besom.errors import BesomError
from besom.executors.channel import Unprepared
from besom.executors.failures import Death

_NO_BESOM = re.compile(
    r"No module named '(?:besom|ray)(?:\.[\w.]*)?'|cannot import name '\w+' from 'besom[\w.]*'"
)
#: How Ray says that its versions differ.
_VERSIONS = re.compile(
    r"cluster was started with:\s+(Ray: \S+\s+Python: \S+)\s+This process .*?with:\s+"
    r"(Ray: \S+\s+Python: \S+)",
    re.DOTALL,
)
_EXIT_DETAIL = re.compile(r"Worker exit detail: (.+?)(?:\. Some common causes|$)", re.DOTALL)


def describe_loss(error: BaseException, node: str, node_lost: bool) -> Death:
    """Say why an actor is gone.

    Args:
        error: what a call of it raised; of Ray's classes, known by their names.
        node: the name of its node; empty where that is the coordinator's.
        node_lost: Ray says that the node is no longer there.
    """
    names = {base.__name__ for base in type(error).__mro__}
    text = str(error)
    if node_lost or names & {"NodeDiedError", "ActorUnavailableError"}:
        where = f"its node {node}" if node else "its node"
        return Death(f"{where} was lost (Ray notices that after 15 to 50 s)", node_lost=True)
    if "OutOfMemoryError" in names or "NODE_OUT_OF_MEMORY" in text:
        reason = "out of memory (killed by Ray, because its node was running out of memory)"
        return Death(reason, out_of_memory=True)
    if detail := _EXIT_DETAIL.search(text):
        return Death(f"its actor was killed or ended ({' '.join(detail[1].split()).rstrip('.')})")
    return Death(f"its actor is gone ({type(error).__name__}: {_lines(text)[-1]})")


def describe_unprepared_node(error: BaseException) -> Unprepared | None:
    """Say why no actor of besom can run on a node; None where that is not why it is gone.

    Args:
        error: what its first call raised.
    """
    if (lacks := _NO_BESOM.search(str(error))) is None:
        return None
    return Unprepared(
        "ConfigError",
        f"besom is not installed on a node of the Ray cluster, or not in the same version "
        f"({lacks[0]}). Use the same environment on all nodes.",
    )


def describe_unconnected(error: BaseException) -> str:
    """Say why Ray cannot be reached, and what to do, as the end of a sentence's message."""
    names, text = {base.__name__ for base in type(error).__mro__}, str(error)
    if isinstance(error, BesomError):
        return text
    if "AuthenticationError" in names or "InvalidAuthToken" in text:
        return (
            "the cluster asks for a token that this machine does not have. Run `ray get-auth-token`"
            " on the cluster's head, and put what it prints into ~/.ray/auth_token here, or set "
            "RAY_AUTH_TOKEN."
        )
    if found := _VERSIONS.search(text):
        theirs, ours = (" ".join(found[n].split()).replace(": ", " ") for n in (1, 2))
        return (
            f"it was started with {theirs}, and this machine has {ours}. Use the same environment "
            "on all nodes, and here."
        )
    return f"{_lines(text)[0].rstrip('.')} ({type(error).__name__}). Is the cluster running?"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()] or [""]
