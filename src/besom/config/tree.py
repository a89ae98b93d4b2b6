"""Dotted paths into plain configs: reading, listing and writing them, apart from what they mean.

A path names mapping keys and list positions: ``model.hidden_units.0``. Only :func:`apply` writes,
and it writes into a copy, typed by what the config holds already.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, Literal

from besom.config.kinds import Field, Refused
from besom.errors import SpaceError, did_you_mean


class Missing(Enum):
    """The type of :data:`MISSING`, for a path that is not there (null is a value)."""

    MISSING = "missing"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING


def descend(node: Any, keys: tuple[str, ...]) -> Any:
    """Return what lies under ``keys`` inside ``node``, or MISSING.

    A list answers to its positions and to ``length``.
    """
    for key in keys:
        if isinstance(node, Mapping):
            node = node.get(key, MISSING)
        elif isinstance(node, list) and key == "length":
            node = len(node)
        elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return MISSING
    return node


def lookup(config: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted ``path`` of a plain config, or MISSING."""
    return descend(config, tuple(path.split(".")))


def every_path(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every dotted path of a plain config, inner nodes included, list positions left out."""
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from every_path(value, f"{prefix}{key}.")


def within(path: str, outer: str) -> bool:
    """Whether ``path`` is ``outer`` itself or lies inside it."""
    return path == outer or path.startswith(f"{outer}.")


def apply(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a plain config with ``values`` set at their dotted paths.

    Lists and mappings are set whole. Values are typed by what the config holds: an int becomes a
    float where a float stands; nothing else is converted.

    Raises:
        SpaceError: a path is not in the config, or a value is of another type than what is there.

    Example:
        >>> apply({"optimizer": {"learning_rate": 0.001}}, {"optimizer.learning_rate": 1})
        {'optimizer': {'learning_rate': 1.0}}
    """
    result: dict[str, Any] = copy.deepcopy(dict(config))
    for path, value in values.items():
        parent_path, _, key = path.rpartition(".")
        parent: Any = lookup(result, parent_path) if parent_path else result
        current = descend(parent, (key,))
        if current is MISSING or (isinstance(parent, list) and not key.isdecimal()):
            hint = did_you_mean(path, every_path(result))
            raise SpaceError(f"'{path}' is not in the config, so it cannot be set.{hint}")
        try:
            parent[int(key) if isinstance(parent, list) else key] = copy.deepcopy(
                Field.holding(current).fit(value)
            )
        except Refused as refused:
            raise SpaceError(f"'{path}': {refused}") from None
    return result
