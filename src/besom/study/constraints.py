"""The limits of ``sweep.constraints``, and how far a trial's numbers exceed them. Pure."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from besom.equality import is_real
from besom.errors import ConfigError
from besom.text.values import given_text

#: A number of a trial to its ``min``, its ``max``, or both.
Limits = Mapping[str, Mapping[str, float]]

#: Of a double; Python's ints go on.
_LARGEST = sys.float_info.max


def check_constraints(limits: Mapping[str, Any]) -> None:
    """Check the bounds of each constraint in ``sweep.constraints``.

    Raises:
        ConfigError: names the constraint.
    """
    for name, bounds in limits.items():
        path = f"sweep.constraints.{name}"
        if not isinstance(bounds, Mapping) or not bounds or set(bounds) - {"min", "max"}:
            raise ConfigError(
                f"{path} is {given_text(bounds)}, expected {{max: NUMBER}}, min, or both."
            )
        for key, value in bounds.items():
            if not is_real(value) or not -_LARGEST <= value <= _LARGEST:
                raise ConfigError(f"{path}.{key} is {given_text(value)}, expected a finite number.")
        if bounds.get("min", -math.inf) > bounds.get("max", math.inf):
            raise ConfigError(
                f"{path} has min {bounds['min']} above max {bounds['max']}, which no trial can "
                "meet. Give min at most max."
            )


def excesses(limits: Limits, numbers: Mapping[str, float]) -> dict[str, float]:
    """By how much each limit is exceeded, in Optuna's sense: above 0 it is broken.

    A number that is missing or NaN breaks nothing: the trial failed before it was measured.
    """
    return {
        name: _excess(bounds, float(numbers[name])) if _is_known(name, numbers) else 0.0
        for name, bounds in limits.items()
    }


def undefined(limits: Limits, numbers: Mapping[str, float]) -> list[str]:
    """Which limited numbers are NaN, in words: they neither keep nor break a limit."""
    return [f"{name} is nan" for name in limits if math.isnan(numbers.get(name, 0.0))]


def _is_known(name: str, numbers: Mapping[str, float]) -> bool:
    return name in numbers and not math.isnan(numbers[name])


def _excess(bounds: Mapping[str, float], value: float) -> float:
    over = value - float(bounds["max"]) if "max" in bounds else float("-inf")
    under = float(bounds["min"]) - value if "min" in bounds else float("-inf")
    return max(over, under)


def broken(limits: Limits, numbers: Mapping[str, float]) -> list[str]:
    """Which limits are exceeded, in words: ``n_params is 812 (max 500)``."""
    lines = []
    for name, excess in excesses(limits, numbers).items():
        if excess > 0:
            bounds = limits[name]
            said = ", ".join(f"{key} {bounds[key]:g}" for key in ("min", "max") if key in bounds)
            lines.append(f"{name} is {numbers[name]:g} ({said})")
    return lines
