"""Hyperparameters as columns of numbers: the one reading of params that all plots share.

A column is what one axis shows. A scalar gives one column, a list of sampled length gives its
length and one column per element, anything else (text, null, true, mappings) gives categories.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from besom.equality import is_real, same
from besom.plots.scales import Floats, Ints, jitter
from besom.store.records import TrialRecord
from besom.text.values import ABSENT, value_text


class Column(NamedTuple):
    """One axis.

    Attributes:
        label: the dotted config path; in a list ``.0``, ``.1`` ... are its elements, ``.each`` all
            of them where they are alike, and ``.length`` its length.
        present: (n_trials,) whether the parameter applied to the trial.
        positions: (n_trials,) the value, or the index of its category; 0 where not present.
        categories: texts by index; empty for numbers.
        log: whether the space is log.
        integer: whether only whole numbers occur.
        low, high: what the axis must span: the space, and any value outside it.
        zero_at: on a log axis, the position that stands for values of 0 and less, if any occur.
    """

    label: str
    present: npt.NDArray[np.bool_]
    positions: Floats
    categories: tuple[str, ...] = ()
    log: bool = False
    integer: bool = False
    low: float = 0.0
    high: float = 1.0
    zero_at: float | None = None

    @property
    def name(self) -> tuple[str, str]:
        """The label in two parts, such as ``model.`` and ``dropout``."""
        group, dot, name = self.label.rpartition(".")
        return group + dot, name

    def across(self, numbers: Ints) -> Floats:
        """Where the trials stand on a horizontal axis: side by side where they share a category.

        Args:
            numbers: (n_trials,) the trials' numbers.
        """
        if not self.categories:
            return self.positions.copy()
        width = 0.55 if len(self.categories) > 1 else 0.3
        here = self.positions.astype(int)
        crowded = np.bincount(here[self.present], minlength=len(self.categories)) > 1
        aside: Floats = width * jitter(numbers) * crowded[here]
        return self.positions + aside

    def unit(self) -> Floats:
        """(n_trials,) where the values lie along the axis, from 0 to 1; 0 where not present."""
        return self.to_unit(self.positions) * self.present

    def to_unit(self, positions: Floats | Sequence[float]) -> Floats:
        """Positions along the axis, from 0 to 1; a lone category or value lies in the middle."""
        values = np.asarray(positions, dtype=float)
        low, high = self.low, self.high
        if self.log:
            low, high = math.log(low), math.log(high)
            values = np.log(np.maximum(values, self.low))
        if high == low:
            return np.full(values.shape, 0.5)
        return (values - low) / (high - low)


def columns(trials: Sequence[TrialRecord]) -> list[Column]:
    """Every hyperparameter of ``trials`` as columns, in the space's order."""
    found: list[Column] = []
    distributions: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            distributions.setdefault(name, distribution)
    for path in merged_order(trial.params for trial in trials):
        values = [trial.params.get(path, ABSENT) for trial in trials]
        own = distributions.get(path)
        found += _of(path, values, [own] if own else [], distributions)
    return found


