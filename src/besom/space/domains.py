"""What an entry's value is chosen from: a range, choices, or lists of these.

Each is made once from what is written, and ``fitted`` to the config later: then it is what one
Optuna parameter (of a list: its length, and each element) can take.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import BaseTrial

from besom.config.types import Place, Refused, fit, kind_of, narrowest, show
from besom.equality import same
from besom.space.ranges import FloatRange, IntRange
from besom.text.values import value_text

#: What Optuna can store as the value of a parameter.
Stored = None | bool | int | float | str


class Choice:
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
            elif same(value, self._by_label[label]):
                raise Refused(f"{show(value)} is among the choices twice")
            else:
                other = self._by_label[label]
                raise Refused(
                    f"{show(other)} and {show(value)} cannot both be choices: Optuna stores them "
                    "as the same value"
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

    def fitted(self, places: Sequence[Place]) -> Choice:
        """Return the choices as the places that they may fill hold them.

        Raises:
            Refused: one of them may not stand in one of the places.
        """
        for value in self.values:
            for place in places:
                place.fit(value)
        reference = narrowest(places)
        return Choice([fit(value, reference) for value in self.values])

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


#: The values of one Optuna parameter.
Domain = IntRange | FloatRange | Choice


@dataclass(frozen=True)
class Lists:
    """Lists: a length, then elements.

    Attributes:
        length: the number of elements.
        each: the values of an element.
        shape: ``any``, ``constant``, ``decreasing`` or ``increasing``.
    """

    length: Domain
    each: Domain
    shape: str = "any"

    def fitted(self, places: Sequence[Place]) -> Lists:
        """Return the lists as the places that they may fill hold them.

        Raises:
            Refused: one of them holds no list, or one of other elements.
        """
        for place in places:
            if place.kind not in ("list", "anything"):
                raise place.refuse("this is a list", " Write a range or choices.")
        each = self.each.fitted([place.elements for place in places])
        return Lists(self.length.fitted([]), each, self.shape)


#: What is written under one key of a space, its ``when`` apart.
Values = Domain | Lists
