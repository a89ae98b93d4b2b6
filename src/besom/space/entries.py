"""An entry of a space: how one dotted path is sampled, stored and read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from besom.config.tree import MISSING
from besom.space.conditions import Condition, Drawn
from besom.space.domains import Choice, Domain, Lists, Range, Values


@dataclass(frozen=True)
class Entry:
    """What is sampled at one dotted path.

    Attributes:
        name: Optuna's name for it: the path, followed by ``@label`` where a path has several
            entries (``optimizer.learning_rate@sgd``).
        path: the dotted config path, or the config group.
        group: the config group whose options are sampled; None for config values.
        conditions: all must hold for the entry to apply.
        values: what it is chosen from, fitted to the config.
    """

    name: str
    path: str
    group: str | None
    conditions: tuple[Condition, ...]
    values: Values

    def applies(self, drawn: Drawn) -> bool:
        """Whether every condition holds for what is drawn."""
        return all(condition.holds(drawn) for condition in self.conditions)

    @property
    def condition(self) -> str:
        """The conditions in words, such as ``optimizer = sgd``; empty where there are none."""
        return " and ".join(map(str, self.conditions))

    @property
    def _each(self) -> Domain:
        """The values, or those of a list's elements."""
        return self.values.each if isinstance(self.values, Lists) else self.values

    @property
    def low(self) -> int | float | None:
        """The lower bound (of a list: of its elements); None for choices."""
        return self._each.low if isinstance(self._each, Range) else None

    @property
    def high(self) -> int | float | None:
        """The upper bound, included; None for choices."""
        return self._each.high if isinstance(self._each, Range) else None

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """The values to choose from; None for a range."""
        return self._each.values if isinstance(self._each, Choice) else None

    @property
    def kind(self) -> str:
        """``group``, ``choice``, ``int``, ``float`` or ``list``."""
        if isinstance(self.values, Lists):
            return "list"
        if isinstance(self.values, Range):
            return "int" if self.values.is_int and not self.values.as_float else "float"
        return "choice" if self.group is None else "group"

    @property
    def size(self) -> int | None:
        """How many values there are; None = infinitely many."""
        return self.values.size

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every Optuna parameter it can produce."""
        if isinstance(self.values, Lists):
            return self.values.distributions(self.name)
        return {self.name: self.values.distribution}

    def suggest(self, trial: BaseTrial) -> Any:
        """Sample it and return the typed value."""
        return self.values.suggest(trial, self.name)

    def encode(self, value: Any) -> dict[str, Any]:
        """Return the Optuna parameters that give this value; raises Refused if none do."""
        if isinstance(self.values, Lists):
            return self.values.encode(value, self.name)
        return {self.name: self.values.encode(value)}

    def decode(self, stored: Mapping[str, Any]) -> Any:
        """Return the typed value of stored Optuna parameters; MISSING if it was not sampled."""
        if isinstance(self.values, Lists):
            return self.values.decode(stored, self.name)
        return self.values.decode(stored[self.name]) if self.name in stored else MISSING

    def points(self) -> Iterator[dict[str, Any]]:
        """Every value, as Optuna parameters; only where there is a size."""
        if isinstance(self.values, Lists):
            return self.values.points(self.name)
        return ({self.name: point} for point in self.values.points())

    def __str__(self) -> str:
        kind = "" if isinstance(self.values, Lists) else f"{self.kind}: "
        return f"{kind}{self.values}"
