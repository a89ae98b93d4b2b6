"""May this value stand here? One rule for overrides, options, exports, spaces and enqueued configs.

A config group is open, so no dataclass knows its keys. The value that stands in a place, in the
option's YAML or in the composed config, is the *reference*: it says what else may stand there.

- Where null, ``auto`` or an unresolved interpolation stands, anything may.
- null may stand anywhere: it means "not set", and the function that gets it says if it needs more.
- An int may stand for a float. Nothing else is converted: 8.0 is no int, and 1 is no bool.
- A mapping with ``_target_`` builds an object, such as a learning-rate schedule: it may stand where
  a number or text stands.
- A list takes what its elements have in common; a mapping is compared key by key, and keys that
  only one side has are free.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from besom.errors import ConfigError
from besom.targets import TARGET
from besom.text.values import given_text

#: The kinds of plain values (a bool is an int to Python, so bools come first), and what messages
#: call one, and say that they expect.
_KINDS: dict[str, tuple[type, str, str]] = {
    "null": (type(None), "null", "null"),
    "bool": (bool, "a bool", "true or false"),
    "int": (int, "an int", "a whole number"),
    "float": (float, "a float", "a number"),
    "text": (str, "text", "text"),
    "list": (list, "a list", "a list"),
    "mapping": (Mapping, "a mapping", "a mapping"),
}


class Refused(ValueError):
    """Why a value or a definition cannot be used; whoever catches it says which entry it was."""


class _Misfit(Exception):
    """A value that may not stand where its reference stands; ``path`` leads to it from outside."""

    def __init__(self, path: str, value: Any, reference: Any) -> None:
        super().__init__(path, value, reference)
        self.path, self.value, self.reference = path, value, reference


def show(value: Any) -> str:
    """Return a value as it would be written in JSON: ``null``, ``true``, ``"text"``, ``[1, 2]``."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)
    except TypeError:  # keys of several types have no order
        return json.dumps(value, ensure_ascii=False, default=repr)


def kind_of(value: Any) -> str:
    """Return the kind of a plain value: null, bool, int, float, text, list or mapping.

    Raises:
        Refused: it is no plain data, or something inside it is not.
    """
    for key, item in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(key, str):
            raise Refused(f"{show(value)} has the key {key!r}, which is not text: quote it")
        kind_of(item)
    for item in value if isinstance(value, list) else ():
        kind_of(item)
    for kind, (cls, _, _) in _KINDS.items():
        if isinstance(value, cls):
            return kind
    raise Refused(f"{value!r} is a {type(value).__name__}, which no config can hold")


def is_open(reference: Any) -> bool:
    """Whether anything may stand where ``reference`` stands."""
    return (
        reference is None
        or reference == "auto"  # stands for a value of any type: the function says which
        or (isinstance(reference, str) and "${" in reference)
    )


def _fit(value: Any, reference: Any, path: str) -> Any:
    """Return ``value`` as the place of ``reference`` would hold it: an int as a float, say."""
    if is_open(reference) or value is None:
        return value
    wanted, given = kind_of(reference), kind_of(value)
    if given == "mapping" and wanted in ("int", "float", "text") and TARGET in value:
        return value
    if given == "int" and wanted == "float":
        return float(value)
    if given != wanted:
        raise _Misfit(path, value, reference)
    if given == "list":
        element = element_of(reference)
        return [_fit(item, element, f"{path}.{i}") for i, item in enumerate(value)]
    if given == "mapping" and value.get(TARGET) == reference.get(TARGET):
        return {
            key: _fit(item, reference.get(key), f"{path}.{key}") if key != TARGET else item
            for key, item in value.items()
        }
    return value


def element_of(items: list[Any]) -> Any:
    """A reference for the elements of a list: one of them; null where they differ in kind."""
    given = [item for item in items if item is not None]
    kinds = {kind_of(item) for item in given}
    if kinds == {"int", "float"}:
        return next(item for item in given if isinstance(item, float))
    if kinds == {"mapping"}:
        if any(item.get(TARGET) != given[0].get(TARGET) for item in given):
            return {}
        keys = dict.fromkeys(key for item in given for key in item)
        return {key: element_of([item.get(key) for item in given]) for key in keys}
    return given[0] if len(kinds) == 1 else None


def check_group(path: str, value: Any, reference: Mapping[str, Any]) -> None:
    """Check the node of a config group against the option it was composed from.

    Args:
        path: the dotted path of both, for the message.
        value: plain data.
        reference: plain data of the option's YAML, interpolations unresolved.

    Raises:
        ConfigError: names the path, what is expected, as in the option, and what was given.
    """
    try:
        if value is None:
            raise _Misfit("", value, reference)
        _fit(value, reference, "")
    except _Misfit as misfit:
        where, such = f"{path}{misfit.path}", given_text(misfit.reference)
        raise ConfigError(
            f"{where} is {given_text(misfit.value)}, expected {_expected(misfit.reference)} such "
            f"as {such}. Set it with {where}=VALUE."
        ) from None
    except Refused as why:
        raise ConfigError(f"{path}: {why}.") from None


