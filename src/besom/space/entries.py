"""The entries of a space: how one dotted path is sampled, stored and read back.

A scalar entry is one Optuna parameter. A list entry is a parameter for its length and one for each
element (or one for all). Optuna never sees a changing distribution: an element that is not needed
is simply not sampled, and a shape is given by sorting what was sampled.
"""

from __future__ import annotations

import abc
import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from besom.config.tree import MISSING
from besom.config.types import Refused, show
from besom.equality import same
from besom.space.conditions import Condition, Readable
from besom.space.domains import Choice, Domain
from besom.space.ranges import FloatRange, IntRange


@dataclass(frozen=True)
class Entry(abc.ABC):
    """What is sampled at one dotted path.

    Attributes:
        name: Optuna's name for it: the path, followed by ``@label`` where a path has several
            entries (``optimizer.learning_rate@sgd``).
        path: the dotted config path, or the config group.
        group: the config group whose options are sampled; None for config values.
        conditions: all must hold for the entry to apply.
    """

    name: str
    path: str
    group: str | None
    conditions: tuple[Condition, ...]

    def applies(self, drawn: Readable) -> bool:
        """Whether every condition holds for what is drawn."""
        return all(condition.holds(drawn) for condition in self.conditions)

    @property
    def condition(self) -> str:
        """The conditions in words, such as ``optimizer = sgd``; empty where there are none."""
        return " and ".join(map(str, self.conditions))

    @property
    @abc.abstractmethod
    def _values(self) -> Domain:
        """The domain of the value, or of a list's elements."""

    @property
    def low(self) -> int | float | None:
        """The lower bound (of a list: of its elements); None for choices."""
        return None if isinstance(self._values, Choice) else self._values.low

    @property
    def high(self) -> int | float | None:
        """The upper bound, included; None for choices."""
        return None if isinstance(self._values, Choice) else self._values.high

    @property
    def log(self) -> bool:
        """Whether it is sampled in log space."""
        return not isinstance(self._values, Choice) and self._values.log

    @property
    def step(self) -> int | float | None:
        """The distance between values; None for an interval and for choices."""
        if isinstance(self._values, IntRange):
            return self._values.step or 1
        return self._values.step if isinstance(self._values, FloatRange) else None

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """The values to choose from; None for a range."""
        return self._values.values if isinstance(self._values, Choice) else None

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """``group``, ``choice``, ``int``, ``float`` or ``list``."""

    @property
    @abc.abstractmethod
    def size(self) -> int | None:
        """How many values there are; None = infinitely many."""

    @abc.abstractmethod
    def distributions(self) -> dict[str, BaseDistribution]:
        """Every Optuna parameter it can produce."""

    @abc.abstractmethod
    def suggest(self, trial: BaseTrial) -> Any:
        """Sample it and return the typed value."""

    @abc.abstractmethod
    def encode(self, value: Any) -> dict[str, Any]:
        """Return the Optuna parameters that give this value; raises Refused if none do."""

    @abc.abstractmethod
    def decode(self, stored: Mapping[str, Any]) -> Any:
        """Return the typed value of stored Optuna parameters; MISSING if it was not sampled."""

    @abc.abstractmethod
    def points(self) -> Iterator[dict[str, Any]]:
        """Every value, as Optuna parameters; only where there is a size."""

    @abc.abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True)
class ScalarEntry(Entry):
    """One value: a number, or one of a few choices."""

    domain: Domain

    @property
    def _values(self) -> Domain:
        return self.domain

    @property
    def kind(self) -> str:
        """``group``, ``choice``, ``int`` or ``float``."""
        if self.group is not None:
            return "group"
        if isinstance(self.domain, IntRange):
            return "float" if self.domain.as_float else "int"
        return "float" if isinstance(self.domain, FloatRange) else "choice"

    @property
    def size(self) -> int | None:
        """How many values there are; None = infinitely many."""
        return self.domain.size

    def distributions(self) -> dict[str, BaseDistribution]:
        """The one Optuna parameter."""
        return {self.name: self.domain.distribution}

    def suggest(self, trial: BaseTrial) -> Any:
        """Sample it and return the typed value."""
        return self.domain.suggest(trial, self.name)

    def encode(self, value: Any) -> dict[str, Any]:
        """Return the Optuna parameter that gives this value."""
        return {self.name: self.domain.encode(value)}

    def decode(self, stored: Mapping[str, Any]) -> Any:
        """Return the typed value, or MISSING."""
        return self.domain.decode(stored[self.name]) if self.name in stored else MISSING

    def points(self) -> Iterator[dict[str, Any]]:
        """Every value."""
        return ({self.name: point} for point in self.domain.points())

    def __str__(self) -> str:
        return f"{self.kind}: {self.domain}"


