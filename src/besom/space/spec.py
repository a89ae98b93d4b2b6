"""The forms an entry can be written in: a list, one of three mappings, or Hydra's sweep grammar.

The grammar is read by Hydra's own parser. ``range(1, 5)`` is 1, 2, 3, 4 as in Hydra;
``interval(a, b)`` includes both ends, as Optuna does; ``int(interval(1, 3))`` is 1, 2, 3. The order
given by ``sort`` and ``shuffle`` means nothing to a sampler. ``tag(log, ...)`` samples in log
space; any other tag is refused rather than ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, RangeSweep, Sweep

from besom.config import parse_override, plain_value
from besom.config.overrides import NotAnOverride
from besom.config.types import Refused, is_number, show
from besom.equality import is_real
from besom.errors import ConfigError, did_you_mean
from besom.space.domains import STEP_OR_LOG, Choice, Domain, Range, Values
from besom.space.lists import Definition, Fields, LengthOf, Lists

#: What an entry can say: the keys of each form, see docs/guide.md.
RANGE_KEYS = ("type", "low", "high", "log", "step")
CHOICE_KEYS = ("choices", "with_own_spaces")
LIST_KEYS = ("length", "each", "shape")
ENTRY_KEYS = (*RANGE_KEYS, *CHOICE_KEYS, *LIST_KEYS, "when")

SHAPES = ("any", "constant", "decreasing", "increasing")

#: Each element is one of Optuna's parameters, and samplers take time for each.
MOST_ELEMENTS = 100

FORMS = (
    "An entry is a list of choices, {type, low, high, log, step}, {length, each} for lists, "
    "or Hydra's grammar, such as 'tag(log, interval(1e-4, 1e-1))'."
)

#: How an element of a list is written, where it is a mapping of entries.
_STRUCT = "a mapping of entries such as {units: {low: 16, high: 512}, dropout: [0.0, 0.2]}"
#: ``model.units.length``: the length of another list.
_LENGTH_OF = re.compile(r"([A-Za-z_][\w/.-]*)\.length")

#: Optuna computes with doubles: beyond this, ints run into each other.
_LARGEST_INT = 2**53
_SWEEPS = "choice(a,b), a,b, range(1,5), interval(0,1) or tag(log,interval(1e-4,1e-1))"


def read_values(value: Any, options: Collection[str] | None) -> Values:
    """Read what stands under one key of a space, its ``when`` apart.

    Args:
        value: as it came from YAML.
        options: the options of the config group it is for; None where it is for a config value.

    Raises:
        Refused: it is none of the forms, or malformed.
    """
    if isinstance(value, str):
        return read_grammar(value, options)
    if isinstance(value, list):
        return Choice(value)
    if not isinstance(value, Mapping):
        raise Refused(
            f"{show(value)} is a single value, nothing to sample: set it in the config instead"
        )
    if any(key in value for key in LIST_KEYS):
        return _lists(value)
    if any(key in value for key in CHOICE_KEYS):
        return _choice(value, options)
    if any(key in value for key in RANGE_KEYS):
        return read_range(value)
    unknown = next(iter(value), None)
    if unknown is None:
        raise Refused(f"the entry is empty. {FORMS}")
    hint = did_you_mean(str(unknown), ENTRY_KEYS)
    raise Refused(f"unknown key {show(unknown)}.{hint if 'Did' in hint else ''} {FORMS}")


def _choice(given: Mapping[str, Any], options: Collection[str] | None) -> Choice:
    if ranged := [key for key in given if key in RANGE_KEYS]:
        raise Refused(
            f"{show(ranged[0])} belongs to a range, and this entry has choices: write "
            "{choices: [...]}, or the list alone"
        )
    no_other_keys(given, CHOICE_KEYS)
    own, choices = flag(given, "with_own_spaces"), given.get("choices")
    if own and options is not None and "choices" not in given:
        choices = sorted(options)
    values = choices
    if isinstance(choices, str):
        read = read_grammar(choices, options)
        values = list(read.values) if isinstance(read, Choice) else None
    if not isinstance(values, list):
        raise Refused(f"choices is {show(choices)}: write a list")
    return Choice(values, own)


def _lists(given: Mapping[str, Any]) -> Lists:
    no_other_keys(given, LIST_KEYS)
    length, each = _length(given), _each(given)
    shape = given.get("shape") or "any"
    if shape not in SHAPES:
        raise Refused(f"shape is {show(shape)}.{did_you_mean(str(shape), SHAPES)}")
    numbers = isinstance(each, Range) or (
        isinstance(each, Choice) and all(map(is_real, each.values))
    )
    if shape in ("decreasing", "increasing") and not numbers:
        raise Refused(f"shape: {shape} needs elements that are numbers")
    if isinstance(length, LengthOf):
        return Lists(length, each, shape)
    lengths = length.values if isinstance(length, Choice) else (length.low, length.high)
    is_int = isinstance(length, Choice) or length.is_int
    if not is_int or any(type(n) is not int for n in lengths):
        raise Refused("a length is an int: write {type: int, low: ..., high: ...} or a number")
    if min(lengths) < 0:
        raise Refused(f"length: low is {min(lengths)}: a list has 0 elements or more")
    if max(lengths) > MOST_ELEMENTS:
        raise Refused(
            f"length: {max(lengths)} is more than {MOST_ELEMENTS} elements, each of which is a "
            "parameter to sample"
        )
    if max(lengths) == 0:
        raise Refused("the list is always empty: set it to [] in the config instead")
    return Lists(length, each, shape)


def _length(given: Mapping[str, Any]) -> Domain | LengthOf:
    """The ``length`` of a list: a bare number is fixed, ``PATH.length`` is another list's."""
    value = given.get("length")
    if isinstance(value, str) and (other := _LENGTH_OF.fullmatch(value)):
        return LengthOf(other[1])
    if is_real(value):
        value = {"low": value, "high": value}
    try:
        return _part(value, "length")
    except Refused as why:
        if isinstance(value, str) and re.fullmatch(r"\w+([./]\w+)+", value):
            raise Refused(
                f"length: {show(value)} is a single value: write {value}.length for the length of "
                "that list"
            ) from None
        raise why from None