def _expected(reference: Any) -> str:
    return _KINDS[kind_of(reference)][2]


def numbers_as_text(node: Any) -> Any:
    """Plain data with text for keys that are ints, such as weights by class: as it is stored.

    Functions get them as ints again, see ``besom.targets``. A mapping that has both a number and
    the same as text stays as it is.

    >>> numbers_as_text({0: 1.0, "kind": [{1: 5.0}]})
    {'0': 1.0, 'kind': [{'1': 5.0}]}
    """
    if isinstance(node, list):
        return [numbers_as_text(item) for item in node]
    if not isinstance(node, dict):
        return node
    as_text = len({str(key) for key in node}) == len(node)
    return {
        str(k) if as_text and type(k) is int else k: numbers_as_text(v) for k, v in node.items()
    }


def check_keys(node: Any, path: str = "") -> None:
    """Refuse a mapping whose keys are not text, at any depth: none is stored as it is.

    Raises:
        ConfigError: names the mapping's path, and the key.
    """
    items = node.items() if isinstance(node, Mapping) else ()
    for key, value in enumerate(node) if isinstance(node, list) else items:
        if isinstance(node, Mapping) and not isinstance(key, str):
            raise ConfigError(
                f"{path or 'the config'} has the key {key!r}, expected text: configs are stored as "
                f"JSON, where keys are text. Quote it ('{key}'), and let the function that takes "
                "the mapping convert it back."
            )
        check_keys(value, f"{path}.{key}" if path else str(key))


@dataclass(frozen=True)
class Place:
    """A place in the config that sampled or enqueued values may fill.

    Attributes:
        holds: the value that stands there now.
        where: which choice of groups it was read under, such as `` for model=cnn``; or empty.
        inside: whether it is the place of an element in the list that stands there.
    """

    holds: Any
    where: str = ""
    inside: bool = False

    @property
    def reference(self) -> Any:
        """What says which values may stand there."""
        return element_of(self.holds) if self.inside else self.holds

    @property
    def kind(self) -> str:
        """The kind of value that may stand there, or ``anything``."""
        return "anything" if is_open(self.reference) else kind_of(self.reference)

    @property
    def elements(self) -> Place:
        """The place of this list's elements; where no list stands, they may be anything."""
        return Place(self.holds if isinstance(self.holds, list) else [], self.where, inside=True)

    def at(self, key: str) -> Place:
        """The place of a key in this mapping; where no mapping stands, it may hold anything."""
        holds = self.reference.get(key) if isinstance(self.reference, Mapping) else None
        return Place(holds, self.where)

    def fit(self, value: Any) -> Any:
        """Return ``value`` as the config would hold it.

        Raises:
            Refused: it may not stand there.
        """
        kind_of(value)
        try:
            return _fit(value, self.reference, "")
        except _Misfit as misfit:
            place, path = self, misfit.path[1:]
            if path and isinstance(self.reference, list):
                place, path = self.elements, path.partition(".")[2]
            given = f"{show(misfit.value)} is {_describe(misfit.value)}"
            advice = _advice(misfit.value, misfit.reference)
            raise place.refuse(f"{given} (at {path})" if path else given, advice) from None

    def refuse(self, what: str, advice: str = "") -> Refused:
        """Return the refusal of ``what``: names what the config holds."""
        kind = f"whose elements are {self.kind}s" if self.inside else _describe(self.holds)
        held = f"but the config holds {show(self.holds)}{self.where}, {kind}"
        return Refused(f"{'the element ' if self.inside else ''}{what}, {held}.{advice}")


def narrowest(places: Iterable[Place]) -> Any:
    """The reference that fits every place: an int's among floats; null where anything fits."""
    typed = {place.kind: place.reference for place in places if place.kind != "anything"}
    return typed["int"] if set(typed) == {"int", "float"} else next(iter(typed.values()), None)


def _describe(value: Any) -> str:
    if isinstance(value, list) and (element := element_of(value)) is not None:
        return f"a list of {kind_of(element)}s"
    return _KINDS[kind_of(value)][1]


def _advice(value: Any, reference: Any) -> str:
    """How to mend the usual slips: quoted numbers, YAML's on and off, 8.0 for 8."""
    kind = kind_of(reference)
    if isinstance(value, str) and kind in ("int", "float") and is_number(value):
        return " A quoted number is text: write it without quotes."
    if isinstance(value, bool) and kind == "text":
        return " YAML reads on, off, yes and no as bools: quote them."
    if isinstance(value, float) and kind == "int" and value.is_integer():
        return f" Write {int(value)}."
    if kind == "list" and not isinstance(value, list):
        return " Give lists to choose from, or {length: ..., each: ...}."
    return ""


def is_number(text: str) -> bool:
    """Whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
