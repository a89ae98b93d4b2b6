"""The forms an entry can be written in: a list, one of three mappings, or Hydra's grammar."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from besom.config.kinds import Refused, show
from besom.errors import did_you_mean
from besom.space.bodies import (
    RANGE_KEYS,
    Body,
    ChoiceBody,
    ListBody,
    RangeBody,
    flag,
    no_other_keys,
    range_body,
)
from besom.space.grammar import grammar_body

CHOICE_KEYS = ("choices", "with_own_spaces")
LIST_KEYS = ("length", "each", "shared", "shape")
ENTRY_KEYS = (*RANGE_KEYS, *CHOICE_KEYS, *LIST_KEYS, "when")
SHAPES = ("any", "constant", "decreasing", "increasing")

#: Each element is a parameter of Optuna's, and its samplers take their time for each.
MOST_ELEMENTS = 100

FORMS = (
    "An entry is a list of choices, {type, low, high, log, step}, {length, each} for lists, "
    "or Hydra's grammar, such as 'tag(log, interval(1e-4, 1e-1))'."
)


def read_body(value: Any, options: Collection[str] | None) -> Body:
    """Read what stands under one key of a space, its ``when`` apart.

    Args:
        value: as it came from YAML.
        options: the options of the config group it is for; None where it is for a config value.

    Raises:
        Refused: it is none of the forms, or malformed.
    """
    if isinstance(value, str):
        return grammar_body(value, options)
    if isinstance(value, list):
        return ChoiceBody(value)
    if not isinstance(value, Mapping):
        raise Refused(
            f"{show(value)} is a single value, nothing to sample: set it in the config instead"
        )
    if any(key in value for key in LIST_KEYS):
        return _list_body(value)
    if any(key in value for key in CHOICE_KEYS):
        return _choice_body(value, options)
    if any(key in value for key in RANGE_KEYS):
        return range_body(value)
    unknown = next(iter(value), None)
    if unknown is None:
        raise Refused(f"the entry is empty. {FORMS}")
    hint = did_you_mean(str(unknown), ENTRY_KEYS)
    raise Refused(f"unknown key {show(unknown)}.{hint if 'Did' in hint else ''} {FORMS}")


def _choice_body(given: Mapping[str, Any], options: Collection[str] | None) -> ChoiceBody:
    if ranged := [key for key in given if key in RANGE_KEYS]:
        raise Refused(
            f"{show(ranged[0])} belongs to a range, and this has choices, which need no more: "
            "write {choices: [...]}, or the list alone"
        )
    no_other_keys(given, CHOICE_KEYS)
    own, choices = flag(given, "with_own_spaces"), given.get("choices")
    if own and options is not None and "choices" not in given:
        choices = sorted(options)
    body = grammar_body(choices, options) if isinstance(choices, str) else choices
    if isinstance(body, list):
        body = ChoiceBody(body)
    if not isinstance(body, ChoiceBody):
        raise Refused(f"choices is {show(choices)}: write a list")
    return ChoiceBody(body.values, own)


def _list_body(given: Mapping[str, Any]) -> ListBody:
    no_other_keys(given, LIST_KEYS)
    parts = {key: _part(given, key) for key in ("length", "each")}
    shape = given.get("shape") or ("constant" if flag(given, "shared") else "any")
    if shape not in SHAPES:
        raise Refused(f"shape is {show(shape)}.{did_you_mean(str(shape), SHAPES)}")
    if flag(given, "shared") and shape != "constant":
        raise Refused(f"shared: true is one value for all elements: drop it or shape: {shape}")
    each, length = parts["each"], parts["length"]
    numbers = isinstance(each, RangeBody) or all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in each.values
    )
    if shape in ("decreasing", "increasing") and not numbers:
        raise Refused(f"shape: {shape} needs elements that are numbers")
    if isinstance(length, RangeBody):
        bad = not length.whole or length.type == "float"
        lengths = [length.low, length.high]
    else:
        bad = any(isinstance(n, bool) or not isinstance(n, int) for n in length.values)
        lengths = length.values
    if bad:
        raise Refused("a length is an int: write {type: int, low: ..., high: ...} or a number")
    if lengths and min(lengths) < 0:
        raise Refused(f"length: low is {min(lengths)}: a list has 0 elements or more")
    if lengths and max(lengths) > MOST_ELEMENTS:
        raise Refused(
            f"length: {max(lengths)} is more than {MOST_ELEMENTS} elements, each of which is a "
            "parameter to sample"
        )
    if lengths and max(lengths) == 0:
        raise Refused("the list is always empty: set it to [] in the config instead")
    return ListBody(length, each, shape)


def _part(given: Mapping[str, Any], key: str) -> RangeBody | ChoiceBody:
    """The ``length`` or ``each`` of a list; a bare number is a fixed length."""
    value = given.get(key)
    if value is None:
        raise Refused(f"{key} is missing: a list entry is {{length: ..., each: ...}}")
    try:
        if key == "length" and isinstance(value, int | float):
            return range_body({"low": value, "high": value})
        if isinstance(value, Mapping) and "when" in value:
            raise Refused("`when` belongs to the whole entry, beside length and each")
        body = read_body(value, None)
    except Refused as why:
        raise Refused(f"{key}: {why}") from None
    if isinstance(body, ListBody) or (isinstance(body, ChoiceBody) and body.with_own_spaces):
        raise Refused(f"{key}: write a range or choices")
    return body
