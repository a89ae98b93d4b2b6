"""What an entry can say: the keys of each form, see docs/guide.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from besom.config.types import Refused, show
from besom.errors import did_you_mean

RANGE_KEYS = ("type", "low", "high", "log", "step")
CHOICE_KEYS = ("choices", "with_own_spaces")
LIST_KEYS = ("length", "each", "shape")
ENTRY_KEYS = (*RANGE_KEYS, *CHOICE_KEYS, *LIST_KEYS, "when")


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
