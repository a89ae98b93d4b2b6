"""Why an actor is gone, in words: from the exception that Ray raised for it.

A worker's process that ends is described by its actor. Here the actor itself is gone, its node, or
the connection to it.
"""

from __future__ import annotations

import re

from besom.executors.failures import Death

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
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return Death(f"its actor is gone ({type(error).__name__}: {lines[-1] if lines else ''})")
