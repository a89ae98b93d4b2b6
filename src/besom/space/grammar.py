"""A range as a mapping of bounds, and Hydra's sweep grammar.

The grammar is read by Hydra's own parser. ``range(1, 5)`` is 1, 2, 3, 4 as in Hydra;
``interval(a, b)`` includes both ends, as Optuna does; ``int(interval(1, 3))`` is 1, 2, 3. The order
given by ``sort`` and ``shuffle`` means nothing to a sampler. ``tag(log, ...)`` samples in log
space; any other tag is refused rather than ignored.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, RangeSweep, Sweep

from besom.config import parse_override, plain_value
from besom.config.overrides import NotAnOverride
from besom.config.types import Refused, is_number, numbers_as_text, show
from besom.equality import is_real
from besom.errors import ConfigError, did_you_mean
from besom.space.domains import STEP_OR_LOG, Choice, Domain, Range

RANGE_KEYS = ("type", "low", "high", "log", "step")

#: Optuna computes with doubles: beyond this, ints run into each other.
_LARGEST_INT = 2**53
_SWEEPS = "choice(a,b), a,b, range(1,5), interval(0,1) or tag(log,interval(1e-4,1e-1))"


def read_range(given: Mapping[str, Any]) -> Range:
    """Read ``{type, low, high, log, step}``, everything but the bounds optional.

    Raises:
        Refused: a bound is missing or no finite number, low is above high, a log range starts at
            or below 0, or the step does not lead from low to high.
    """
    no_other_keys(given, RANGE_KEYS)
    kind = given.get("type")
    if kind not in (None, "int", "float"):
        hint = " Choices go under {choices: [...]}." if kind in ("categorical", "choice") else ""
        raise Refused(f"type is {show(kind)}: write int or float.{hint}")
    low, high = _bound(given, "low"), _bound(given, "high")
    step = None if given.get("step") is None else _bound(given, "step")
    log = flag(given, "log")
    if kind == "int" and (slip := [k for k in RANGE_KEYS if isinstance(given.get(k), float)]):
        raise Refused(f"type is int, and {slip[0]} is {show(given[slip[0]])}: write an int")
    if low > high:
        raise Refused(f"low ({show(low)}) is greater than high ({show(high)})")
    if not math.isfinite(high - low):
        raise Refused(f"the distance from {show(low)} to {show(high)} is too large for a double")
    if log and low <= 0:
        raise Refused(f"a log range starts above 0, and low is {show(low)}")
    _check_step(low, high, log, step)
    if kind == "int" or (kind is None and not any(isinstance(n, float) for n in (low, high, step))):
        whole = None if step is None else int(step)
        return Range(int(low), int(high), log, whole, is_int=True, is_declared=kind == "int")
    if log and step is not None:
        raise Refused(STEP_OR_LOG)
    return Range(float(low), float(high), log, None if step is None else float(step))


def _bound(given: Mapping[str, Any], key: str) -> int | float:
    if given.get(key) is None:
        raise Refused(f"{key} is missing: a range has low and high")
    value = given[key]
    if isinstance(value, str) and is_number(value):
        raise Refused(f"{key} is the text {show(value)}: write it without quotes")
    if not is_real(value):
        raise Refused(f"{key} is {show(value)}: write a number")
    if isinstance(value, int) and abs(value) > _LARGEST_INT:
        raise Refused(f"{key} is {value}: ints beyond 2**53 cannot be sampled exactly")
    if not math.isfinite(value):
        raise Refused(f"{key} is {show(value)}: a range is finite")
    return value


def _check_step(low: int | float, high: int | float, log: bool, step: int | float | None) -> None:
    if step is None:
        return
    if step <= 0:
        raise Refused(f"step is {show(step)}: write a number above 0")
    if log and step != 1:
        raise Refused(STEP_OR_LOG)
    if (high - low) / step > _LARGEST_INT:
        raise Refused(
            f"step is {show(step)}: there are too many steps from {show(low)} to {show(high)} to "
            "tell them apart. Omit the step"
        )
    first, last, by = (Decimal(str(n)) for n in (low, high, step))
    if (last - first) % by:
        below = first + (last - first) // by * by
        number = int if all(isinstance(n, int) for n in (low, high, step)) else float
        raise Refused(
            f"the step does not fit: from {show(low)} in steps of {show(step)}, high can be "
            f"{show(number(below))} or {show(number(below + by))}, not {show(high)}"
        )


def no_other_keys(given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a key that the form does not have."""
    for key in given:
        if key not in known:
            raise Refused(f"unknown key {show(key)}.{did_you_mean(str(key), known)}")


