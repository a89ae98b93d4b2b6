"""Nests: an array, or a dict, tuple or list of nests, as Keras takes several inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: An array, or a dict, tuple or list of nests.
Nest = Any


def is_nest(value: Any) -> bool:
    """Whether ``value`` holds arrays and is none itself; a list of plain numbers is an array.

    >>> import numpy as np
    >>> is_nest({"age": np.zeros(3)}), is_nest([np.zeros(3), np.zeros(3)]), is_nest([1, 2, 3])
    (True, True, False)
    """
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list | tuple) and any(
        hasattr(part, "shape") or isinstance(part, Mapping) for part in value
    )


def map_nest(function: Callable[..., Any], nest: Nest, *others: Nest) -> Nest:
    """Apply ``function`` to the leaves of ``nest``, and to those of ``others`` of its structure."""
    if not is_nest(nest):
        return function(nest, *others)
    if isinstance(nest, Mapping):
        return {k: map_nest(function, part, *(o[k] for o in others)) for k, part in nest.items()}
    mapped = [map_nest(function, *parts) for parts in zip(nest, *others, strict=True)]
    return mapped if isinstance(nest, list) else tuple(mapped)


def named_leaves(nest: Nest, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf after its place, such as ``age``, ``[0]`` or ``text[1]``; a lone array's is empty.

    >>> import numpy as np
    >>> [name for name, _ in named_leaves({"age": np.zeros(3), "text": (np.zeros(3),)})]
    ['age', 'text[0]']
    """
    if not is_nest(nest):
        yield path, nest
    elif isinstance(nest, Mapping):
        for key, part in nest.items():
            yield from named_leaves(part, f"{path}.{key}" if path else str(key))
    else:
        for i, part in enumerate(nest):
            yield from named_leaves(part, f"{path}[{i}]")


def leaves(nest: Nest) -> list[Any]:
    """The arrays of a nest, in its order."""
    return [leaf for _, leaf in named_leaves(nest)]


def with_leaves(nest: Nest, values: list[Any]) -> Nest:
    """A nest of the same structure with other leaves, given in its order."""
    left = iter(values)
    return map_nest(lambda _: next(left), nest)
