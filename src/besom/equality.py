"""When two values are the same, and what counts as a number.

To Python's ``==`` True is 1, and NaN is not NaN unless both are the same object inside a container
(and which containers look at identity changed with Python 3.13). Here a value equals itself after
it was stored and read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from numbers import Real
from typing import Any, TypeGuard


def same(a: Any, b: Any) -> bool:
    """Whether two plain values are the same value: 1 is 1.0, True is not 1, and NaN is NaN."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Real) and isinstance(b, Real):
        return bool(a == b or (a != a and b != b))
    if isinstance(a, list | tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and bool(a == b)


def is_real(value: Any) -> TypeGuard[int | float]:
    """Whether it is an int or a float of Python's, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class SameFields:
    """A dataclass (``eq=False``) that equals another of its class if their fields are the same.

    For records of measurements, in which NaN says that something is not known.
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return all(same(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]
