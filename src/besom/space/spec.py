"""The forms an entry can be written in: a list, one of three mappings, or Hydra's sweep grammar."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from besom.config.types import Refused, show
from besom.equality import is_real
from besom.errors import did_you_mean
from besom.space.domains import Choice, Domain, Range, Values
from besom.space.grammar import RANGE_KEYS, flag, no_other_keys, read_grammar, read_range
from besom.space.lists import Definition, Fields, LengthOf, Lists

#: What an entry can say: the keys of each form, see docs/guide/search-space.md.
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
