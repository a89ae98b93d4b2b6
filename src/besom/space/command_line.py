"""Separates what a command line changes in the search space from what it changes in the config.

The keys of ``sweep.space`` are dotted paths, which Hydra would split into nested keys.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.types import Override

from besom.config import Composer, parse_override, plain_value, refuse_options
from besom.config.schema import empties
from besom.config.types import numbers_as_text
from besom.errors import ConfigError, did_you_mean
from besom.space.definitions import flatten
from besom.space.grammar import split_overrides
from besom.space.spec import ENTRY_KEYS
from besom.text.values import given_text

SPACE = "sweep.space"
SPACE_PREFIX = f"{SPACE}."

_SUCH_AS = (
    f"for example '{SPACE_PREFIX}model.dropout.high=0.6' or "
    f"'{SPACE_PREFIX}model.dropout={{low: 0.0, high: 0.6}}'"
)


class Swept(NamedTuple):
    """An entry that replaces all others for its path: in Hydra's sweep grammar, or written out."""

    path: str
    entry: Any


class Asked(NamedTuple):
    """A command line's overrides by what they change. As in Hydra, the last one for a key counts.

    Attributes:
        plain: overrides of the config, for Hydra.
        of_space: changes of the space, in the order given.
        fixed: keys that a plain override sets and that no later one searches: not searched.
        dropped: the entries that are removed from the space.
    """

    plain: list[str]
    of_space: list[str | Swept]
    fixed: list[str]
    dropped: list[str]

    def changed(self, space: Mapping[str, Any], composer: Composer) -> dict[str, Any]:
        """The flat space with the changes of this command line.

        Args:
            space: as the sweep has it.
            composer: knows the groups' options, which may have spaces of their own.

        Raises:
            ConfigError: see ``override_space``.
        """
        changed = dict(space)
        for change in self.of_space:
            if isinstance(change, str):
                changed = override_space(changed, [change], _own_entries(changed, composer))
                continue
            others = {k: v for k, v in changed.items() if k.partition("@")[0] != change.path}
            changed = {**others, change.path: change.entry}
        return changed


def sort_out(overrides: Sequence[str]) -> Asked:
    """Separate overrides of the config from those of the space.

    A plain value fixes its key, unless the command also searches it: with a sweep of the key or a
    change of an entry ``KEY@LABEL`` after it, or a change of ``sweep.space.KEY`` anywhere. Then the
    value only sets the config, and so the baseline.

    Raises:
        ConfigError: an option among them, something for Hydra's multirun, or a syntax error.
    """
    refuse_options(overrides)
    plain: list[str] = []
    of_space: list[str | Swept] = []
    fixed: dict[str, None] = {}
    searched: list[str] = []
    dropped: list[str] = []
    for text in overrides:
        if (entries := _entries_in(text)) is not None:
            if not entries:
                of_space.clear()
                searched.clear()
                plain.append(text)
            of_space += [Swept(path, entry) for path, entry in entries.items()]
        elif text.lstrip("+~").startswith(SPACE_PREFIX):
            of_space.append(text)
            override = parse_override(text, _SUCH_AS)
            value = None if override.is_delete() else override.value()
            entries = {_path_in_space(override): value}
        if entries is not None:
            for path, entry in entries.items():
                if entry is None:
                    dropped.append(path)
                # One of several entries for a path searches that path only from here on: a later
                # plain value fixes it for all of them. A change of the path's only entry counts
                # wherever it stands in the command.
                elif "@" in path:
                    _free(fixed, re.sub(r"@[^.]+", "", path))
                else:
                    searched.append(path)
            continue
        # The user names the constraints: to Hydra, each of them is a new key.
        added = "++" if text.startswith("sweep.constraints") else ""
        of_config, swept = split_overrides([added + text])
        plain += of_config
        fixed |= dict.fromkeys(text.partition("=")[0].lstrip("+") for text in of_config)
        for path, entry in swept.items():
            of_space.append(Swept(path, entry))
            fixed.pop(path, None)
    for path in searched:
        _free(fixed, path)
    return Asked(plain, of_space, list(fixed), dropped)


def _entries_in(text: str) -> dict[str, Any] | None:
    """The entries in an override of the whole space (none if it empties it); None for others."""
    if text.partition("=")[0].lstrip("+~") != SPACE:
        return None
    override = parse_override(text, _SUCH_AS)
    entries = {} if empties(override) else _plain(override)
    if not isinstance(entries, dict):
        raise ConfigError(
            f"{text}: expected the entries by path, such as "
            f"'{SPACE}={{model.dropout: {{low: 0.0, high: 0.6}}}}'."
        )
    return entries


