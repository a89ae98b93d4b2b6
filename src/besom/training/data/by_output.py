"""One value, or one for each output: a dict, or a list, as the labels are one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from besom.errors import DataError, did_you_mean

#: One value, or a dict or list of them by output.
ByOutput = Any


def by_output(function: Callable[..., Any], *values: ByOutput) -> ByOutput:
    """Call ``function`` with the values of each output; a dict or list of what it returns.

    >>> by_output(max, {"a": 1, "b": 5}, {"a": 2, "b": 4}), by_output(max, 1, 2)
    ({'a': 2, 'b': 5}, 2)
    """
    first = values[0]
    if isinstance(first, Mapping):
        return {key: function(*(value[key] for value in values)) for key in first}
    if _is_list(first):
        return [function(*of_one) for of_one in zip(*values, strict=True)]
    return function(*values)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(part, str) or hasattr(part, "shape") for part in value
    )


def parts(value: ByOutput) -> list[Any]:
    """The values of all outputs."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if _is_list(value) else [value]


def keys(value: ByOutput) -> set[Any]:
    """The names or numbers of the outputs; of one output, None."""
    if isinstance(value, Mapping):
        return set(value)
    return set(range(len(value))) if _is_list(value) else {None}


def listed(value: ByOutput) -> str:
    """``one output``, or ``the outputs price, sold``."""
    if keys(value) == {None}:
        return "one output"
    return "the outputs " + ", ".join(sorted(map(str, keys(value))))


def wheres(where: str, y: ByOutput) -> ByOutput:
    """The beginning of a message about each output."""
    if isinstance(y, Mapping):
        return {key: f"{where}, output {key!r}" for key in y}
    return [f"{where}, output {i}" for i in range(len(y))] if _is_list(y) else where


def spread(value: Any, y: ByOutput, option: str, where: str) -> ByOutput:
    """``value`` for each output of ``y``; where it is by output, None for those it leaves out."""
    known = keys(y)
    if not isinstance(value, Mapping | list | tuple):
        return by_output(lambda _: value, y)
    given: dict[Any, Any] = dict(value if isinstance(value, Mapping) else enumerate(value))
    for key in given:
        if known == {None}:
            raise DataError(
                f"{where}: {option} is given by output, but the labels are of one output."
            )
        if key not in known:
            hint = did_you_mean(str(key), [str(name) for name in known])
            raise DataError(f"{where}: {option} names an output {key!r}, which is not there.{hint}")
    if isinstance(y, Mapping):
        return {key: given.get(key) for key in y}
    return [given.get(i) for i in range(len(y))]
