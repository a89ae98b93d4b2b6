"""The order of sampling: what a condition reads comes before what depends on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from besom.errors import SpaceError


def sampling_order(needs: Mapping[str, Collection[str]]) -> list[str]:
    """Return every name after all the names it needs, otherwise in the order given.

    Raises:
        SpaceError: names need each other in a circle; the message walks around it.
    """
    order: list[str] = []
    waiting = list(needs)
    while waiting:
        ready = next((n for n in waiting if all(m in order for m in needs[n])), None)
        if ready is None:
            raise SpaceError(
                f"sweep.space: the conditions go in a circle: {' -> '.join(_circle(needs, order))} "
                "(each waits for the next). Remove one of these `when` lines."
            )
        order.append(ready)
        waiting.remove(ready)
    return order


def _circle(needs: Mapping[str, Collection[str]], done: Collection[str]) -> list[str]:
    walk = [next(name for name in needs if name not in done)]
    while True:
        following = next(n for n in needs[walk[-1]] if n not in done)
        if following in walk:
            return [*walk[walk.index(following) :], following]
        walk.append(following)