@dataclass(frozen=True)
class ListEntry(Entry):
    """A list: its length first, then its elements.

    Attributes:
        length: the number of elements; where only one is possible it is no parameter.
        each: the values of an element.
        shape: ``any``: each element of its own; ``constant``: one value for all;
            ``decreasing``, ``increasing``: each of its own, then sorted (equal ones may follow
            each other). Sorting keeps the distributions the same in every trial, so that a
            sampler can learn from all of them; a bound by the element before would not.
    """

    length: Domain
    each: Domain
    shape: str = "any"

    @property
    def _values(self) -> Domain:
        return self.each

    @property
    def kind(self) -> str:
        """Always ``list``."""
        return "list"

    @property
    def lengths(self) -> tuple[int, ...]:
        """Every possible length."""
        return tuple(self.length.decode(point) for point in self.length.points())

    @property
    def has_length(self) -> bool:
        """Whether the length is sampled."""
        return self.length.size != 1

    @property
    def _length_name(self) -> str:
        return f"{self.name}.length"

    def _element_names(self, length: int) -> list[str]:
        if self.shape == "constant":
            return [f"{self.name}.each"] if length else []
        return [f"{self.name}.{i}" for i in range(length)]

    def _assemble(self, elements: list[Any], length: int) -> list[Any]:
        if self.shape == "constant":
            return [copy.deepcopy(element) for element in elements * length]
        if self.shape == "any":
            return elements
        return sorted(elements, reverse=self.shape == "decreasing")

    @property
    def size(self) -> int | None:
        """How many different lists there are; None = infinitely many."""
        n = self.each.size
        return None if n is None else sum(self._size_of(length, n) for length in self.lengths)

    def _size_of(self, length: int, n: int) -> int:
        if self.shape == "constant":
            return n if length else 1
        return n**length if self.shape == "any" else math.comb(n + length - 1, length)

    def distributions(self) -> dict[str, BaseDistribution]:
        """The length, where it is sampled, and an element for the longest list."""
        elements = self._element_names(max(self.lengths))
        each = dict[str, BaseDistribution](dict.fromkeys(elements, self.each.distribution))
        return {self._length_name: self.length.distribution, **each} if self.has_length else each

    def suggest(self, trial: BaseTrial) -> Any:
        """Sample it and return the list."""
        if self.has_length:
            length = self.length.suggest(trial, self._length_name)
        else:
            length = self.lengths[0]
        elements = [self.each.suggest(trial, name) for name in self._element_names(length)]
        return self._assemble(elements, length)

    def encode(self, value: Any) -> dict[str, Any]:
        """Return the Optuna parameters that give this list."""
        if not isinstance(value, list):
            raise Refused(f"{show(value)} is not a list")
        try:
            stored = {self._length_name: self.length.encode(len(value))}
        except Refused as refused:
            raise Refused(f"the length of {show(value)}: {refused}") from None
        names = self._element_names(len(value))
        encoded = [self.each.encode(item) for item in value]
        if not same(self._assemble(value[: len(names)], len(value)), value):
            raise Refused(f"{show(value)} is not {self.shape}")
        elements = dict(zip(names, encoded, strict=False))
        return (stored if self.has_length else {}) | elements

    def decode(self, stored: Mapping[str, Any]) -> Any:
        """Return the list, or MISSING."""
        if not self.has_length:
            length = self.lengths[0]
        elif self._length_name in stored:
            length = self.length.decode(stored[self._length_name])
        else:
            return MISSING
        names = self._element_names(length)
        if not all(name in stored for name in names):
            return MISSING
        return self._assemble([self.each.decode(stored[name]) for name in names], length)

    def points(self) -> Iterator[dict[str, Any]]:
        """Every different list."""
        for length in self.length.points():
            head = {self._length_name: length} if self.has_length else {}
            names = self._element_names(self.length.decode(length))
            for elements in self._elements(len(names)):
                yield head | dict(zip(names, elements, strict=True))

    def _elements(self, n: int) -> Iterator[tuple[Any, ...]]:
        if self.shape in ("any", "constant"):
            return itertools.product(self.each.points(), repeat=n)
        points: list[Any] = list(self.each.points())
        points.sort(reverse=self.shape == "decreasing")
        return itertools.combinations_with_replacement(points, n)

    def __str__(self) -> str:
        shape = "" if self.shape == "any" else f", {self.shape}"
        return f"list of {self.length} x ({self.each}){shape}"
