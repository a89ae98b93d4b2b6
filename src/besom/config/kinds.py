"""What a config field holds, read off its value, and which sampled values may stand there.

Configs are plain data by now, so the value in the base config says the type: null takes anything,
a float takes ints (they become floats), everything else takes its own kind and null. A mapping
with ``_target_`` builds an object and may stand for any value (a learning-rate schedule, say).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class Refused(ValueError):
    """Why a value or a definition cannot be used; whoever catches it says which entry it was."""


class NeverApplies(Refused):
    """An entry is tied to what is not sampled: no mistake where a sweep is narrowed
    (``optimizer=adam`` over a space with an entry for sgd), so it is left out."""


def show(value: Any) -> str:
    """Return a value as it would be written in JSON: ``null``, ``true``, ``"text"``, ``[1, 2]``."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)
    except TypeError:  # keys of several types have no order
        return json.dumps(value, ensure_ascii=False, default=repr)


@dataclass(frozen=True)
class Kind:
    """The kind of a value; ``element`` is the kind of a list's elements."""

    name: str
    element: Kind | None = None

    def __str__(self) -> str:
        if self.element is None or self.element.name == "anything":
            return _ARTICLES.get(self.name, self.name)
        return f"a list of {self.element.name}s"


_ARTICLES = {"int": "an int", "null": "null", "text": "text"} | {
    name: f"a {name}" for name in ("bool", "float", "list", "mapping")
}
ANYTHING = Kind("anything")


def kind_of(value: Any) -> Kind:
    """Return the kind of a plain value, null's being ``null``.

    Raises:
        Refused: it is no plain data.
    """
    if isinstance(value, list):
        return Kind("list", _common([kind_of(item) for item in value]))
    for key, item in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(key, str):
            raise Refused(f"{show(value)} has the key {key!r}, which is no text: quote it")
        kind_of(item)
    for kind, types in _PLAIN:
        if isinstance(value, types):
            return Kind(kind)
    raise Refused(f"{value!r} is a {type(value).__name__}, which no config can hold")


_PLAIN: tuple[tuple[str, type], ...] = (
    ("null", type(None)),
    ("bool", bool),
    ("int", int),
    ("float", float),
    ("text", str),
    ("mapping", Mapping),
)


def _common(kinds: Iterable[Kind]) -> Kind:
    """The kind that takes every element of one list: ints among floats are floats."""
    found = {kind for kind in kinds if kind.name != "null"}
    if {kind.name for kind in found} == {"int", "float"}:
        return Kind("float")
    return found.pop() if len(found) == 1 else ANYTHING


def narrowest(kinds: Iterable[Kind]) -> Kind:
    """The kind whose values fit every field: an int fits a float, anything fits null."""
    found = {kind.name: kind for kind in kinds if kind.name != "anything"}
    if set(found) == {"int", "float"}:
        return found["int"]
    return next(iter(found.values()), ANYTHING)


@dataclass(frozen=True)
class Field:
    """A place in the config.

    Attributes:
        kind: what may stand there.
        holds: the value that stands there now.
        where: which choice of groups it was read under, such as `` for model=cnn``; or empty.
        inside: whether it is the place of an element in the list that stands there.
    """

    kind: Kind
    holds: Any
    where: str = ""
    inside: bool = False

    @classmethod
    def holding(cls, value: Any, where: str = "") -> Field:
        """The field that holds ``value`` now; null takes anything."""
        kind = kind_of(value)
        return cls(ANYTHING if kind.name == "null" else kind, value, where)

    @property
    def elements(self) -> Field:
        """A field for the elements of this list."""
        return Field(self.kind.element or ANYTHING, self.holds, self.where, inside=True)

    def fit(self, value: Any) -> Any:
        """Return ``value`` as the field would hold it.

        Raises:
            Refused: it is of another kind.
        """
        return _fit(value, self)

    def refuse(self, what: str, advice: str = "") -> Refused:
        """Return the refusal of ``what``: names what the config holds."""
        kind = f"whose elements are {self.kind.name}s" if self.inside else str(kind_of(self.holds))
        held = f"but the config holds {show(self.holds)}{self.where}, {kind}"
        return Refused(f"{'the element ' if self.inside else ''}{what}, {held}.{advice}")


def _fit(value: Any, field: Field) -> Any:
    given, kind = kind_of(value), field.kind
    if kind.name == "anything" or given.name == "null":
        return value
    if isinstance(value, Mapping) and "_target_" in value:
        return value
    if kind.name == "float" and given.name == "int":
        return float(value)
    if isinstance(value, list) and kind.name == "list":
        return [_fit(item, field.elements) for item in value]
    if given.name != kind.name:
        raise field.refuse(f"{show(value)} is {given}", _advice(value, kind))
    return value


def _advice(value: Any, kind: Kind) -> str:
    """How to mend the usual slips: quoted numbers, YAML's on and off, 8.0 for 8."""
    if isinstance(value, str) and kind.name in ("int", "float") and is_number(value):
        return " A quoted number is text: write it without quotes."
    if isinstance(value, bool) and kind.name == "text":
        return " YAML reads on, off, yes and no as bools: quote them."
    if isinstance(value, float) and kind.name == "int" and value.is_integer():
        return f" Write {int(value)}."
    if kind.name == "list" and not isinstance(value, list):
        return " Give lists to choose from, or {length: ..., each: ...}."
    return ""


def is_number(text: str) -> bool:
    """Whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
