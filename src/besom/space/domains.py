"""What an entry's value is chosen from: a range of numbers, or choices. (Lists: ``lists``.)

Each is made once from what is written, and ``fitted`` to the config later. Optuna keeps numbers as
it computes them (0.30000000000000004), so values are converted: ``encode`` gives what is stored,
``decode`` the typed value.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from besom.config.tree import MISSING
from besom.config.types import Place, Refused, kind_of, narrowest, show
from besom.equality import same
from besom.text.values import value_text

STEP_OR_LOG = "step and log exclude each other: drop one, or list the choices"

#: What Optuna can store as the value of a parameter.
Stored = None | bool | int | float | str


class Values(ABC):
    """The values of one entry: one of Optuna's parameters called ``name``, or several whose names
    begin with it."""

    is_conditional = False
    """Whether one of these parameters can be absent while another is there."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many values there are; None = infinitely many."""

    @abstractmethod
    def distributions(self, name: str) -> dict[str, BaseDistribution]:
        """Every parameter that there can be."""

    @abstractmethod
    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample the parameters and return the typed value."""

    @abstractmethod
    def params_of(self, value: Any, name: str) -> dict[str, Any]:
        """Return the parameters that give this value; raises Refused if none do."""

    @abstractmethod
    def value_of(self, stored: Mapping[str, Any], name: str) -> Any:
        """Return the typed value of stored parameters; MISSING if it was not sampled."""

    @abstractmethod
    def every(self, name: str) -> Iterator[dict[str, Any]]:
        """Every different value, as parameters; only where there is a size."""

    def choices_at(self, path: str) -> Iterator[tuple[str, tuple[Any, ...]]]:  # noqa: ARG002
        """What is chosen from, of these or inside them, each with its path; ranges left out."""
        return iter(())


class _Single(Values):
    """The values of a single parameter."""

    distribution: Any

    @abstractmethod
    def encode(self, value: Any) -> Any:
        """Return what Optuna stores for a value; raises Refused if it is none of these."""

    @abstractmethod
    def decode(self, stored: Any) -> Any:
        """Return the typed value."""

    @abstractmethod
    def points(self) -> Iterator[Any]:
        """Every value, as it is stored."""

    def distributions(self, name: str) -> dict[str, BaseDistribution]:
        return {name: self.distribution}

    def params_of(self, value: Any, name: str) -> dict[str, Any]:
        return {name: self.encode(value)}

    def value_of(self, stored: Mapping[str, Any], name: str) -> Any:
        return self.decode(stored[name]) if name in stored else MISSING

    def every(self, name: str) -> Iterator[dict[str, Any]]:
        return ({name: point} for point in self.points())


@dataclass(frozen=True)
class Range(_Single):
    """The numbers from low to high, both included; with a step, only low + k * step.

    Attributes:
        step: None: every int, or every float.
        is_int: whether Optuna samples ints.
        is_declared: whether ``type`` is written; else a float in the config makes ints floats.
        as_float: whether the config holds the ints as floats.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    is_int: bool = False
    is_declared: bool = True
    as_float: bool = False

    @cached_property
    def distribution(self) -> BaseDistribution:
        """Optuna's distribution."""
        if self.is_int:
            step = int(self.step or 1)
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    @cached_property
    def size(self) -> int | None:
        """How many numbers; None for an interval of floats."""
        if self.step is None and not self.is_int:
            return 1 if self.low == self.high else None
        steps = (Decimal(str(self.high)) - Decimal(str(self.low))) / Decimal(str(self.step or 1))
        return int(steps) + 1

    def fitted(self, places: Sequence[Place]) -> Range:
        """Return the range as these places hold them; raises Refused if one cannot."""
        kinds = {place.kind for place in places} - {"anything"}
        if kinds == {"float"} and self.is_int and not self.is_declared:
            if self.log and self.step is not None:
                raise Refused(STEP_OR_LOG)
            step = None if self.step is None else float(self.step)
            return Range(float(self.low), float(self.high), self.log, step)
        takes = {"int", "float"} if self.is_int else {"float"}
        for place in places:
            if place.kind not in takes | {"anything"}:
                noun = "ints" if self.is_int else "floats"
                given = f"{show(self.low)} .. {show(self.high)} is a range of {noun}"
                raise place.refuse(given, _ADVICE.get(place.kind, " List the choices instead."))
        return replace(self, is_declared=True, as_float=self.is_int and kinds == {"float"})

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample the parameter and return the typed value."""
        if self.is_int:
            step, low, high = int(self.step or 1), int(self.low), int(self.high)
            return self.decode(trial.suggest_int(name, low, high, step=step, log=self.log))
        value = trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
        return self.decode(value)

    def encode(self, value: Any) -> Any:
        """Return the number, if it is in the range and on the grid."""
        is_float = isinstance(value, float)
        if isinstance(value, bool) or not (is_float or isinstance(value, int)):
            raise Refused(f"{show(value)} is not a number")
        if is_float and self.is_int and not self.as_float:
            raise Refused(f"{show(value)} is not an int")
        if not self.low <= value <= self.high or not self._has(value):
            raise Refused(f"{show(value)} is not in {self}")
        return int(value) if self.is_int else self.decode(value)

    def _has(self, value: float) -> bool:
        """Whether a number in the range is on the grid."""
        if self.is_int:
            return not (value - self.low) % (self.step or 1)
        near = 1e-9 * (self.step or 0.0)
        return math.isclose(self.decode(value), value, rel_tol=1e-9, abs_tol=near)

    def decode(self, stored: Any) -> Any:
        """Return the number; on a grid, the one that is written 0.3, not 0.30000000000000004."""
        if self.is_int:
            return float(stored) if self.as_float else int(stored)
        if self.step is None:
            return float(stored)
        return self._at(round((stored - self.low) / self.step))

    def _at(self, k: int) -> int | float:
        number = int if self.is_int else float
        return number(Decimal(str(self.low)) + k * Decimal(str(self.step or 1)))

    def points(self) -> Iterator[Any]:
        """Every number."""
        return map(self._at, range(self.size or 0))

    def __str__(self) -> str:
        is_plain = self.step is None or (self.is_int and self.step == 1)
        step = "" if is_plain else f", step {show(self.step)}"
        return f"{show(self.low)} .. {show(self.high)}{step}{', log' if self.log else ''}"


_ADVICE = {
    "int": " Write {type: int, low: ..., high: ...} or 'int(interval(...))', or give the config a "
    "float if floats are meant.",
    "list": " A list is {length: ..., each: ...}.",
}


class Choice(_Single):
    """A few values of any plain kind, in no order.

    Scalars are stored as they are, lists and mappings as their JSON text.

    Attributes:
        values: at least one.
        with_own_spaces: of a config group's options: whether each brings its own entries along.

    Raises:
        Refused: there is none, one is given twice, or two would be stored as one
            (Optuna takes true for 1).
    """

    def __init__(self, values: Sequence[Any], with_own_spaces: bool = False) -> None:
        if not values:
            raise Refused("there are no choices: give at least one")
        self.values = tuple(copy.deepcopy(values))
        self.with_own_spaces = with_own_spaces
        self._by_label: dict[Stored, Any] = {}
        for value in self.values:
            kind_of(value)
            if isinstance(value, float) and math.isnan(value):
                raise Refused("NaN cannot be a choice")
            label = show(value) if isinstance(value, list | dict) else value
            if label not in self._by_label:
                self._by_label[label] = value
            elif same(value, other := self._by_label[label]):
                raise Refused(f"{show(value)} is among the choices twice")
            else:
                raise Refused(
                    f"{show(other)} and {show(value)} cannot both be choices: Optuna stores them "
                    "as the same value"
                )
        self.labels = tuple(self._by_label)

    @cached_property
    def distribution(self) -> CategoricalDistribution:
        """Optuna's distribution."""
        return CategoricalDistribution(self.labels)

    def choices_at(self, path: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """These."""
        return iter([(path, self.values)])

    @property
    def size(self) -> int:
        """How many choices."""
        return len(self.values)

    def fitted(self, places: Sequence[Place]) -> Choice:
        """Return the choices as these places hold them; raises Refused if one cannot."""
        for value in self.values:
            for place in places:
                place.fit(value)
        place = Place(narrowest(places))
        return Choice([place.fit(value) for value in self.values])

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample the parameter and return the typed value."""
        return self.decode(trial.suggest_categorical(name, self.labels))

    def encode(self, value: Any) -> Stored:
        """Return the label of a value that is the same as one of the choices."""
        for label, choice in self._by_label.items():
            if same(choice, value):
                return label
        raise Refused(f"{show(value)} is not one of {self}")

    def decode(self, stored: Any) -> Any:
        """Return the choice stored under a label; a label of an older space stays as it is."""
        return copy.deepcopy(self._by_label.get(stored, stored))

    def points(self) -> Iterator[Stored]:
        """Every label."""
        return iter(self.labels)

    def __str__(self) -> str:
        return ", ".join(map(value_text, self.values))


#: The values of one Optuna parameter.
Domain = Range | Choice
