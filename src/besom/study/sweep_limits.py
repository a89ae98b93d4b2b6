"""What the numbers of the node ``sweep`` may be: refused before anything is written."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from besom.errors import ConfigError
from besom.text.values import given_text

#: A study holds every trial in memory, and Optuna's samplers look at all of them before each.
MOST_TRIALS = 1_000_000

#: Thirty years: far below the longest wait that the system's clocks take.
_LONGEST_S = 1e9
_SECONDS = "more than 0 seconds, and at most 1e9 (null: no limit)"
#: Of a double; Python's ints go on.
_LARGEST = sys.float_info.max


def check_numbers(sweep: Mapping[str, Any]) -> None:
    """Check each number of the node ``sweep``; NaN is in no range.

    Raises:
        ConfigError: names the number, and its range.
    """
    for keys, expected, holds in (
        (("n_trials",), f"1 to {MOST_TRIALS:,} trials", lambda v: 1 <= v <= MOST_TRIALS),
        (("max_failures", "patience"), "at least 1", lambda v: v >= 1),
        (("timeout_s", "trial_timeout_s"), _SECONDS, lambda v: 0 < v <= _LONGEST_S),
        (("target",), "a finite number", math.isfinite),
        (("audit",), "a share from 0 to 1", lambda v: 0 <= v <= 1),
        (("keep_models", "storage_patience_s"), "0 or more", lambda v: v >= 0),
    ):
        for key in keys:
            if sweep[key] is not None and not holds(sweep[key]):
                raise ConfigError(f"sweep.{key} is {sweep[key]}, expected {expected}.")


def check_constraints(sweep: Mapping[str, Any]) -> None:
    """Check the bounds of each constraint.

    Raises:
        ConfigError: names the constraint.
    """
    for name, bounds in sweep["constraints"].items():
        path = f"sweep.constraints.{name}"
        if not isinstance(bounds, Mapping) or not bounds or set(bounds) - {"min", "max"}:
            raise ConfigError(
                f"{path} is {given_text(bounds)}, expected {{max: NUMBER}}, min, or both."
            )
        for key, value in bounds.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not -_LARGEST <= value <= _LARGEST:
                raise ConfigError(f"{path}.{key} is {given_text(value)}, expected a finite number.")
        if bounds.get("min", -math.inf) > bounds.get("max", math.inf):
            raise ConfigError(
                f"{path} has min {bounds['min']} above max {bounds['max']}, which no trial can "
                "meet. Give min at most max."
            )
