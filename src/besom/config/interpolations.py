"""Which values of a config are computed from others, as in ``patience: ${trainer.epochs}``.

Interpolations are resolved when a config is composed. Whoever changes a value later has to know
which others were computed from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from besom.config.tree import MISSING, lookup, overlap
from besom.errors import ConfigError

#: The most characters that a resolved config may have.
MOST_CHARACTERS = 4_000_000

#: ``${a.b}``, ``${.b}``, ``${a[b]}``, alone or inside a resolver's arguments; ``${oc.select:a.b}``.
_READ = re.compile(r"\$\{\s*(?:oc\.select:\s*)?(\.*[^\s.{}:,$][^{}:,$]*?)\s*[},]")


def reads(config: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The paths of values that are computed from others, and all the paths they depend on.

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


def check_growth(config: Mapping[str, Any]) -> None:
    """Refuse interpolations whose values would be far larger than the config as written.

    Nine lines of ``b: ${a}${a}${a}...`` are enough to fill the memory when they are resolved.

    Args:
        config: plain data, interpolations unresolved.

    Raises:
        ConfigError: names the value that grows.
    """
    sizes: dict[str, int] = {}

    def size_at(path: str) -> int:
        if path not in sizes:
            sizes[path] = 0  # a circle, which OmegaConf refuses itself
            node = lookup(config, path)
            sizes[path] = 1 if node is MISSING else size_of(node, path)
        return sizes[path]

    def size_of(node: Any, path: str) -> int:
        if isinstance(node, Mapping | list):
            pairs = node.items() if isinstance(node, Mapping) else enumerate(node)
            size = sum(size_of(item, f"{path}.{key}" if path else str(key)) for key, item in pairs)
        elif isinstance(node, str):
            size = len(node) + sum(size_at(_absolute(read, path)) for read in _READ.findall(node))
        else:
            size = 1
        if size > MOST_CHARACTERS:
            raise ConfigError(
                f"{path or 'The config'} would grow beyond {MOST_CHARACTERS:,} characters by its "
                "interpolations (${...}). Write the value itself."
            )
        return size

    size_of(config, "")


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
