"""Overrides of ``sweep.space`` itself, whose keys are dotted paths that Hydra would take apart."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from besom.errors import ConfigError, did_you_mean

SPACE_PREFIX = "sweep.space."

#: What an entry can say, see docs/guide.md.
FIELDS = {
    *("type", "low", "high", "log", "step", "choices", "when"),
    *("length", "each", "shared", "shape", "with_own_spaces"),
}


def override_space(spec: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply ``sweep.space.PATH=ENTRY``, ``sweep.space.PATH.FIELD=VALUE`` and ``~sweep.space.PATH``.

    Raises:
        ConfigError: a syntax error, or the deletion of an entry that is not there.
    """
    space = copy.deepcopy(dict(spec))
    for text in overrides:
        override = _parse(text)
        path = override.key_or_group.removeprefix(SPACE_PREFIX)
        entry = max((k for k in space if _reaches(path, k, space[k])), key=len, default=None)
        if override.is_delete():
            if entry != path:
                raise ConfigError(f"{text}: the space has no {path!r}.{did_you_mean(path, space)}")
            del space[path]
        elif entry is None or entry == path:
            space[path] = _plain(override)
        else:
            _set(space, [entry, *path[len(entry) + 1 :].split(".")], _plain(override), text)
    return space


def _reaches(path: str, entry: str, body: Any) -> bool:
    """Whether a path names an entry, or a field in it; ``optimizer.momentum`` is no field."""
    if path == entry:
        return True
    field = path.removeprefix(f"{entry}.").partition(".")[0]
    return path.startswith(f"{entry}.") and isinstance(body, Mapping) and field in FIELDS


def _set(node: dict[str, Any], parts: Sequence[str], value: Any, text: str) -> None:
    for part in parts[:-1]:
        inner = node.get(part)
        if not isinstance(inner, dict):
            raise ConfigError(f"{text}: {part!r} is {inner!r}, which has no fields to set.")
        node = inner
    node[parts[-1]] = value


def _plain(override: Override) -> Any:
    if override.is_sweep_override():
        assert override.input_line is not None
        return override.input_line.partition("=")[2]
    value = override.value()
    return _unquoted(value)


def _unquoted(value: Any) -> Any:
    """Hydra's quoted strings as plain text, at any depth."""
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _unquoted(item) for key, item in value.items()}
    return value.text if hasattr(value, "text") else value


def _parse(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise ConfigError(
            f"{text!r} is not an override: {' '.join(str(error).split())}. Expected, for example, "
            f"'{SPACE_PREFIX}model.dropout.high=0.6' or "
            f"'{SPACE_PREFIX}model.dropout={{low: 0.0, high: 0.6}}'."
        ) from error
