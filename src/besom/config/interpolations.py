"""Which values of a config are made from others, as in ``patience: ${trainer.epochs}``.

Interpolations are resolved when a config is composed. What changes a value after that has to know
what was made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: ``${a.b}``, ``${.b}``, ``${a[b]}``, alone or inside a resolver's arguments; ``${oc.select:a.b}``.
_READ = re.compile(r"\$\{\s*(?:oc\.select:\s*)?(\.*[^\s.{}:,$][^{}:,$]*?)\s*[},]")


def reads(config: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The paths of values that are made from others, and the paths these read, at any remove.

    Args:
        config: plain data, interpolations unresolved.
    """
    direct = dict(_direct(config))
    found = {path: set(read) for path, read in direct.items()}
    for read in found.values():
        waiting = list(read)
        while waiting:
            path = waiting.pop()
            further = {r for p, inner in direct.items() if overlap(p, path) for r in inner} - read
            read |= further
            waiting += further
    return {path: frozenset(read) for path, read in found.items()}


def overlap(a: str, b: str) -> bool:
    """Whether one of two dotted paths is the other, or lies inside it."""
    return f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")


def _direct(node: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    if isinstance(node, str):
        if found := {_absolute(read, path) for read in _READ.findall(node)}:
            yield path, found
        return
    items = node.items() if isinstance(node, Mapping) else ()
    for key, value in enumerate(node) if isinstance(node, list) else items:
        yield from _direct(value, f"{path}.{key}" if path else str(key))


def _absolute(read: str, path: str) -> str:
    """The path from the root; each leading dot of a relative one goes up from where it stands."""
    names = read.lstrip(".")
    up = len(read) - len(names)
    outer = path.split(".")[:-up] if up else []
    return ".".join([*outer, names.replace("[", ".").replace("]", "")])
