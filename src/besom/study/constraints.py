"""How far a trial's numbers exceed the limits of ``sweep.constraints``. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

#: A number of a trial to its ``min``, its ``max``, or both.
Limits = Mapping[str, Mapping[str, float]]


def excesses(limits: Limits, numbers: Mapping[str, float]) -> dict[str, float]:
    """By how much each limit is exceeded, as Optuna has it: above 0 it is broken.

    A number that is not known, or NaN, counts as kept: a trial that broke before it was measured
    says nothing about it.
    """
    return {
        name: _excess(bounds, float(numbers[name])) if _is_known(name, numbers) else 0.0
        for name, bounds in limits.items()
    }


def undefined(limits: Limits, numbers: Mapping[str, float]) -> list[str]:
    """Which limited numbers are NaN, in words: neither within a limit nor outside."""
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
