"""The arithmetic of readable axes, apart from any drawing: windows, label gaps, ticks, numbers.

Everything here is plain numpy in, plain numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Below this many values every one of them is shown, however far it lies from the others.
MIN_FOR_CLIPPING = 5


class Window(NamedTuple):
    """The part of a value axis that is shown.

    Attributes:
        low, high: the limits, ``low < high``.
        n_outside: how many of the given values lie beyond the worse limit.
        worst: the worst of the given values; 0 if there were none.
    """

    low: float
    high: float
    n_outside: int = 0
    worst: float = 0.0

    def clip(self, values: Floats) -> Floats:
        """``values``, those outside moved onto the nearer limit."""
        return np.clip(values, self.low, self.high)

    def holds(self, value: float) -> bool:
        """Whether ``value`` can be drawn inside."""
        return self.low <= value <= self.high


def window(values: Sequence[float] | Floats, sign: int, also: Iterable[float] = ()) -> Window:
    """Choose the limits that keep the competition legible: the better side is always whole.

    A few trials that went astray (a loss of 1e9) would press all the others into one line, so
    values far on the worse side are left outside and counted. Two rules, both on the values
    turned so that larger is better: beyond three interquartile ranges under the lower quartile,
    when that at least halves the span; or beyond ten times the better half's spread under the
    median, when that shrinks the span at least twentyfold.

    Args:
        values: finite values, in any order.
        sign: +1 where larger is better, else -1.
        also: values such as the baseline's, shown too unless they would dwarf the rest.
    """
    good = np.sort(sign * np.asarray(values, dtype=float))
    if not good.size:
        others = [float(v) for v in also]
        return window(others, sign) if others else Window(0.0, 1.0)
    best, floor = float(good[-1]), _floor(good)
    n_outside = int((good < floor).sum())
    span = best - floor
    for value in also:
        turned = sign * value
        if turned < floor and floor - turned <= 2 * span:
            floor = turned
        best = max(best, turned)
    n_outside = int((good < floor).sum())
    pad = 0.06 * (best - floor) or 0.01 * abs(best) or 0.01
    limits = sorted((sign * (floor - pad), sign * (best + pad)))
    return Window(limits[0], limits[1], n_outside, float(sign * good[0]))


def _floor(good: Floats) -> float:
    """The worst value still shown; ``good`` is sorted, larger is better."""
    worst, best = float(good[0]), float(good[-1])
    if good.size < MIN_FOR_CLIPPING or worst == best:
        return worst
    lower, middle, upper = (
        float(q) for q in np.quantile(good, [0.25, 0.5, 0.75], method="inverted_cdf")
    )
    floors = [worst]
    for edge, gain in ((lower - 3 * (upper - lower), 2), (middle - 10 * (best - middle), 20)):
        floor = float(good[good >= edge][0])
        if floor < best and best - worst >= gain * (best - floor):
            floors.append(floor)
    return max(floors)


def best_so_far(values: Floats, sign: int) -> Floats:
    """The best value up to and with each position: same shape as ``values``."""
    turned: Floats = np.maximum.accumulate(sign * np.asarray(values, dtype=float))
    return sign * turned


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart so that neighbours stand ``gap`` from each other, in their old order.

    Args:
        positions: where the labels would like to be, in any order and unit.
        gap: the least distance between two of them; made smaller if they cannot all fit.
        low, high: the labels stay between these.

    Returns:
        One position a label, in the order given.
    """
    if not positions:
        return []
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    if len(order) > 1:
        gap = min(gap, (high - low) / (len(order) - 1))
    placed: list[float] = []
    for i in order:
        placed.append(max(positions[i], placed[-1] + gap) if placed else max(positions[i], low))
    # Pushing upwards only would lift the whole group: bring it back to where it wanted to be.
    drift = sum(placed[k] - positions[i] for k, i in enumerate(order)) / len(order)
    placed = [max(p - drift, low + k * gap) for k, p in enumerate(placed)]
    ceiling = high
    for k in range(len(placed) - 1, -1, -1):
        placed[k] = min(placed[k], ceiling)
        ceiling = placed[k] - gap
    result = [0.0] * len(order)
    for k, i in enumerate(order):
        result[i] = placed[k]
    return result


def jitter(numbers: Ints) -> Floats:
    """A step in [-0.5, 0.5) for each trial: evenly spread, always the same, 0 for trial 0."""
    return np.asarray((numbers * 0.6180339887498949 + 0.5) % 1.0 - 0.5, dtype=float)


def number(value: float, digits: int = 4) -> str:
    """``value`` as a reader would write it: ``0.9843``, ``12,345``, ``1.2e9``, ``1e-4``."""
    size = abs(value)
    if size != 0 and not 1e-3 <= size < 1e7:
        mantissa, exponent = f"{value:.{max(digits - 2, 0)}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.0f}" if size >= 10**digits else f"{value:.{digits}g}"


def score(value: float) -> str:
    """A measured value with all of its four digits, so that ``0.9840`` stands by ``0.9841``."""
    plain = 1e-3 <= abs(value) < 1e4 and not float(value).is_integer()
    return f"{value:#.4g}" if plain else number(value)


def log_ticks(low: float, high: float, n_most: int = 5) -> list[float]:
    """Round values between ``low`` and ``high`` for a log axis: powers of ten, else 1-2-5 steps."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    inside = [low * (1 - 1e-9), high * (1 + 1e-9)]
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        ticks = [tick for tick in ticks if inside[0] <= tick <= inside[1]]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / n_most)]
    return sorted({low, high})


def even_ticks(low: float, high: float, n_most: int = 5, integer: bool = False) -> list[float]:
    """Round values from ``low`` to ``high`` at even steps, at most ``n_most`` of them."""
    least = max((high - low) / (n_most - 1), float(integer))
    power = 10.0 ** math.floor(math.log10(least))
    steps = [step * power for step in (1, 2, 2.5, 5, 10) if not integer or step * power % 1 == 0]
    step = next(step for step in steps if step >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]
