"""What a line of a ``when`` asks of a value: to be among some, or in between two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from besom.config.types import Refused, show
from besom.equality import is_real, same
from besom.errors import did_you_mean
from besom.text.values import value_text


@dataclass(frozen=True)
class Among:
    """Holds for any of some values."""

    values: tuple[Any, ...]

    def matches(self, value: Any) -> bool:
        """Whether the value is the same as one of these."""
        return any(same(value, v) for v in self.values)

    def about(self, path: str) -> str:
        """The condition in words."""
        texts = [value_text(value) for value in self.values]
        return f"{path} = {texts[0]}" if len(texts) == 1 else f"{path} in ({', '.join(texts)})"


@dataclass(frozen=True)
class Between:
    """Holds for numbers from ``low`` to ``high``, both included; None = no bound."""

    low: int | float | None
    high: int | float | None

    def matches(self, value: Any) -> bool:
        """Whether the value is a number in between."""
        if not is_real(value):
            return False
        above = self.low is None or value >= self.low
        return above and (self.high is None or value <= self.high)

    def about(self, path: str) -> str:
        """The condition in words."""
        low = "" if self.low is None else f" >= {show(self.low)}"
        high = "" if self.high is None else f" <= {show(self.high)}"
        return f"{show(self.low)} <= {path}{high}" if low and high else f"{path}{low}{high}"


Test = Among | Between


def read_test(given: Any) -> Test:
    """Read the right-hand side of a ``when`` line: a value, a list of values, or {min, max}.

    Raises:
        Refused: it can never hold, or is none of these.
    """
    if isinstance(given, Mapping):
        for key in given:
            if key not in ("min", "max"):
                hint = did_you_mean(str(key), ("min", "max"))
                raise Refused(f"unknown key {show(key)} in a condition.{hint}")
        low, high = _bound(given, "min"), _bound(given, "max")
        if low is None and high is None:
            raise Refused("the condition has no bounds: give a value, [values] or {min, max}")
        if low is not None and high is not None and low > high:
            raise Refused(f"min ({show(low)}) is greater than max ({show(high)})")
        return Between(low, high)
    if isinstance(given, list):
        if not given:
            raise Refused("an empty list of values never holds")
        return Among(tuple(given))
    return Among((given,))


def _bound(given: Mapping[str, Any], key: str) -> int | float | None:
    value = given.get(key)
    if value is not None and not is_real(value):
        raise Refused(f"{key} is {show(value)}: write a number")
    return value


def exclude_each_other(a: Test, b: Test) -> bool:
    """Whether no value can meet both tests."""
    if isinstance(a, Among):
        return not any(b.matches(value) for value in a.values)
    if isinstance(b, Among):
        return not any(a.matches(value) for value in b.values)
    low = max((t.low for t in (a, b) if t.low is not None), default=None)
    high = min((t.high for t in (a, b) if t.high is not None), default=None)
    return low is not None and high is not None and low > high
