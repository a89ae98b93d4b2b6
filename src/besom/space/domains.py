"""The values one Optuna parameter can take: how Optuna stores them, and what the config holds.

Optuna keeps numbers as it computes them (0.30000000000000004) and knows no lists or mappings. A
domain's ``decode`` turns what is stored into the typed value, its ``encode`` goes back.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Protocol

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from besom.config.kinds import Refused, show
from besom.equality import same
from besom.text.values import value_text

#: What Optuna can store as the value of a parameter.
Stored = None | bool | int | float | str


class Domain(Protocol):
    """The values of one Optuna parameter."""

    @property
    def distribution(self) -> BaseDistribution:
        """Optuna's distribution; the same for every trial."""
        ...

    @property
    def size(self) -> int | None:
        """How many values there are; None = infinitely many."""
        ...

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample the parameter called ``name`` and return the typed value."""
        ...

    def encode(self, value: Any) -> Stored:
        """Return what Optuna stores for a typed value; raises Refused where it lies outside."""
        ...

    def decode(self, stored: Any) -> Any:
        """Return the typed value of what Optuna stores."""
        ...

    def points(self) -> Iterator[Stored]:
        """Every value as stored, in order; only where there is a size."""
        ...


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class IntRange:
    """The ints from low to high, both included; ``as_float``: the config holds them as floats."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    as_float: bool = False

    @cached_property
    def distribution(self) -> IntDistribution:
        """Optuna's distribution."""
        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    @property
    def size(self) -> int:
        """How many ints."""
        return (self.high - self.low) // self.step + 1

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample the parameter and return the typed value."""
        value = trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)
        return self.decode(value)

    def encode(self, value: Any) -> Stored:
        """Return the int, if it is on the grid."""
        if not _number(value) or (isinstance(value, float) and not self.as_float):
            raise Refused(f"{show(value)} is no int")
        if not (self.low <= value <= self.high) or (value - self.low) % self.step:
            raise Refused(f"{show(value)} is not in {self}")
        return int(value)

    def decode(self, stored: Any) -> int | float:
        """Return the typed value."""
        return float(stored) if self.as_float else int(stored)

    def points(self) -> Iterator[Stored]:
        """Every int."""
        return iter(range(self.low, self.high + 1, self.step))

    def __str__(self) -> str:
        step = f", step {self.step}" if self.step != 1 else ""
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

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Sample the parameter and return the clean value."""
        value = trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
        return self.decode(value)

    def encode(self, value: Any) -> Stored:
        """Return the float, if it is in the interval and on the grid."""
        if not _number(value):
            raise Refused(f"{show(value)} is no number")
        if not (self.low <= value <= self.high) or not math.isclose(
            self.decode(value), value, rel_tol=1e-9, abs_tol=1e-9 * (self.step or 0.0)
        ):
            raise Refused(f"{show(value)} is not in {self}")
        return self.decode(value)

    def decode(self, stored: Any) -> float:
        """Return the float; on a grid, the one that is written 0.3, not 0.30000000000000004."""
        if self.step is None:
            return float(stored)
        return self._at(round((stored - self.low) / self.step))

    def _at(self, k: int) -> float:
        return float(Decimal(str(self.low)) + k * self._exact_step)

    def points(self) -> Iterator[Stored]:
        """Every float of the grid."""
        return map(self._at, range(self.size or 0)) if self.step is not None else iter([self.low])

    def __str__(self) -> str:
        step = f", step {show(self.step)}" if self.step is not None else ""
        return f"{show(self.low)} .. {show(self.high)}{step}{', log' if self.log else ''}"


class Choice:
    """A few values of any plain kind, in no order.

    Scalars are stored as they are, lists and mappings as their JSON text.

    Raises:
        Refused: there is none, one is given twice, or two would be stored as one
            (Optuna takes true for 1).
    """

    def __init__(self, values: list[Any]) -> None:
        if not values:
            raise Refused("there are no choices: give at least one")
        self.values = tuple(copy.deepcopy(values))
        self._by_label: dict[Stored, Any] = {}
        for value in self.values:
            if isinstance(value, float) and math.isnan(value):
                raise Refused("NaN cannot be a choice")
            label = show(value) if isinstance(value, list | dict) else value
            if label not in self._by_label:
                self._by_label[label] = value
            elif same(value, self._by_label[label]):
                raise Refused(f"{show(value)} is among the choices twice")
            else:
                other = self._by_label[label]
                raise Refused(
                    f"{show(other)} and {show(value)} cannot stand in one list of choices: "
                    "Optuna stores them as the same value"
                )
        self.labels = tuple(self._by_label)

    @cached_property
    def distribution(self) -> CategoricalDistribution:
        """Optuna's distribution."""
        return CategoricalDistribution(self.labels)

    @property
    def size(self) -> int:
        """How many choices."""
        return len(self.values)

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
        value = self._by_label.get(stored, stored)
        return copy.deepcopy(value) if isinstance(value, list | dict) else value

    def points(self) -> Iterator[Stored]:
        """Every label."""
        return iter(self.labels)

    def __str__(self) -> str:
        return ", ".join(map(value_text, self.values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and same(list(self.values), list(other.values))

    def __hash__(self) -> int:
        return hash(self.labels)

    def __repr__(self) -> str:
        return f"Choice({list(self.values)!r})"
