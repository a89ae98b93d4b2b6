"""Numbers, errors and durations for people: the one place where they are rounded."""

from __future__ import annotations

import math


def number(value: float, is_share: bool = False) -> str:
    """A value: a share with four decimals, anything else with five digits or whole."""
    return f"{value:.4f}" if is_share else _rounded(value, digits=5)


def difference(value: float, is_share: bool = False) -> str:
    """A difference of two values, without its sign; of two shares, in percentage points."""
    return (
        f"{100.0 * abs(value):.2f} points"
        if is_share
        else _rounded(abs(value), digits=4, thousands=",")
    )


def _rounded(value: float, digits: int, thousands: str = "") -> str:
    """So many digits, but 167178 parameters are no 1.6718e+05."""
    whole = 10**digits - 0.5 <= abs(value) < 1e15
    return f"{value:{thousands}.0f}" if whole else f"{value:.{digits}g}"


def percent_digits(error: float) -> int:
    """As many decimals of a percentage as show two digits of its error, which is a share."""
    return min(max(1 - math.floor(math.log10(100.0 * error)), 0), 4) if error > 0.0 else 2


def decimals(error: float) -> int:
    """As many decimals of a value that is no share as show two digits of its error."""
    return min(max(1 - math.floor(math.log10(error)), 0), 12) if error > 0.0 else 4


def with_error(value: float, error: float, is_share: bool) -> str:
    """``98.31 % ± 0.19`` of a share, ``0.3122 ± 0.0042`` of anything else."""
    if is_share:
        digits = percent_digits(error)
        return f"{100.0 * value:.{digits}f} % ± {100.0 * error:.{digits}f}"
    digits = decimals(error)
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"


def points(gain: float, error: float) -> str:
    """``0.42 ± 0.13 points``: percentage points, for a difference of two shares."""
    digits = percent_digits(error)
    return f"{100.0 * gain:.{digits}f} ± {100.0 * error:.{digits}f} points"


def duration(seconds: float) -> str:
    """Seconds, in the unit in which they are few."""
    if seconds < 120:
        return f"{seconds:.{int(seconds < 10)}f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
