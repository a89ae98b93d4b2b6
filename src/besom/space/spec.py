"""The forms an entry can be written in: a list, one of three mappings, or Hydra's grammar."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from besom.config.types import Refused, show
from besom.equality import is_real
from besom.errors import did_you_mean
from besom.space.domains import Choice, Domain, Lists, Values
from besom.space.grammar import read_grammar
from besom.space.keys import CHOICE_KEYS, ENTRY_KEYS, LIST_KEYS, RANGE_KEYS, flag, no_other_keys
from besom.space.ranges import FloatRange, read_range

SHAPES = ("any", "constant", "decreasing", "increasing")

#: Each element is one of Optuna's parameters, and samplers take time for each.
MOST_ELEMENTS = 100

FORMS = (
    "An entry is a list of choices, {type, low, high, log, step}, {length, each} for lists, "
    "or Hydra's grammar, such as 'tag(log, interval(1e-4, 1e-1))'."
)


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
    length, each = _part(given, "length"), _part(given, "each")
    shape = given.get("shape") or "any"
    if shape not in SHAPES:
        raise Refused(f"shape is {show(shape)}.{did_you_mean(str(shape), SHAPES)}")
    numbers = not isinstance(each, Choice) or all(map(is_real, each.values))
    if shape in ("decreasing", "increasing") and not numbers:
        raise Refused(f"shape: {shape} needs elements that are numbers")
    lengths = length.values if isinstance(length, Choice) else (length.low, length.high)
    if isinstance(length, FloatRange) or any(type(n) is not int for n in lengths):
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


def _part(given: Mapping[str, Any], key: str) -> Domain:
    """The ``length`` or ``each`` of a list; a bare number is a fixed length."""
    value = given.get(key)
    if value is None:
        raise Refused(f"{key} is missing: a list entry is {{length: ..., each: ...}}")
    try:
        if key == "length" and isinstance(value, int | float):
            return read_range({"low": value, "high": value})
        if isinstance(value, Mapping) and "when" in value:
            raise Refused("`when` belongs to the whole entry, beside length and each")
        values = read_values(value, None)
    except Refused as why:
        raise Refused(f"{key}: {why}") from None
    if isinstance(values, Lists) or (isinstance(values, Choice) and values.with_own_spaces):
        raise Refused(f"{key}: write a range or choices")
    return values
