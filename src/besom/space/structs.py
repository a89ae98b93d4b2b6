"""Mappings of entries: what each element of a list is, such as the layers of a model.

An element is a small space of its own: its entries may have a ``when`` that reads other entries of
the element, two for one key under labels, and lists among them. Optuna's names are those of the
element with the entry's behind: ``model.layers.0.units``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from besom.config.tree import MISSING
from besom.config.types import Refused, show
from besom.errors import did_you_mean
from besom.space.config_source import ConfigSource
from besom.space.domains import Values
from besom.space.entries import Drawn, Entry, read_back, sampled
from besom.space.grid import Grid

#: An element knows nothing of the config around it.
NOWHERE = ConfigSource({}, {}, {})


@dataclass(frozen=True)
class Struct(Values):
    """Mappings of entries.

    Attributes:
        entries: in the order written.
        order: the same in the order they are sampled.
    """

    entries: tuple[Entry, ...]
    order: tuple[Entry, ...]

    @property
    def is_conditional(self) -> bool:  # type: ignore[override]
        """Whether a parameter can be absent while another is there."""
        return any(entry.is_conditional for entry in self.entries)

    def choices_at(self, path: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Those of every entry."""
        for entry in self.entries:
            yield from entry.values.choices_at(f"{path}.{entry.path}")

    @cached_property
    def size(self) -> int | None:
        """How many values there are; None = infinitely many."""
        if any(entry.size is None for entry in self.entries):
            return None
        return Grid(self.order, NOWHERE).size

    def _ordered(self, drawn: Drawn) -> dict[str, Any]:
        return {e.path: drawn.values[e.path] for e in self.entries if e.path in drawn.values}

    def distributions(self, name: str) -> dict[str, BaseDistribution]:
        """Every parameter of an element."""
        every = (entry.distributions() for entry in self.order)
        return {f"{name}.{key}": values for own in every for key, values in own.items()}

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Sample a value, with parameters that begin with ``name``."""
        return self._ordered(sampled(self.order, trial, Drawn(NOWHERE), f"{name}."))

    def params_of(self, value: Any, name: str) -> dict[str, Any]:
        """Return the parameters that give this value; raises Refused if none do."""
        if not isinstance(value, Mapping):
            raise Refused(f"{show(value)} is not a mapping")
        stored: dict[str, Any] = {}
        drawn = Drawn(NOWHERE)
        for entry in self.order:
            if not entry.applies(drawn):
                continue
            if entry.path not in value:
                raise Refused(f"{show(value)} has no {entry.path}")
            item = value[entry.path]
            try:
                stored |= entry.params_of(item, drawn, f"{name}.")
            except Refused as refused:
                raise Refused(f"{entry.path}: {refused}") from None
            drawn = drawn.plus(entry, item)
        for key in value:
            if key not in drawn.values:
                hint = did_you_mean(str(key), drawn.values)
                raise Refused(f"{show(value)} has {key}, which is not sampled there.{hint}")
        return stored

    def value_of(self, stored: Mapping[str, Any], name: str) -> Any:
        """Return the value, or MISSING if it was not sampled."""
        return self._ordered(read_back(self.order, stored, Drawn(NOWHERE), f"{name}.")) or MISSING

    def every(self, name: str) -> Iterator[dict[str, Any]]:
        """Every different value, as parameters."""
        for point in Grid(self.order, NOWHERE):
            yield {f"{name}.{key}": stored for key, stored in point.items()}

    def __str__(self) -> str:
        whens = {e.name: f" when {e.condition}" if e.condition else "" for e in self.entries}
        return "; ".join(f"{e.path}: {e.values}{whens[e.name]}" for e in self.entries)
