"""Every point of a finite space, once: entries that do not apply do not multiply the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from besom.errors import SpaceError
from besom.space.composer import ConfigSource, Drawn
from besom.space.entries import Entry


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
        for point in entry.points():
            then = drawn.copy()
            then.add(entry.path, entry.group, entry.decode(point))
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
        if not self._is_read(entry):
            return (entry.size or 0) * self._count(i + 1, drawn)
        total = 0
        for value, n in self._representatives(i, drawn):
            then = drawn.copy()
            then.add(entry.path, entry.group, value)
            total += n * self._count(i + 1, then)
        return total

    def _is_read(self, entry: Entry) -> bool:
        """Whether a condition depends on the entry's value."""
        reads = [c.source for later in self.order for c in later.conditions]
        return any(s.path == entry.path if s.sampled else entry.group for s in reads)

    def _representatives(self, i: int, drawn: Drawn) -> list[tuple[Any, int]]:
        """A value for each way the conditions on this entry can turn out, and how many have it."""
        entry = self.order[i]
        reading = [
            c
            for later in self.order[i + 1 :]
            for c in later.conditions
            if c.source.sampled and c.source.path == entry.path
        ]
        values: dict[Any, Any] = {}
        counts: Counter[Any] = Counter()
        for point in entry.points():
            value = entry.decode(point)
            then = drawn.copy()
            then.add(entry.path, entry.group, value)
            outcome = (value if entry.group else None, *(c.holds(then) for c in reading))
            values.setdefault(outcome, value)
            counts[outcome] += 1
        return [(values[outcome], n) for outcome, n in counts.items()]