def merged_order(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """All keys of all rows, a key that is new to a row put after its predecessor there."""
    order: list[str] = []
    seen: set[str] = set()
    for row in rows:
        if seen.issuperset(row):
            continue
        previous = -1
        for name in row:
            if name in seen:
                previous = order.index(name)
            else:
                previous += 1
                order.insert(previous, name)
                seen.add(name)
    return order


def _list_columns(
    path: str, values: list[Any], family: Mapping[str, BaseDistribution]
) -> list[Column]:
    """The columns of a list-valued parameter: length, then each element, or one for all alike."""
    lists = [v for v in values if v is not ABSENT]
    lengths = [ABSENT if v is ABSENT else len(v) for v in values]
    of_length = [d for n, d in family.items() if n == f"{path}.length"]
    of_elements = [d for n, d in family.items() if n != f"{path}.length"]
    found = []
    if len({len(v) for v in lists}) > 1:
        found.append(_column(f"{path}.length", lengths, of_length))
    longest = max((len(v) for v in lists), default=0)
    elements = [x for v in lists for x in v]
    if elements and all(isinstance(x, Mapping) for x in elements):
        return [*found, *_struct_columns(path, values, longest, family)]
    if longest > 1 and all(value_text(x) == value_text(v[0]) for v in lists for x in v):
        one = [ABSENT if v is ABSENT or not v else v[0] for v in values]
        return [*found, _column(f"{path}.each", one, of_elements)]
    for i in range(longest):
        element = [ABSENT if v is ABSENT or i >= len(v) else v[i] for v in values]
        found.append(_column(f"{path}.{i}", element, of_elements))
    return found


def _struct_columns(
    path: str, values: list[Any], longest: int, family: Mapping[str, BaseDistribution]
) -> list[Column]:
    """A column for each key of each element, or for each key where all elements are alike."""
    lists = [v for v in values if v is not ABSENT]
    keys = merged_order(x for v in lists for x in v)
    alike = longest > 1 and all(same(x, v[0]) for v in lists for x in v)
    names = ["each"] if alike else [str(i) for i in range(longest)]
    found = []
    for i, name in enumerate(names):
        elements = [{} if v is ABSENT or i >= len(v) else v[i] for v in values]
        for key in keys:
            label = f"{path}.{name}.{key}"
            inside = [x.get(key, ABSENT) for x in elements]
            if any(x is not ABSENT for x in inside):
                own = [d for n, d in family.items() if _field(n, path) == key]
                found += _of(label, inside, own, family)
    return found


def _field(name: str, path: str) -> str:
    """The key of a parameter in the elements of the list at ``path``; all elements have the same
    distribution for it, whatever its label."""
    return name.removeprefix(f"{path}.").partition(".")[2].partition("@")[0]


def _of(
    label: str,
    values: list[Any],
    own: Sequence[BaseDistribution],
    family: Mapping[str, BaseDistribution],
) -> list[Column]:
    """The columns of a value: those of a list, or one."""
    given = [v for v in values if v is not ABSENT]
    if own or not all(isinstance(v, list | tuple) for v in given):
        return [_column(label, values, own)]
    inner = {n: d for n, d in family.items() if n.startswith((f"{label}.", f"{label}@"))}
    return _list_columns(label, values, inner)


def _column(label: str, values: list[Any], distributions: Sequence[BaseDistribution]) -> Column:
    present = np.array([v is not ABSENT for v in values], dtype=bool)
    given = [v for v in values if v is not ABSENT]
    categorical = [d for d in distributions if isinstance(d, CategoricalDistribution)]
    if categorical or not all(_is_number(v) for v in given):
        return _category_column(label, present, values, categorical)
    ranges = [d for d in distributions if isinstance(d, FloatDistribution | IntDistribution)]
    positions = np.array([0.0 if v is ABSENT else float(v) for v in values])
    ends = [float(e) for d in ranges for e in (d.low, d.high)] + [float(v) for v in given]
    integer = all(isinstance(v, int) for v in given)
    log = any(d.log for d in ranges)
    if not log:
        return Column(label, present, positions, (), False, integer, min(ends), max(ends))
    # A log axis has no place for 0, which is where weight decay often starts: give it one.
    low, high = min(e for e in ends if e > 0), max(ends)
    zero_at = None
    outside = present & (positions <= 0)
    if outside.any():
        zero_at = low / (high / low) ** 0.12
        positions[outside] = zero_at
        low = zero_at
    return Column(label, present, positions, (), True, integer, low, high, zero_at)


def _category_column(
    label: str,
    present: npt.NDArray[np.bool_],
    values: list[Any],
    distributions: Sequence[CategoricalDistribution],
) -> Column:
    """Categories in the space's order; values from outside the space come last."""
    occurring = {value_text(v): v for v in values if v is not ABSENT}
    known = dict.fromkeys(value_text(_choice(c)) for d in distributions for c in d.choices)
    # A space may store stand-ins of its own: then its choices are not our values.
    texts = list(known) if occurring.keys() & known.keys() else []
    strangers = [t for t in occurring if t not in texts]
    # Numbers by size, after what is no number.
    strangers.sort(key=lambda t: float(occurring[t]) if _is_number(occurring[t]) else -math.inf)
    texts += strangers
    index = {text: float(i) for i, text in enumerate(texts)}
    positions = np.array([0.0 if v is ABSENT else index[value_text(v)] for v in values])
    return Column(label, present, positions, tuple(texts), high=float(max(len(texts) - 1, 0)))


def _choice(stored: Any) -> Any:
    """A choice as the config holds it: Optuna is given lists and mappings as JSON."""
    if isinstance(stored, str) and stored[:1] in ("[", "{"):
        try:
            return json.loads(stored)
        except ValueError:
            return stored
    return stored


def _is_number(value: Any) -> bool:
    return is_real(value) and math.isfinite(value)
