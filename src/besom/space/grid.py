"""Every point of a finite space, or of what one element of a list can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from besom.errors import SpaceError
from besom.space.config_source import ConfigSource
from besom.space.entries import Drawn, Entry
from besom.space.lists import Lists


@dataclass(frozen=True)
class Grid:
    """The points of a finite space.

    Iterating yields one dict of Optuna parameters for each point (ready for
    ``Study.enqueue_trial``), the entry sampled last varying fastest.

    Attributes:
        order: the entries in the order they are sampled.
    """

    order: tuple[Entry, ...]
    composer: ConfigSource

    def __post_init__(self) -> None:
        endless = [entry.name for entry in self.order if entry.size is None]
        if endless:
            names = ", ".join(f"'{name}'" for name in endless)
            raise SpaceError(
                f"sweep.space has no grid: {names} can take infinitely many values. "
                "Give a step or a list of choices, or use another sampler (tpe, random, qmc)."
            )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._walk(0, Drawn(self.composer), {})

    def _walk(self, i: int, drawn: Drawn, stored: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if i == len(self.order):
            yield stored
            return
        entry = self.order[i]
        if not entry.applies(drawn):
            yield from self._walk(i + 1, drawn, stored)
            return
        for point in entry.every(drawn):
            then = drawn.plus(entry, entry.value_of(point, drawn))
            yield from self._walk(i + 1, then, stored | point)

    @property
    def size(self) -> int:
        """The number of points, counted without walking through them all."""
        return self._count(0, Drawn(self.composer))

    def _count(self, i: int, drawn: Drawn) -> int:
        if i == len(self.order):
            return 1
        entry = self.order[i]
        if not entry.applies(drawn):
            return self._count(i + 1, drawn)
        return sum(
            n * self._count(i + 1, drawn.plus(entry, value))
            for value, n in self._representatives(i, drawn)
        )

    def _representatives(self, i: int, drawn: Drawn) -> list[tuple[Any, int]]:
        """A value for each way the conditions on this entry can turn out, and how many have it."""
        entry = self.order[i]
        conditions = [c for later in self.order[i + 1 :] for c in later.conditions]
        reading = [c for c in conditions if c.source.sampled and c.source.path == entry.path]
        if not reading and not (entry.group and any(not c.source.sampled for c in conditions)):
            first = next(entry.every(drawn))
            return [(entry.value_of(first, drawn), entry.at(drawn).size or 0)]
        values: dict[Any, Any] = {}
        counts: Counter[Any] = Counter()
        for value, n in self._counted(entry, drawn, {c.source.rest for c in reading}):
            then = drawn.plus(entry, value)
            outcome = (
                value if entry.group else None,
                # What has the same length as this depends on the length itself.
                *(then.read(c.source) if c.is_implied else c.holds(then) for c in reading),
            )
            values.setdefault(outcome, value)
            counts[outcome] += n
        return [(values[outcome], n) for outcome, n in counts.items()]

    def _counted(
        self, entry: Entry, drawn: Drawn, read: Collection[str]
    ) -> Iterator[tuple[Any, int]]:
        """Values and how many are like each to who reads only these parts of them."""
        values = entry.at(drawn)
        if isinstance(values, Lists) and set(read) == {"length"}:
            for length in values.lengths:
                first = next(values.of_length(length).every(entry.name))
                some = values.of_length(length).value_of(first, entry.name)
                yield some, values.size_at(length)
            return
        for point in values.every(entry.name):
            yield entry.value_of(point, drawn), 1
