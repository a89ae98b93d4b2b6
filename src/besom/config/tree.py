"""Dotted paths into plain configs: reading, listing, comparing and setting.

A path names mapping keys and list positions: ``model.hidden_units.0``. Only :func:`apply` sets
values, and it sets them in a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, Literal

from besom.config.types import Place, Refused
from besom.errors import SpaceError, did_you_mean


class Missing(Enum):
    """The type of :data:`MISSING`, for a path that is not there (null is a value)."""

    MISSING = "missing"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING


def lookup(node: Any, path: str, lengths: bool = False) -> Any:
    """Return the value at a dotted ``path``, or MISSING; the empty path is ``node`` itself.

    With ``lengths``, ``length`` reads the length of a list.

    Example:
        >>> lookup({"model": {"hidden_units": [512, 256]}}, "model.hidden_units.1")
        256
    """
    for key in path.split(".") if path else ():
        if isinstance(node, Mapping):
            node = node.get(key, MISSING)
        elif isinstance(node, list) and key == "length" and lengths:
            node = len(node)
        elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return MISSING
    return node


def has_path(node: Any, path: str) -> bool:
    """Whether a dotted path is in a plain config."""
    return lookup(node, path) is not MISSING


def every_path(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every dotted path of a plain config, inner nodes included, list positions left out."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from every_path(value, f"{prefix}{key}.")


def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
    """Plain data as dotted path to value; lists and empty mappings are values.

    Example:
        >>> leaves({"model": {"dropout": 0.2, "hidden_units": [64]}, "seed": 0})
        {'model.dropout': 0.2, 'model.hidden_units': [64], 'seed': 0}
    """
    if not isinstance(node, Mapping) or (prefix and not node):
        return {prefix: node}
    return {
        path: value
        for key, item in node.items()
        for path, value in leaves(item, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def within(path: str, outer: str) -> bool:
    """Whether ``path`` is ``outer`` itself or lies inside it."""
    return path == outer or path.startswith(f"{outer}.")


def overlap(a: str, b: str) -> bool:
    """Whether one of two dotted paths is the other, or lies inside it."""
    return within(a, b) or within(b, a)


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
        parent: Any = lookup(result, parent_path)
        current = lookup(parent, key)
        if current is MISSING:
            hint = did_you_mean(path, every_path(result))
            raise SpaceError(f"'{path}' is not in the config, so it cannot be set.{hint}")
        try:
            parent[int(key) if isinstance(parent, list) else key] = copy.deepcopy(
                Place(current).fit(value)
            )
        except Refused as refused:
            raise SpaceError(f"'{path}': {refused}") from None
    return result
