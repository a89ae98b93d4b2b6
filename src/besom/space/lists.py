"""Lists: a length, and elements that are numbers, choices or mappings of entries.

For a list, Optuna has a parameter for the length and those of each element (or of one for all). It
never sees a changing distribution: an element that is not needed is not sampled, and a shape is
given by sorting what was sampled.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from besom.config.tree import MISSING
from besom.config.types import Place, Refused, show
from besom.equality import same
from besom.space.domains import Domain, Range, Values


@dataclass(frozen=True)
class Definition:
    """What one entry says, checked on its own.

    Attributes:
        name: the key as written, for messages and as Optuna's name.
        path: the name without its ``@label``: the dotted config path, or the config group.
        group: the config group, or None.
        values: what it is chosen from.
        when: the lines of its ``when``, and for an option's own entry the choice of the option.
    """

    name: str
    path: str
    group: str | None
    values: Values | Lists
    when: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Fields:
    """The entries of a list's elements as written; ``structs`` has them fitted to the config."""

    definitions: tuple[Definition, ...]


@dataclass(frozen=True)
class LengthOf:
    """The length that another list has.

    Attributes:
        path: that list's.
        lengths: every length that it can have; empty until it is known.
    """

    path: str
    lengths: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}.length"


@dataclass(frozen=True)
class Lists(Values):
    """Lists: a length, then elements.

    Attributes:
        length: the number of elements; where only one is possible it is no parameter.
        each: the values of an element.
        shape: ``any``: each element of its own; ``constant``: one value for all;
            ``decreasing``, ``increasing``: each of its own, then sorted (equal ones may follow
            each other). Sorting keeps the distributions the same in every trial, so that a
            sampler can learn from all of them; a bound by the element before would not.
    """

    length: Domain | LengthOf
    each: Values | Fields
    shape: str = "any"

    @property
    def lengths(self) -> tuple[int, ...]:
        """Every possible length."""
        if isinstance(self.length, LengthOf):
            return self.length.lengths
        return tuple(self.length.decode(point) for point in self.length.points())

    @property
    def has_length(self) -> bool:
        """Whether the length is sampled, and here."""
        return not isinstance(self.length, LengthOf) and self.length.size != 1

    @property
    def is_conditional(self) -> bool:  # type: ignore[override]
        """Whether a parameter can be absent while another is there."""
        return len(self.lengths) > 1 or self._each.is_conditional

    def choices_at(self, path: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Those of an element."""
        return self._each.choices_at(path)

    @property
    def size(self) -> int | None:
        """How many values there are; None = infinitely many."""
        n = self._each.size
        return None if n is None else sum(self.size_at(length) for length in self.lengths)

    def size_at(self, length: int) -> int:
        """How many different lists of one length there are, where there is a size."""
        n = self._each.size or 0
        if self.shape == "constant":
            return n if length else 1
        return n**length if self.shape == "any" else math.comb(n + length - 1, length)

    @property
    def _each(self) -> Values:
        assert isinstance(self.each, Values)  # as they are after ``fitted``
        return self.each

    def of_length(self, n: int) -> Lists:
        """Those of one length."""
        return replace(self, length=Range(n, n, is_int=True))

    def fitted(self, places: Sequence[Place]) -> Lists:
        """Return the lists as these places hold them; raises Refused if one cannot.

        Elements that are mappings stay as written.
        """
        for place in places:
            if place.kind not in ("list", "anything"):
                raise place.refuse("this is a list", " Write a range or choices.")
        each, length = self.each, self.length
        if isinstance(each, Domain):
            each = each.fitted([place.elements for place in places])
        if isinstance(length, Domain):
            length = length.fitted([])
        return Lists(length, each, self.shape)

    def _names(self, name: str, length: int) -> list[str]:
        """Optuna's names for the elements."""
        if self.shape == "constant":
            return [f"{name}.each"] if length else []
        return [f"{name}.{i}" for i in range(length)]

    def _assemble(self, elements: list[Any], length: int) -> list[Any]:
        if self.shape == "constant":
            return [copy.deepcopy(element) for element in elements * length]
        return elements if self.shape == "any" else self._sorted(elements)

    def _sorted(self, items: Sequence[Any]) -> list[Any]:
        return sorted(items, reverse=self.shape == "decreasing")

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample a value, with parameters that begin with ``name``."""
        length = self.lengths[0]
        if self.has_length:
            length = self._length.suggest(trial, f"{name}.length")
        elements = [self._each.suggest(trial, element) for element in self._names(name, length)]
        return self._assemble(elements, length)

    @property
    def _length(self) -> Domain:
        assert not isinstance(self.length, LengthOf)  # an entry asks ``of_length``
        return self.length

    def distributions(self, name: str) -> dict[str, BaseDistribution]:
        """The length, where it is sampled, and the elements of the longest list."""
        found = {f"{name}.length": self._length.distribution} if self.has_length else {}
        for element in self._names(name, max(self.lengths)):
            found |= self._each.distributions(element)
        return found

    def params_of(self, value: Any, name: str) -> dict[str, Any]:
        """Return the parameters that give this value; raises Refused if none do."""
        if not isinstance(value, list):
            raise Refused(f"{show(value)} is not a list")
        try:
            stored = {f"{name}.length": self._length.encode(len(value))}
        except Refused as refused:
            raise Refused(f"the length of {show(value)}: {refused}") from None
        names = self._names(name, len(value))
        firsts = [self._each.params_of(item, f"{name}.{i}") for i, item in enumerate(value)]
        if not same(self._assemble(value[: len(names)], len(value)), value):
            raise Refused(f"{show(value)} is not {self.shape}")
        if self.shape == "constant":
            firsts = [self._each.params_of(value[0], element) for element in names]
        found = stored if self.has_length else {}
        return found | {key: item for params in firsts for key, item in params.items()}

    def value_of(self, stored: Mapping[str, Any], name: str) -> Any:
        """Return the value, or MISSING if it was not sampled."""
        length = self.lengths[0]
        if self.has_length:
            if f"{name}.length" not in stored:
                return MISSING
            length = self._length.decode(stored[f"{name}.length"])
        elements = [self._each.value_of(stored, element) for element in self._names(name, length)]
        return MISSING if MISSING in elements else self._assemble(elements, length)

    def every(self, name: str) -> Iterator[dict[str, Any]]:
        """Every different value, as parameters."""
        for length in self.lengths:
            head = {}
            if self.has_length:
                head = {f"{name}.length": self._length.encode(length)}
            for elements in self._combinations(self._names(name, length)):
                yield {k: v for params in (head, *elements) for k, v in params.items()}

    def _combinations(self, names: Sequence[str]) -> Iterator[tuple[dict[str, Any], ...]]:
        if self.shape in ("any", "constant"):
            return self._products(names)
        assert isinstance(self.each, Domain)  # what can be sorted
        ordered = itertools.combinations_with_replacement(
            self._sorted(list(self.each.points())), len(names)
        )
        return (
            tuple({name: point} for name, point in zip(names, points, strict=True))
            for points in ordered
        )

    def _products(self, names: Sequence[str]) -> Iterator[tuple[dict[str, Any], ...]]:
        """As ``itertools.product``, which would make every element before the first list."""
        if not names:
            yield ()
            return
        for first in self._each.every(names[0]):
            for others in self._products(names[1:]):
                yield (first, *others)

    def __str__(self) -> str:
        shape = "" if self.shape == "any" else f", {self.shape}"
        is_fixed = not self.has_length and not isinstance(self.length, LengthOf)
        length = self.lengths[0] if is_fixed else self.length
        return f"list of {length} x ({self.each}){shape}"
