"""``sweep.space`` read entry by entry into checked definitions, not yet fitted to the config.

What is settled here: nested keys, entries dropped by null, config groups, the spaces that a group's
options bring along, and that no two entries fill the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from besom.config.tree import has_path, lookup, within
from besom.config.types import Refused, is_number, show
from besom.errors import SpaceError, did_you_mean
from besom.space.config_source import ConfigSource, node_of
from besom.space.domains import Choice, Values
from besom.space.lists import Definition, LengthOf, Lists
from besom.space.spec import ENTRY_KEYS, read_values, split_when

_TAKEN = "is fixed by the command line, and not searched"

#: Gives a group option's own ``space:`` entries, keys relative to the group's node; empty if none.
OwnSpaces = Callable[[str, str], Mapping[str, Any]]


def refused(name: str, why: object) -> SpaceError:
    """Return the error about the entry called ``name``."""
    return SpaceError(f"sweep.space: '{name}': {why}")


@dataclass(frozen=True)
class Reading:
    """``sweep.space`` as read.

    Attributes:
        definitions: the entries to sample.
        spec: the same as plain data, flat, without what is fixed.
        notes: one line for each path of the space that the command line fixes.
    """

    definitions: list[Definition] = field(default_factory=list)
    spec: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_definitions(
    spec: Mapping[str, Any],
    composer: ConfigSource,
    own_spaces: OwnSpaces | None,
    fixed: Collection[str] = (),
) -> Reading:
    """Read every entry, in the order written; an option's own entries follow their group.

    Raises:
        SpaceError: an entry is malformed, or two entries fill the same place.
    """
    given = flatten(spec, composer.base)
    dropped = {name for name, value in given.items() if value is None and "@" in name}
    explicit = {_path_of(name, composer) for name in given.keys() - dropped}
    fixed = {_path_of(path, composer) for path in fixed}
    reading, taken = Reading(), dict[str, str]()
    for name, value in given.items():
        if value is None:
            reading.spec[name] = None
            continue
        definition = _definition(name, value, given, composer)
        path, is_fixed = definition.path, definition.path in fixed
        options = _with_own_spaces(definition)
        if is_fixed and options:
            options = [composer.choices.get(path, options[0])]
        own = [
            one
            for one in _own_definitions(definition, options, composer, own_spaces, not is_fixed)
            if one.path not in explicit and one.name not in dropped
        ]
        searched = [one for one in own if one.path not in fixed]
        if not is_fixed:
            searched.insert(0, definition)
            reading.spec[name] = value
        elif searched:
            reading.spec[name] = {**value, "choices": options}
            taken[path] = "is fixed by the command line; its option's own space is searched"
        else:
            taken[path] = _TAKEN
        reading.definitions.extend(searched)
        for one in own:
            if one.path in fixed:
                reading.spec[one.path] = None
                taken[one.path] = _TAKEN
    reading.notes.extend(f"{path} {how}" for path, how in taken.items())
    _check_places(reading.definitions)
    return reading


def _with_own_spaces(definition: Definition) -> list[str]:
    """The options whose own entries a definition asks for."""
    values = definition.values
    has_own = isinstance(values, Choice) and values.with_own_spaces
    return list(values.values) if isinstance(values, Choice) and has_own else []


def flatten(spec: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``sweep.space`` as one plain entry per path, whether it was nested or not.

    Args:
        config: the config it applies to: only its mappings can be nested in the space.
    """
    return dict(_flat(spec, config))


