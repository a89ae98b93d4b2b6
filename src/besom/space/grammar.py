"""Hydra's own sweep grammar, read by Hydra's own parser: strings become values to sample.

``range(1, 5)`` is 1, 2, 3, 4 as in Hydra; ``interval(a, b)`` includes both ends, as Optuna does;
``int(interval(1, 3))`` is 1, 2, 3. The order given by ``sort`` and ``shuffle`` means nothing to a
sampler. ``tag(log, ...)`` samples in log space; any other tag is refused rather than ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    RangeSweep,
    Sweep,
)

from besom.config import parse_override, plain_value
from besom.config.overrides import NotAnOverride
from besom.config.types import Refused, show
from besom.errors import ConfigError, did_you_mean
from besom.space.domains import Choice, Domain
from besom.space.ranges import FloatRange, IntRange, read_range

_SWEEPS = "choice(a,b), a,b, range(1,5), interval(0,1) or tag(log,interval(1e-4,1e-1))"


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
        return Choice([plain_value(value) for value in sweep.list])
    log = "log" in sweep.tags
    if isinstance(sweep, RangeSweep):
        return _range(sweep, text, log)
    assert isinstance(sweep, IntervalSweep)
    kind = "int" if isinstance(sweep.start, int) else "float"
    return read_range({"type": kind, "low": sweep.start, "high": sweep.end, "log": log})


def _range(sweep: RangeSweep, text: str, log: bool) -> IntRange | FloatRange:
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
