"""An entry: how one dotted path is sampled, stored and read back, and ``when`` it applies.

A condition reads a sampled value, or one that the config holds. Where that value is missing, the
condition does not hold: an entry that depends on one that does not apply does not apply either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from besom.config.tree import MISSING, lookup
from besom.space.condition_tests import Test
from besom.space.config_source import ConfigSource
from besom.space.domains import Choice, Range, Values
from besom.space.lists import LengthOf, Lists


@dataclass(frozen=True)
class Source:
    """Where a condition reads: inside a sampled value, or in the config.

    Attributes:
        path: the path of the sampled entry, or the config path.
        rest: the dotted path inside the sampled value, such as ``length``; or empty.
        sampled: False where it is read from the config.
    """

    path: str
    rest: str = ""
    sampled: bool = True


@dataclass(frozen=True)
class Drawn:
    """What is sampled so far, over the config composed for it."""

    composer: ConfigSource
    values: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def plus(self, entry: Entry, value: Any) -> Drawn:
        """Return these and an entry's value."""
        groups = self.groups
        if entry.group is not None and value in self.composer.groups[entry.group]:
            groups = {**groups, entry.group: value}
        return Drawn(self.composer, {**self.values, entry.path: value}, groups)

    def read(self, source: Source) -> Any:
        """Return the value a condition reads, or MISSING."""
        if source.sampled:
            return lookup(self.values.get(source.path, MISSING), source.rest, lengths=True)
        return lookup(self.composer.config(self.groups), source.path, lengths=True)


@dataclass(frozen=True)
class Condition:
    """One line of a ``when``: all lines must hold.

    Attributes:
        is_implied: it stands in no ``when``: a list whose length is another's needs that one.
    """

    path: str
    test: Test
    source: Source
    is_implied: bool = False

    def holds(self, drawn: Drawn) -> bool:
        """Whether it holds for what is drawn."""
        value = drawn.read(self.source)
        return value is not MISSING and self.test.matches(value)

    def __str__(self) -> str:
        return self.test.about(self.path)


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
        return " and ".join(str(c) for c in self.conditions if not c.is_implied)

    @property
    def is_conditional(self) -> bool:
        """Whether one of its parameters can be absent: by a ``when``, or by a list's length."""
        return any(not c.is_implied for c in self.conditions) or self.values.is_conditional

    @property
    def _each(self) -> object:
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

    def at(self, drawn: Drawn) -> Values:
        """The values that there are beside what is drawn: a list may have another's length."""
        if isinstance(self.values, Lists) and isinstance(self.values.length, LengthOf):
            n = drawn.read(Source(self.values.length.path, "length"))
            return self.values.of_length(n if isinstance(n, int) else 0)
        return self.values

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every Optuna parameter it can produce."""
        return self.values.distributions(self.name)

    def suggest(self, trial: BaseTrial, drawn: Drawn, prefix: str = "") -> Any:
        """Sample it and return the typed value; ``prefix`` goes before Optuna's names."""
        return self.at(drawn).suggest(trial, prefix + self.name)

    def params_of(self, value: Any, drawn: Drawn, prefix: str = "") -> dict[str, Any]:
        """Return the Optuna parameters that give this value; raises Refused if none do."""
        return self.at(drawn).params_of(value, prefix + self.name)

    def value_of(self, stored: Mapping[str, Any], drawn: Drawn, prefix: str = "") -> Any:
        """Return the typed value of stored Optuna parameters; MISSING if it was not sampled."""
        values, name = self.at(drawn), prefix + self.name
        # An empty list has no parameters that would tell.
        if not values.distributions(name) and not self.applies(drawn):
            return MISSING
        return values.value_of(stored, name)

    def every(self, drawn: Drawn) -> Iterator[dict[str, Any]]:
        """Every value, as Optuna parameters; only where there is a size."""
        return self.at(drawn).every(self.name)

    def __str__(self) -> str:
        kind = "" if self.kind == "list" else f"{self.kind}: "
        return f"{kind}{self.values}"


def sampled(order: Iterable[Entry], trial: BaseTrial, drawn: Drawn, prefix: str = "") -> Drawn:
    """Sample every entry that applies, in this order; ``prefix`` goes before Optuna's names."""
    for entry in order:
        if entry.applies(drawn):
            drawn = drawn.plus(entry, entry.suggest(trial, drawn, prefix))
    return drawn


def read_back(
    order: Iterable[Entry], stored: Mapping[str, Any], drawn: Drawn, prefix: str = ""
) -> Drawn:
    """What stored parameters say of every entry; what was not sampled is left out."""
    for entry in order:
        value = entry.value_of(stored, drawn, prefix)
        if value is not MISSING and entry.path not in drawn.values:
            drawn = drawn.plus(entry, value)
    return drawn
