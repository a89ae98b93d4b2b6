"""Ranges of numbers: read from ``{type, low, high, log, step}``, fitted to the config, sampled.

Optuna keeps numbers as it computes them (0.30000000000000004). ``decode`` turns what is stored into
the typed value, ``encode`` goes back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from besom.config.types import Place, Refused, is_number, show
from besom.equality import is_real
from besom.space.keys import RANGE_KEYS, flag, no_other_keys

#: Optuna computes with doubles: beyond this, ints run into each other.
_LARGEST_INT = 2**53
_STEP_OR_LOG = "step and log exclude each other: drop one, or list the choices"


@dataclass(frozen=True)
class IntRange:
    """The ints from low to high, both included.

    Attributes:
        step: None: every int.
        is_declared: whether ``type: int`` is written; else a float in the config makes it floats.
        as_float: whether the config holds them as floats.
    """

    low: int
    high: int
    log: bool = False
    step: int | None = None
    is_declared: bool = True
    as_float: bool = False

    @cached_property
    def distribution(self) -> IntDistribution:
        """Optuna's distribution."""
        return IntDistribution(self.low, self.high, log=self.log, step=self.step or 1)

    @property
    def size(self) -> int:
        """How many ints."""
        return (self.high - self.low) // (self.step or 1) + 1

    def fitted(self, places: Sequence[Place]) -> IntRange | FloatRange:
        """Return the range as the places that it may fill hold it.

        Raises:
            Refused: one of them holds another kind of value.
        """
        kinds = {place.kind for place in places} - {"anything"}
        if kinds == {"float"} and not self.is_declared:
            if self.log and self.step is not None:
                raise Refused(_STEP_OR_LOG)
            step = None if self.step is None else float(self.step)
            return FloatRange(float(self.low), float(self.high), self.log, step)
        _check_places(self, places, "ints", {"int", "float"})
        return replace(self, is_declared=True, as_float=kinds == {"float"})

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample the parameter and return the typed value."""
        step = self.step or 1
        return self.decode(trial.suggest_int(name, self.low, self.high, step=step, log=self.log))

    def encode(self, value: Any) -> int:
        """Return the int, if it is on the grid."""
        if not is_real(value) or (isinstance(value, float) and not self.as_float):
            raise Refused(f"{show(value)} is not an int")
        if not (self.low <= value <= self.high) or (value - self.low) % (self.step or 1):
            raise Refused(f"{show(value)} is not in {self}")
        return int(value)

    def decode(self, stored: Any) -> Any:
        """Return the typed value."""
        return float(stored) if self.as_float else int(stored)

    def points(self) -> Iterator[int]:
        """Every int."""
        return iter(range(self.low, self.high + 1, self.step or 1))

    def __str__(self) -> str:
        step = f", step {self.step}" if (self.step or 1) != 1 else ""
        return f"{self.low} .. {self.high}{step}{', log' if self.log else ''}"


@dataclass(frozen=True)
class FloatRange:
    """The floats from low to high, both included; with a step, only low + k * step."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @cached_property
    def distribution(self) -> FloatDistribution:
        """Optuna's distribution."""
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    @property
    def size(self) -> int | None:
        """How many floats; None for an interval."""
        if self.step is not None:
            return int((Decimal(str(self.high)) - Decimal(str(self.low))) / self._exact_step) + 1
        return 1 if self.low == self.high else None

    @cached_property
    def _exact_step(self) -> Decimal:
        return Decimal(str(self.step))

    def fitted(self, places: Sequence[Place]) -> FloatRange:
        """Return the range, if every place that it may fill takes floats.

        Raises:
            Refused: one of them holds another kind of value.
        """
        _check_places(self, places, "floats", {"float"})
        return self

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample the parameter and return the clean value."""
        value = trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
        return self.decode(value)

    def encode(self, value: Any) -> Any:
        """Return the float, if it is in the interval and on the grid."""
        if not is_real(value):
            raise Refused(f"{show(value)} is not a number")
        if not (self.low <= value <= self.high) or not math.isclose(
            self.decode(value), value, rel_tol=1e-9, abs_tol=1e-9 * (self.step or 0.0)
        ):
            raise Refused(f"{show(value)} is not in {self}")
        return self.decode(value)

    def decode(self, stored: Any) -> Any:
        """Return the float; on a grid, the one that is written 0.3, not 0.30000000000000004."""
        if self.step is None:
            return float(stored)
        return self._at(round((stored - self.low) / self.step))

    def _at(self, k: int) -> float:
        return float(Decimal(str(self.low)) + k * self._exact_step)

    def points(self) -> Iterator[float]:
        """Every float of the grid."""
        return map(self._at, range(self.size or 0)) if self.step is not None else iter([self.low])

    def __str__(self) -> str:
        step = f", step {show(self.step)}" if self.step is not None else ""
        return f"{show(self.low)} .. {show(self.high)}{step}{', log' if self.log else ''}"


def read_range(given: Mapping[str, Any]) -> IntRange | FloatRange:
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
    log = flag(given, "log")
    if kind == "int" and (slip := [k for k in RANGE_KEYS if isinstance(given.get(k), float)]):
        raise Refused(f"type is int, and {slip[0]} is {show(given[slip[0]])}: write an int")
    if low > high:
        raise Refused(f"low ({show(low)}) is greater than high ({show(high)})")
    if not math.isfinite(high - low):
        raise Refused(f"the distance from {show(low)} to {show(high)} is too large for a double")
    if log and low <= 0:
        raise Refused(f"a log range starts above 0, and low is {show(low)}")
    _check_step(low, high, log, step)
    if kind == "int" or (kind is None and not any(isinstance(n, float) for n in (low, high, step))):
        whole = None if step is None else int(step)
        return IntRange(int(low), int(high), log, whole, is_declared=kind == "int")
    if log and step is not None:
        raise Refused(_STEP_OR_LOG)
    return FloatRange(float(low), float(high), log, None if step is None else float(step))


def _bound(given: Mapping[str, Any], key: str) -> int | float:
    if given.get(key) is None:
        raise Refused(f"{key} is missing: a range has low and high")
    value = given[key]
    if isinstance(value, str) and is_number(value):
        raise Refused(f"{key} is the text {show(value)}: write it without quotes")
    if not is_real(value):
        raise Refused(f"{key} is {show(value)}: write a number")
    if isinstance(value, int) and abs(value) > _LARGEST_INT:
        raise Refused(f"{key} is {value}: ints beyond 2**53 cannot be sampled exactly")
    if not math.isfinite(value):
        raise Refused(f"{key} is {show(value)}: a range is finite")
    return value


def _check_step(low: int | float, high: int | float, log: bool, step: int | float | None) -> None:
    if step is None:
        return
    if step <= 0:
        raise Refused(f"step is {show(step)}: write a number above 0")
    if log and step != 1:
        raise Refused(_STEP_OR_LOG)
    if (high - low) / step > _LARGEST_INT:
        raise Refused(
            f"step is {show(step)}: there are too many steps from {show(low)} to {show(high)} to "
            "tell them apart. Omit the step"
        )
    first, last, by = (Decimal(str(n)) for n in (low, high, step))
    if (last - first) % by:
        below = first + (last - first) // by * by
        number = int if all(isinstance(n, int) for n in (low, high, step)) else float
        raise Refused(
            f"the step does not fit: from {show(low)} in steps of {show(step)}, high can be "
            f"{show(number(below))} or {show(number(below + by))}, not {show(high)}"
        )


def _check_places(
    values: IntRange | FloatRange, places: Sequence[Place], noun: str, takes: set[str]
) -> None:
    for place in places:
        if place.kind not in takes | {"anything"}:
            bounds = f"{show(values.low)} .. {show(values.high)}"
            raise place.refuse(f"{bounds} is a range of {noun}", _ADVICE.get(place.kind, _CHOICES))


_CHOICES = " List the choices instead."
_ADVICE = {
    "int": " Write {type: int, low: ..., high: ...} or 'int(interval(...))', or give the config a "
    "float if floats are meant.",
    "list": " A list is {length: ..., each: ...}.",
}
