"""Holds the values of a config to the types of the options they come from.

A config group is open, so no dataclass knows its keys. Its YAML does: ``learning_rate: 0.001``
says that a number belongs there, also after an override, a sweep, or a hand-edited export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from besom.errors import ConfigError
from besom.targets import TARGET
from besom.text.values import given_text

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def check_group(path: str, value: Any, reference: Any) -> None:
    """Check ``value`` against ``reference``, key by key; keys that only one side has are free.

    Args:
        path: the dotted path of both, for the message.
        value: plain data.
        reference: plain data of the option's YAML; None and interpolations accept anything.

    Raises:
        ConfigError: names the path, what is expected, as in the option, and what was given.
    """
    if isinstance(reference, Mapping):
        if not isinstance(value, Mapping):
            _refuse(path, "a mapping", reference, value)
        for key, expected in reference.items():
            if key in value and key != TARGET:
                check_group(f"{path}.{key}", value[key], expected)
    elif isinstance(reference, list):
        if not isinstance(value, Sequence) or isinstance(value, str):
            _refuse(path, "a list", reference, value)
        for index, item in enumerate(value):
            if reference:
                check_group(f"{path}.{index}", item, reference[0])
    elif not fits(value, reference):
        _refuse(path, _NAMES.get(type(reference), "a value"), reference, value)


def fits(value: Any, reference: Any) -> bool:
    """Whether a scalar ``value`` may stand where the option has ``reference``."""
    if reference is None or (isinstance(reference, str) and "${" in reference):
        return True
    if reference == "auto":  # stands for a value of any type: whoever takes it says which
        return True
    if isinstance(reference, bool):
        return isinstance(value, bool)
    if isinstance(value, Mapping):  # a schedule in place of a number, an object in place of a name
        return TARGET in value
    if isinstance(reference, str):
        return value is None or isinstance(value, str)
    if isinstance(value, bool):
        return False
    if isinstance(reference, int):
        return isinstance(value, int)
    return isinstance(value, int | float)


def _refuse(path: str, expected: str, reference: Any, value: Any) -> None:
    raise ConfigError(
        f"{path} is {given_text(value)}, expected {expected} such as {given_text(reference)}. Set "
        f"it with {path}=VALUE."
    )


def check_keys(node: Any, path: str = "") -> None:
    """Refuse a mapping whose keys are not text, at any depth: none is stored as it is.

    Raises:
        ConfigError: names the mapping's path, and the key.
    """
    items = node.items() if isinstance(node, Mapping) else ()
    for key, value in enumerate(node) if isinstance(node, list) else items:
        if isinstance(node, Mapping) and not isinstance(key, str):
            raise ConfigError(
                f"{path or 'the config'} has the key {key!r}, expected text: configs are stored as "
                f"JSON, which has no other keys. Quote it ('{key}'), and let the function that "
                "takes the mapping turn it back."
            )
        check_keys(value, f"{path}.{key}" if path else str(key))


def dotted_paths(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every dotted path in a plain config, inner nodes included; list items are not paths."""
    for key, value in node.items():
        path = f"{prefix}{key}"
        yield path
        if isinstance(value, Mapping):
            yield from dotted_paths(value, f"{path}.")


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted path that holds a value, with it; lists and empty mappings are values."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def has_path(node: Mapping[str, Any], path: str) -> bool:
    """Whether a dotted path (list indices allowed) exists in a plain config."""
    try:
        value_at(node, path)
    except KeyError:
        return False
    return True


def value_at(node: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path (list indices allowed) of a plain config.

    Raises:
        KeyError: there is no such path.
    """
    current: Any = node
    for part in path.split("."):
        if isinstance(current, Mapping) and part in current:
            current = current[part]
        elif isinstance(current, list) and part.isdigit() and int(part) < len(current):
            current = current[int(part)]
        else:
            raise KeyError(path)
    return current