def _free(fixed: dict[str, None], searched: str) -> None:
    """Take out of ``fixed`` what is searched: ``searched`` names an entry, or a field in one."""
    for path in list(fixed):
        if _reaches(searched, path, {}):
            del fixed[path]


def _own_entries(space: Mapping[str, Any], composer: Composer) -> list[str]:
    """The names of the entries that options bring along, such as ``optimizer.momentum@sgd``."""
    names = []
    for key, entry in space.items():
        group = next((g for g in (key, key.replace(".", "/")) if g in composer.groups), None)
        if group is None or not isinstance(entry, Mapping) or not entry.get("with_own_spaces"):
            continue
        for option in composer.groups[group]:
            node = composer.option(group, option)
            own = node.get("space")
            inside = flatten(own, node) if isinstance(own, Mapping) else {}
            names += [f"{group.replace('/', '.')}.{path}@{option}" for path in inside]
    return names


def override_space(
    spec: Mapping[str, Any], overrides: Sequence[str], own: Sequence[str] = ()
) -> dict[str, Any]:
    """Apply ``sweep.space.PATH=ENTRY``, ``sweep.space.PATH.FIELD=VALUE`` and ``~sweep.space.PATH``.

    Args:
        spec: the flat space.
        overrides: of its entries.
        own: the entries that options bring along; dropping one of these writes null for it.

    Raises:
        ConfigError: a syntax error, the deletion of an entry that is not there, or a field of one
            that an option brings along.
    """
    own_paths = {name.partition("@")[0] for name in own}
    space = copy.deepcopy(dict(spec))
    for text in overrides:
        override = parse_override(text, _SUCH_AS)
        path = _path_in_space(override)
        field_of = [k for k in (*own, *own_paths) if path != k and _reaches(path, k, {})]
        entry = max((k for k in space if _reaches(path, k, space[k])), key=len, default=None)
        inside = _in_elements(space, entry)
        if override.is_delete() and path in inside:
            _set(space, [entry or "", "each", inside[path]], None, text)
        elif override.is_delete():
            if entry != path and path not in own_paths.union(own):
                known = [*inside, *space, *own]
                raise ConfigError(f"{text}: the space has no {path!r}.{did_you_mean(path, known)}")
            space.pop(path, None)
            if path in own_paths.union(own):
                space[path] = None
        elif entry is None and field_of:
            name = field_of[0]
            raise ConfigError(
                f"{text}: {name!r} comes from an option's own space, whose fields are set in the "
                f"option's YAML. Here, drop it with '~{SPACE_PREFIX}{name}', or write a whole "
                f"entry in its place: '{SPACE_PREFIX}{name.partition('@')[0]}={{low: ..., high: "
                "..., when: ...}'."
            )
        elif entry is None or entry == path:
            space[path] = _plain(override)
        else:
            _set(space, [entry, *path[len(entry) + 1 :].split(".")], _plain(override), text)
    return space


def _in_elements(space: Mapping[str, Any], entry: str | None) -> dict[str, str]:
    """The paths of the entries in a list's elements, with their keys there."""
    body = space[entry] if entry is not None else None
    each = body.get("each") if isinstance(body, Mapping) else None
    return {f"{entry}.each.{key}": key for key in each} if isinstance(each, Mapping) else {}


def _path_in_space(override: Override) -> str:
    """The name of an entry, or of something in one; what follows an ``@`` is its label."""
    return override.get_key_element().lstrip("+~").removeprefix(SPACE_PREFIX)


def _reaches(path: str, entry: str, body: Any) -> bool:
    """Whether a path names an entry, or a field in it; ``optimizer.momentum`` is no field."""
    if path == entry:
        return True
    field = path.removeprefix(f"{entry}.").partition(".")[0]
    return path.startswith(f"{entry}.") and isinstance(body, Mapping) and field in ENTRY_KEYS


def _set(node: dict[str, Any], parts: Sequence[str], value: Any, text: str) -> None:
    for part in parts[:-1]:
        inner = node.get(part)
        if not isinstance(inner, dict):
            raise ConfigError(
                f"{text}: {part!r} is {given_text(inner)}, which has no fields to set."
            )
        node = inner
    node[parts[-1]] = value


def _plain(override: Override) -> Any:
    if override.is_sweep_override():
        assert override.input_line is not None
        return override.input_line.partition("=")[2]
    return numbers_as_text(plain_value(override.value()))