def flag(given: Mapping[str, Any], key: str) -> bool:
    """Return a switch that is off where it is not given."""
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key} is {show(value)}: write true or false")
    return value


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Separate plain Hydra overrides from sweeping ones.

    Returns:
        The plain overrides as they came, and the sweeping ones as entries for a space:
        key to text. Where a key is swept twice, the last one counts, as with overrides.

    Raises:
        ConfigError: an override is no Hydra syntax, or adds or deletes a key while sweeping it.

    Example:
        >>> split_overrides(["seed=3", "model=choice(mlp,cnn)"])
        (['seed=3'], {'model': 'choice(mlp,cnn)'})
    """
    plain: list[str] = []
    sweeps: dict[str, str] = {}
    for text in overrides:
        override = parse_override(text, f"KEY=VALUE, where VALUE may be a sweep: {_SWEEPS}")
        if not override.is_sweep_override():
            plain.append(text)
            continue
        if override.is_add() or override.is_force_add() or override.is_delete():
            raise ConfigError(
                f"'{text}': a swept key is one that the config has. Add it with a plain override "
                f"first, then sweep it: '{text.lstrip('+~')}'."
            )
        key = override.get_key_element()
        sweeps.pop(key, None)
        sweeps[key] = override.get_value_string()
    return plain, sweeps


def read_grammar(text: str, options: Collection[str] | None) -> Domain:
    """Read a string in Hydra's sweep grammar.

    Args:
        options: what ``glob(...)`` selects from; None where the entry is no config group.

    Raises:
        Refused: it is no Hydra syntax, a single value, or nothing that can be sampled.
    """
    try:
        sweep: Any = parse_override(f"space={text}").value()
    except NotAnOverride as error:
        raise Refused(
            f"{show(text)} is not Hydra's grammar: {error.reason}. Expected a sweep such as "
            f"{_SWEEPS}."
        ) from None
    if isinstance(sweep, Glob):
        return _glob(sweep, text, options)
    if not isinstance(sweep, Sweep):
        raise Refused(
            f"{show(text)} is a single value, nothing to sample: set it in the config instead"
        )
    if unknown := sorted(sweep.tags - {"log"}):
        raise Refused(f"unknown tag {unknown[0]!r} in {show(text)}: the only tag is 'log'")
    if isinstance(sweep, ChoiceSweep):
        if sweep.tags:
            raise Refused(f"{show(text)}: choices have no log scale: use an interval or a range")
        return Choice([numbers_as_text(plain_value(value)) for value in sweep.list])
    log = "log" in sweep.tags
    if isinstance(sweep, RangeSweep):
        return _range(sweep, text, log)
    assert isinstance(sweep, IntervalSweep)
    kind = "int" if isinstance(sweep.start, int) else "float"
    return read_range({"type": kind, "low": sweep.start, "high": sweep.end, "log": log})


def _range(sweep: RangeSweep, text: str, log: bool) -> Range:
    """A range holds ``start + i * step`` before ``stop``, in decimals: Hydra's documented rule."""
    given = {"start": sweep.start, "stop": sweep.stop, "step": sweep.step}
    try:
        start, stop, step = (Decimal(str(number)) for number in given.values())
        ahead = (stop - start) * step > 0
        whole, rest = divmod(stop - start, step)
    except ArithmeticError:
        raise Refused(f"{show(text)} is not a finite range with a step") from None
    if not ahead:
        raise Refused(f"{show(text)} is empty: no step leads from start towards stop")
    n = int(whole) + (1 if rest else 0)
    last = start + (n - 1) * step
    low, high = min(start, last), max(start, last)
    number = int if all(isinstance(n, int) for n in given.values()) else float
    bounds = {"low": number(low), "high": number(high), "step": number(abs(step))}
    return read_range({"type": number.__name__, **bounds, "log": log})


def _glob(glob: Glob, text: str, options: Collection[str] | None) -> Choice:
    if options is None:
        raise Refused(f"{show(text)}: glob() selects options of a config group, which this is not")
    names = glob.filter(sorted(options))
    if not names:
        raise Refused(f"{show(text)} selects nothing.{did_you_mean('', options)}")
    return Choice(names)
