"""Finds what the lines of a ``when`` read: a sampled entry, a fixed option, or the config."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from besom.config.tree import MISSING, every_path, lookup, within
from besom.config.types import Refused, show
from besom.errors import did_you_mean
from besom.space.condition_tests import Among, Between, Test, exclude_each_other, read_test
from besom.space.config_source import ConfigSource, NeverApplies, node_of
from besom.space.domains import Choice, Domain, Values
from besom.space.entries import Condition, Entry, Source
from besom.space.lists import Definition, LengthOf, Lists
from besom.space.structs import Struct


def conditions_of(
    definition: Definition, definitions: Sequence[Definition], composer: ConfigSource
) -> tuple[Condition, ...]:
    """Read the ``when`` of an entry, without the conditions that are known to hold before sampling.

    Raises:
        NeverApplies: a group is fixed at another option than the entry is tied to, or the command
            line settles the value it reads at one that it does not apply to.
        Refused: a path is neither sampled nor in the config, or a condition can never hold.
    """
    found = []
    for path, given in definition.when:
        try:
            test = read_test(given)
        except Refused as why:
            raise Refused(f"when '{path}': {why}") from None
        source = _source(path, definitions, composer)
        condition = Condition(path, test, source)
        value = MISSING if source.sampled else _settled(source, definitions, composer)
        if value is MISSING:
            found.append(condition)
        elif not test.matches(value):
            never = f"when {condition}: this never holds, {path} is {show(value)} here"
            if source.path in composer.groups:
                _check_options(condition, composer)
                raise NeverApplies(never)
            raise composer.never([source.path], never)
    length = definition.values.length if isinstance(definition.values, Lists) else None
    if isinstance(length, LengthOf):
        if any(other.path == length.path for other in definitions):
            source = Source(length.path, "length")
            found.append(Condition(str(length), Between(0, None), source, is_implied=True))
        elif not composer.settles(length.path):
            lists = [
                d.path for d in definitions if isinstance(d.values, Lists) and d is not definition
            ]
            hint = did_you_mean(length.path, lists) if lists else ""
            raise Refused(
                f"length: {length.path} is not sampled: write a number or a range, or sample that "
                f"list too.{hint}"
            )
    return tuple(found)


def _source(path: str, definitions: Sequence[Definition], composer: ConfigSource) -> Source:
    group = composer.group_at(path)
    if any(definition.path in (path, group) for definition in definitions):
        return Source(group or path)
    outer = next((d for d in definitions if d.group is None and within(path, d.path)), None)
    if outer is not None:
        return Source(outer.path, path[len(outer.path) + 1 :])
    if group is not None:
        return Source(group, sampled=False)
    configs = [composer.base]
    if lookup(composer.base, path, lengths=True) is MISSING:
        options = sampled_options(definitions, composer)
        configs += [config for _, config in composer.variants(options)]
    if any(lookup(config, path, lengths=True) is not MISSING for config in configs):
        return Source(path, sampled=False)
    lengths = [f"{d.path}.length" for d in definitions if isinstance(d.values, Lists)]
    known = {d.path for d in definitions}.union(lengths, composer.groups, *map(every_path, configs))
    hint = did_you_mean(path, known)
    why = f"when '{path}': this is neither sampled nor in the config.{hint}"
    raise composer.never([path], why)


def _settled(source: Source, definitions: Sequence[Definition], composer: ConfigSource) -> object:
    """The value of what no sampled group can change; MISSING where one can."""
    if source.path in composer.groups:
        return composer.choices.get(source.path)
    if composer.compose is not None and any(definition.group for definition in definitions):
        return MISSING
    return lookup(composer.base, source.path, lengths=True)


def _check_options(condition: Condition, composer: ConfigSource) -> None:
    """Refuse an option that the group does not have."""
    options = composer.groups[condition.source.path]
    for value in condition.test.values if isinstance(condition.test, Among) else ():
        if value not in options:
            hint = did_you_mean(str(value), options)
            raise Refused(f"when '{condition.path}': there is no option {show(value)}.{hint}")


def sampled_options(
    definitions: Sequence[Definition], composer: ConfigSource
) -> dict[str, list[str]]:
    """The options each sampled group can take; the base's too where the group has a ``when``."""
    options: dict[str, list[str]] = {}
    for definition in definitions:
        if definition.group is not None and isinstance(definition.values, Choice):
            names = list(definition.values.values)
            base = composer.choices.get(definition.group)
            if definition.when and base is not None and base not in names:
                names.append(base)
            options[definition.group] = names
    return options


def needs_of(
    definition: Definition, conditions: Sequence[Condition], definitions: Sequence[Definition]
) -> Iterator[str]:
    """The names of the entries that must be sampled before this one."""
    for condition in conditions:
        source = condition.source
        for other in definitions:
            reads = other.path == source.path
            if reads if source.sampled else _composes(other, source.path, definition):
                yield other.name