def _each(given: Mapping[str, Any]) -> Domain | Fields:
    value = given.get("each")
    if not isinstance(value, Mapping) or not _is_struct(value):
        return _part(value, "each")
    found = []
    for name, entry in value.items():
        if entry is None:  # dropped, as an entry of the space is
            continue
        try:
            found.append(_field(name, entry))
        except Refused as why:
            raise Refused(f"each: {name}: {why}") from None
    if not found:
        raise Refused(f"each has no entries: write a range, choices, or {_STRUCT}")
    return Fields(tuple(found))


def _is_struct(value: Mapping[str, Any]) -> bool:
    """Whether an element is a mapping of entries, and not one entry with a slip in its keys."""
    if not value or "choices" in value or {"length", "each"} <= value.keys():
        return not value
    if any(isinstance(value.get(key), list | Mapping) for key in RANGE_KEYS):
        return True  # no bound, but an entry called `type`, say
    own = [key for key in value if key not in ENTRY_KEYS]
    if any(_is_entry(value[key]) for key in own):
        return True
    return len(own) == len(value) and not any(
        "Did" in did_you_mean(str(k), ENTRY_KEYS) for k in own
    )


def _is_entry(value: Any) -> bool:
    """Whether a value can be an entry: a single one cannot."""
    return (
        value is None
        or isinstance(value, list | Mapping)
        or (isinstance(value, str) and bool(re.search("[(,]", value)))
    )


def _field(name: Any, entry: Any) -> Definition:
    """An entry of a list's element."""
    path = name.partition("@")[0] if isinstance(name, str) else ""
    if not path or "." in path or "/" in path:
        raise Refused(
            "an element's key is text without dots" + " (quote it)" * isinstance(name, bool)
        )
    if name == "when":
        raise Refused(
            "`when` belongs to the whole entry, beside length and each, or to one of these entries"
        )
    if not _is_entry(entry):
        raise Refused(
            f"{show(entry)} is a single value, nothing to sample: write [{show(entry)}] for a "
            "value that is always the same"
        )
    rest, when = split_when(entry)
    values = read_values(rest, None)
    if isinstance(values, Choice) and values.with_own_spaces:
        raise Refused("with_own_spaces is for config groups")
    return Definition(name, path, None, values, when)


def split_when(value: Any) -> tuple[Any, tuple[tuple[str, Any], ...]]:
    """Separate the lines of an entry's ``when`` from the rest.

    Raises:
        Refused: it is no mapping.
    """
    if not isinstance(value, Mapping):
        return value, ()
    when = {} if value.get("when") is None else value["when"]
    if not isinstance(when, Mapping):
        raise Refused(f"when is {show(when)}: write {{path: value}}")
    return {k: v for k, v in value.items() if k != "when"}, tuple(when.items())


def _part(value: Any, key: str) -> Domain:
    """The ``length`` or ``each`` of a list."""
    if value is None:
        raise Refused(f"{key} is missing: a list entry is {{length: ..., each: ...}}")
    try:
        if isinstance(value, Mapping) and "when" in value:
            raise Refused("`when` belongs to the whole entry, beside length and each")
        values = read_values(value, None)
    except Refused as why:
        raise Refused(f"{key}: {why}") from None
    if not isinstance(values, Domain) or (isinstance(values, Choice) and values.with_own_spaces):
        more = f", or {_STRUCT}" if key == "each" else ""
        raise Refused(f"{key}: write a range or choices{more}")
    return values


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
        return Choice([plain_value(value) for value in sweep.list])
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
