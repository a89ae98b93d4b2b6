"""The corners of a space: what is built before a sweep, because it breaks there if anywhere."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from besom.space import Sample, Space

#: No more corners than this are built.
MOST_CORNERS = 32


def corners(space: Space) -> list[Sample]:
    """All numbers at their low end, and all at their high end, for every way the space branches.

    It branches at every config group, and at every choice that a condition reads: each of their
    combinations has its corners, as many as are allowed. All other choices take turns, so that
    each value is in some corner.
    """
    branches = _branches(space)
    combinations = list(itertools.product(*branches.values()))[: MOST_CORNERS // 2]
    turns = _Turns()
    samples: dict[str, Sample] = {}
    while len(space) and len(samples) < MOST_CORNERS:
        for values, end in itertools.product(combinations, ("low", "high")):
            fixed = dict(zip(branches, values, strict=True))
            sample = space.suggest(_CornerTrial(fixed, end, turns))
            samples.setdefault(json.dumps(sample.params, sort_keys=True), sample)
        if turns.all_taken:
            break
    return list(samples.values())[:MOST_CORNERS]


def _branches(space: Space) -> dict[str, Sequence[Any]]:
    """Each choice that decides what else is sampled, by Optuna's name, with Optuna's values."""
    read = {c.source.path for entry in space.entries for c in entry.conditions if c.source.sampled}
    return {
        entry.name: [point[entry.name] for point in entry.points()]
        for entry in space.entries
        if entry.kind == "group" or (entry.kind == "choice" and entry.path in read)
    }


class _Turns:
    """Gives the values of each choice in turn."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._values: dict[str, Sequence[Any]] = {}

    @property
    def all_taken(self) -> bool:
        """Whether every value that was met has had its turn."""
        return all(self._taken[name] >= len(values) for name, values in self._values.items())

    def next(self, name: str, values: Sequence[Any]) -> Any:
        """The value whose turn it is."""
        self._values[name] = values
        self._taken[name] += 1
        return values[(self._taken[name] - 1) % len(values)]


class _CornerTrial(optuna.trial.FixedTrial):
    """A trial whose every number is at one end of its range; choices take turns, unless fixed."""

    def __init__(self, fixed: Mapping[str, Any], end: str, turns: _Turns) -> None:
        super().__init__({})
        self._fixed, self._end, self._turns = dict(fixed), end, turns

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:  # noqa: ARG002
        """One end of the range."""
        return low if self._end == "low" else high

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:  # noqa: ARG002
        """One end of the range."""
        return low if self._end == "low" else high

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The fixed choice, else the one whose turn it is."""
        return self._fixed[name] if name in self._fixed else self._turns.next(name, choices)