def _composes(other: Definition, path: str, definition: Definition) -> bool:
    """Whether ``definition``, reading ``path`` in the config, waits for ``other`` to be chosen.

    The config is composed for all sampled groups. A group itself waits only for the one that fills
    the node it reads, or any two groups would wait for each other.
    """
    if other.group is None or other.name == definition.name:
        return False
    return definition.group is None or within(path, node_of(other.group))


def check_possible(condition: Condition, entries: Sequence[Entry], composer: ConfigSource) -> None:
    """Refuse a condition that no sampled value of ``entries``, all of one path, can meet.

    Raises:
        NeverApplies: it asks for an option that its group has, but that is not sampled here.
        Refused: it can never hold for another reason; most likely a slip.
    """
    if not entries:
        raise NeverApplies(f"when {condition}: {condition.path} never applies itself")
    is_group = any(entry.group for entry in entries)
    rest, test = condition.source.rest, condition.test
    if is_group:
        _check_options(condition, composer)
    elif isinstance(test, Among) and not rest:
        for value in test.values:
            _check_member(condition, value, entries)
    outcomes = [_possible(test, rest, entry) for entry in entries]
    if not any(possible for possible, _ in outcomes):
        error = NeverApplies if is_group else Refused
        raise error(f"when {condition}: this never holds, {condition.path} is {outcomes[0][1]}")


def _possible(test: Test, rest: str, entry: Entry) -> tuple[bool, str]:
    """Whether a value can meet the test, and what the values are."""
    values = entry.values
    if isinstance(values, Lists):
        if rest == "length":
            return any(map(test.matches, values.lengths)), str(values.length)
        index, _, rest_inside = rest.partition(".")
        if index.isdecimal():
            possible, what = _element(test, rest_inside, values.each)
            return possible and int(index) < max(values.lengths), what
        possible = isinstance(test, Among) and not rest and _any_encodes(values, test.values)
        how = "its length can be read as `.length`, its elements as `.0`, `.1`, ..."
        return possible, f"a list ({how})"
    assert isinstance(values, Domain)
    if not rest:
        return _meets(test, values), f"one of {values}" if entry.choices else str(values)
    inside = [lookup(choice, rest, lengths=True) for choice in entry.choices or ()]
    there = [value for value in inside if value is not MISSING]
    return any(map(test.matches, there)), f"one of {show(there)}" if there else "not there"


def _element(test: Test, rest: str, each: object) -> tuple[bool, str]:
    """Whether an element of a list can meet the test, and what it is."""
    if isinstance(each, Struct):
        key, _, inside = rest.partition(".")
        found = [_possible(test, inside, entry) for entry in each.entries if entry.path == key]
        paths = ", ".join(dict.fromkeys(entry.path for entry in each.entries))
        what = found[0][1] if found else f"not there: an element has {paths}"
        return any(possible for possible, _ in found), what
    assert isinstance(each, Domain)
    return not rest and _meets(test, each), str(each)


def _meets(test: Test, domain: Domain) -> bool:
    if isinstance(test, Among):
        return _any_encodes(domain, test.values)
    if isinstance(domain, Choice):
        return any(map(test.matches, domain.values))
    return not exclude_each_other(test, Between(domain.low, domain.high))


def _any_encodes(values: Values, candidates: Iterable[object]) -> bool:
    for value in candidates:
        with suppress(Refused):
            values.params_of(value, "")
            return True
    return False


def _check_member(condition: Condition, value: object, entries: Sequence[Entry]) -> None:
    """Refuse a value that is not among the choices: most likely a typo."""
    choices = [c for entry in entries for c in entry.choices or ()]
    closed = all(entry.kind == "choice" for entry in entries)
    if closed and not any(_any_encodes(entry.values, [value]) for entry in entries):
        hint = did_you_mean(str(value), [str(choice) for choice in choices])
        raise Refused(f"when {condition}: {show(value)} is not one of the choices.{hint}")


def allowed_options(
    conditions: Sequence[Condition],
    options: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[Mapping[str, Sequence[str]]]],
    composer: ConfigSource,
) -> dict[str, list[str]]:
    """The options of each sampled group under which an entry and all it depends on can apply.

    Args:
        options: every option of each sampled group.
        before: path to what was returned here for each of its entries.

    Raises:
        Refused: there are none.
    """
    allowed = {group: list(names) for group, names in options.items()}
    for condition in conditions:
        if not condition.source.sampled:
            continue
        path = condition.source.path
        for group, names in allowed.items():
            if group == path:
                names[:] = [name for name in names if condition.test.matches(name)]
            reachable = {name for one in before[path] for name in one[group]}
            names[:] = [name for name in names if name in reachable]
        for group, names in allowed.items():
            if not names:
                why = f"when {condition}: with its other conditions, no {group} is left"
                raise composer.never([c.source.path for c in conditions], why)
    return allowed