def _flat(
    spec: Mapping[str, Any], config: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Undo nesting: ``{model: {dropout: ...}}`` means ``{model.dropout: ...}``."""
    for key, value in spec.items():
        path = f"{prefix}{key}"
        nested = isinstance(value, Mapping) and not any(k in ENTRY_KEYS for k in value)
        if nested and isinstance(lookup(config, path), Mapping):
            yield from _flat(value, config, f"{path}.")
        else:
            yield path, value


def _path_of(name: str, composer: ConfigSource) -> str:
    path = name.partition("@")[0]
    return composer.group_at(path) or path


def _definition(
    name: str, value: Any, given: Mapping[str, Any], composer: ConfigSource
) -> Definition:
    path = _path_of(name, composer)
    group = path if path in composer.groups else None
    options = None if group is None else composer.groups[group]
    whole = value
    try:
        if path.replace("/", ".").partition(".")[0] == "sweep":
            raise Refused(
                "the node sweep controls the search and cannot be searched itself: set one value, "
                "or run two sweeps (sweep.name=NAME) and compare them with `besom compare`"
            )
        value, when = split_when(value)
        if "${" in show(whole):
            raise Refused(
                "an interpolation, ${...}, is resolved neither on the command line nor in the "
                "`space` of an option: write its value, or put the entry in the sweep's YAML. An "
                "escaped one, \\${...}, cannot be a value either: in the exported config it would "
                "be an interpolation again"
            )
        values = read_values(value, options)
        if group is not None:
            if "@" in name:
                raise Refused(f"'{group}' is a config group: it has one entry, without a label")
            _check_options(values, group, composer)
        elif isinstance(values, Choice) and values.with_own_spaces:
            raise Refused(
                "with_own_spaces is for config groups, which this is not."
                + did_you_mean(path, composer.groups)
            )
    except Refused as why:
        raise refused(name, _slip(name, whole, given) or why) from None
    return Definition(path if group else name, path, group, values, when)


def _slip(name: str, value: Any, given: Mapping[str, Any]) -> str | None:
    """What a single value was most likely meant to be: a field of another entry."""
    entry, _, key = name.rpartition(".")
    if isinstance(value, list | Mapping):
        return None
    if entry not in given:
        hint = did_you_mean(entry, given.keys() - {name})
        return f"there is no entry '{entry}' to set {key} in.{hint}" if key in ENTRY_KEYS else None
    if not isinstance(given[entry], Mapping):
        return f"the entry '{entry}' is {show(given[entry])}, which has no {key} to set"
    return f"the entry '{entry}' has no {show(key)}.{did_you_mean(key, ENTRY_KEYS)}"


def _check_options(values: Values, group: str, composer: ConfigSource) -> None:
    options = composer.groups[group]
    if not isinstance(values, Choice):
        raise Refused(f"a config group is chosen from its options: {', '.join(sorted(options))}")
    for name in values.values:
        if name not in options:
            quoted = " (quote it)" if not isinstance(name, str) and is_number(str(name)) else ""
            hint = did_you_mean(str(name), options)
            raise Refused(f"{show(name)}{quoted} is not an option of the group '{group}'.{hint}")


def _own_definitions(
    definition: Definition,
    options: Sequence[str],
    composer: ConfigSource,
    own_spaces: OwnSpaces | None,
    required: bool,
) -> Iterator[Definition]:
    """The entries that these options of a group bring along, each tied to the choice of its option.

    They are named ``path@option``, so that two options may bring different ranges for one path.
    ``required`` refuses a group none of whose options brings any.
    """
    if not options:
        return
    if own_spaces is None:
        raise refused(definition.name, "with_own_spaces: options' own spaces cannot be read here")
    group = definition.path
    node, found = node_of(group), False
    for option in options:
        config = composer.config({group: option})
        there = lookup(config, node)
        inside = there if isinstance(there, Mapping) else {}
        own = flatten(own_spaces(group, option) or {}, inside)
        absolute = {f"{node}.{key.partition('@')[0]}" for key in own}
        for key, value in own.items():
            found = True
            if value is None:
                continue
            one = _definition(f"{node}.{key}@{option}", value, {}, composer)
            when = [(group, option)]
            when += [(_full(path, node, absolute, config), test) for path, test in one.when]
            values = one.values
            if isinstance(values, Lists) and isinstance(values.length, LengthOf):
                leader = _full(values.length.path, node, absolute, config)
                values = replace(values, length=LengthOf(leader))
            yield replace(one, when=tuple(when), values=values)
    if required and not found:
        raise refused(
            definition.name,
            f"with_own_spaces: none of {', '.join(options)} has a `space:` of its "
            f"own (it stands in conf/{group}/<option>.yaml, keys relative to '{node}')",
        )


def _full(path: str, node: str, own: Collection[str], config: Mapping[str, Any]) -> str:
    """A path that an option's own space reads: of something beside it, or of anything else."""
    inside = f"{node}.{path}"
    return inside if inside in own or has_path(config, inside) else path


def _check_places(definitions: list[Definition]) -> None:
    """No entry may fill a place inside another's; the same path may come back under a label."""
    names: set[str] = set()
    for definition in definitions:
        if definition.name in names:
            raise refused(definition.name, "it is given twice")
        names.add(definition.name)
    fields = [definition for definition in definitions if definition.group is None]
    for inner in fields:
        for outer in fields:
            if inner.path != outer.path and within(inner.path, outer.path):
                raise refused(
                    inner.name, f"it lies inside '{outer.name}', which is sampled as a whole"
                )
