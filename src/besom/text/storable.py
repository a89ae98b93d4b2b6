"""Text that any file, database and terminal takes: what a trial says may hold other text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

T = TypeVar("T")

_NO_TEXT = frozenset({float, int, bool, bytes, type(None)})


def storable(value: T) -> T:
    """Return ``value`` with each text in it encodable, and free of NUL, which databases refuse.

    A lone surrogate (half of a character, as ``os.fsdecode`` gives for bytes that are not UTF-8)
    becomes its escape ``\\udcff``. Lists, tuples, mappings with their keys, and dataclasses are
    gone through; anything else is returned as it is.
    """
    made: Any = value
    if type(value) in _NO_TEXT:
        pass
    elif isinstance(value, str):
        if "\0" in value or not (value.isascii() or _is_encodable(value)):
            made = value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    elif isinstance(value, Mapping):
        made = {storable(key): storable(item) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        if not _NO_TEXT.issuperset(map(type, value)):  # a history is long, and all numbers
            made = type(value)(map(storable, value))
    elif is_dataclass(value) and not isinstance(value, type):
        made = replace(value, **{f.name: storable(getattr(value, f.name)) for f in fields(value)})
    return cast("T", made)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
