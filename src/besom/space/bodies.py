"""What one entry of a space says, checked on its own: a range, choices or a list.

Nothing here knows the config yet; :func:`to_domain` later fits a body to the fields it will fill.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from besom.config.kinds import Field, Kind, Refused, is_number, kind_of, narrowest, show
from besom.errors import did_you_mean
from besom.space.domains import Choice, Domain, FloatRange, IntRange

RANGE_KEYS = ("type", "low", "high", "log", "step")
#: Optuna computes with doubles: beyond this, ints run into each other.
_LARGEST_INT = 2**53


@dataclass(frozen=True)
class RangeBody:
    """Numbers from low to high, both included; ``type`` None: told by bounds and config."""

    low: int | float
    high: int | float
    type: str | None = None
    log: bool = False
    step: int | float | None = None

    @property
    def whole(self) -> bool:
        """Whether every number in it is written as an int."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step or 1))


@dataclass(frozen=True)
class ChoiceBody:
    """Values to choose from."""

    values: list[Any]
    with_own_spaces: bool = False


@dataclass(frozen=True)
class ListBody:
    """Lists: a length, then elements; ``shape`` is any, constant, decreasing or increasing."""

    length: RangeBody | ChoiceBody
    each: RangeBody | ChoiceBody
    shape: str = "any"


Body = RangeBody | ChoiceBody | ListBody


def no_other_keys(given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a key that the form does not have."""
    for key in given:
        if key not in known:
            raise Refused(f"unknown key {show(key)}.{did_you_mean(str(key), known)}")


def flag(given: Mapping[str, Any], key: str) -> bool:
    """Return a switch that is off where it is not given."""
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key} is {show(value)}: write true or false")
    return value


def range_body(given: Mapping[str, Any]) -> RangeBody:
    """Read ``{type, low, high, log, step}``, everything but the bounds optional.

    Raises:
        Refused: a bound is missing or no finite number, low is above high, a log range starts at
            or below 0, or the step does not lead from low to high.
    """
    no_other_keys(given, RANGE_KEYS)
    kind = given.get("type")
    if kind not in (None, "int", "float"):
        hint = " Choices go under {choices: [...]}." if kind in ("categorical", "choice") else ""
        raise Refused(f"type is {show(kind)}: write int or float.{hint}")
    low, high = _bound(given, "low"), _bound(given, "high")
    step = None if given.get("step") is None else _bound(given, "step")
    body = RangeBody(low, high, kind, flag(given, "log"), step)
    if kind == "int" and not body.whole:
        slip = next(k for k in ("low", "high", "step") if isinstance(given.get(k), float))
        raise Refused(f"type is int, and {slip} is {show(given[slip])}: write an int")
    if low > high:
        raise Refused(f"low ({show(low)}) is greater than high ({show(high)})")
    if not math.isfinite(high - low):
        raise Refused(f"from {show(low)} to {show(high)} is further than a double can tell")
    if body.log and low <= 0:
        raise Refused(f"a log range starts above 0, and low is {show(low)}")
    _check_step(body)
    return body


def _bound(given: Mapping[str, Any], key: str) -> int | float:
    if given.get(key) is None:
        raise Refused(f"{key} is missing: a range has low and high")
    value = given[key]
    if isinstance(value, str) and is_number(value):
        raise Refused(f"{key} is the text {show(value)}: write it without quotes")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{key} is {show(value)}: write a number")
    if isinstance(value, int) and abs(value) > _LARGEST_INT:
        raise Refused(f"{key} is {value}: ints beyond 2**53 cannot be sampled exactly")
    if not math.isfinite(value):
        raise Refused(f"{key} is {show(value)}: a range is finite")
    return value


def _check_step(body: RangeBody) -> None:
    if body.step is None:
        return
    if body.step <= 0:
        raise Refused(f"step is {show(body.step)}: write a number above 0")
    if body.log and body.step != 1:
        raise Refused("step and log exclude each other: drop one, or list the choices")
    if (body.high - body.low) / body.step > _LARGEST_INT:
        raise Refused(
            f"step is {show(body.step)}: from {show(body.low)} to {show(body.high)} these are too "
            "many steps to tell apart. Leave the step out"
        )
    low, high, step = (Decimal(str(n)) for n in (body.low, body.high, body.step))
    if (high - low) % step:
        below = low + (high - low) // step * step
        number = int if body.whole else float
        raise Refused(
            f"the step does not fit: from {show(body.low)} in steps of {show(body.step)}, high "
            f"can be {show(number(below))} or {show(number(below + step))}, not {show(body.high)}"
        )


def to_domain(body: RangeBody | ChoiceBody, fields: Sequence[Field]) -> Domain:
    """Return the domain of values of a body, typed for every field it may fill.

    Raises:
        Refused: a field holds another kind of value.
    """
    kind = narrowest(field.kind for field in fields)
    if isinstance(body, ChoiceBody):
        return Choice([_fitted(value, kind, fields) for value in body.values])
    whole = body.type == "int" or (body.type is None and body.whole and kind.name != "float")
    for field in fields:
        takes = ("anything", "float", "int") if whole else ("anything", "float")
        if field.kind.name not in takes:
            raise field.refuse(f"{_text(body)} is a range of {_noun(whole)}", _range_advice(field))
    if whole:
        low, high, step = int(body.low), int(body.high), int(body.step or 1)
        return IntRange(low, high, body.log, step, as_float=kind.name == "float")
    if body.log and body.step is not None:
        raise Refused("step and log exclude each other: drop one, or list the choices")
    step_size = None if body.step is None else float(body.step)
    return FloatRange(float(body.low), float(body.high), body.log, step_size)


def _fitted(value: Any, kind: Kind, fields: Sequence[Field]) -> Any:
    for field in fields:
        field.fit(value)
    kind_of(value)
    return Field(kind, None).fit(value)


def _text(body: RangeBody) -> str:
    return f"{show(body.low)} .. {show(body.high)}"


def _noun(whole: bool) -> str:
    return "ints" if whole else "floats"


def _range_advice(field: Field) -> str:
    if field.kind.name == "int":
        return (
            " Write {type: int, low: ..., high: ...} or 'int(interval(...))', or give the config "
            "a float if floats are meant."
        )
    if field.kind.name == "list":
        return " A list is {length: ..., each: ...}."
    return " List the choices instead."
