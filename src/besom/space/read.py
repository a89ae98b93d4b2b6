"""Makes a checked :class:`Space` from ``sweep.space`` and the config it applies to."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any

from besom.config.tree import MISSING, lookup
from besom.config.types import Place, Refused, show
from besom.errors import SpaceError, did_you_mean
from besom.space.condition_tests import exclude_each_other
from besom.space.config_source import Compose, ConfigSource, NeverApplies
from besom.space.definitions import OwnSpaces, read_definitions, refused
from besom.space.domains import Choice, Domain, Range, Values
from besom.space.entries import Condition, Entry
from besom.space.lists import Definition, Fields, LengthOf, Lists
from besom.space.places import Variant, places_of
from besom.space.sources import (
    allowed_options,
    check_possible,
    conditions_of,
    needs_of,
    sampled_options,
)
from besom.space.space import Space
from besom.space.spec import ENTRY_KEYS
from besom.space.structs import NOWHERE, Struct

Allowed = dict[str, list[str]]
#: Gives the places at a path in these configs.
Places = Callable[[str, Sequence[Variant]], list[Place]]


def parse_space(
    spec: Mapping[str, Any],
    base: Mapping[str, Any],
    groups: Mapping[str, Collection[str]],
    choices: Mapping[str, str],
    *,
    compose: Compose | None = None,
    own_spaces: OwnSpaces | None = None,
    fixed: Collection[str] = (),
    dropped: Collection[str] = (),
) -> Space:
    """Read a search space and check it against the config it will be applied to.

    Args:
        spec: the entries, keyed by dotted config path or config group, plain; ``path@label``
            gives a path a second entry; null drops an inherited one, or an option's own. An empty
            space is legal.
        base: the base config, plain and resolved.
        groups: config group to its available options.
        choices: the option of each group in the base config.
        compose: gives the plain config for a complete choice of groups; called often, so cache
            it. Without it only entries that apply under the base's options are checked.
        own_spaces: gives a group option's own ``space:`` entries for ``with_own_spaces: true``;
            keys are relative to the group's node, paths in their ``when`` too where they name
            something there. An entry of ``spec`` for the same path replaces them.
        fixed: paths and groups that the command line sets in ``base``: every entry for one of
            them, also under a label or of an option's own space, is taken out, with a note. A
            fixed group keeps the own space of the option chosen.
        dropped: names whose entries the command line has taken out of ``spec``. An entry whose
            ``when`` reads one of these or of ``fixed``, and cannot hold, is left out with a note.

    Raises:
        SpaceError: an entry is malformed, does not fit the config, or can never apply. (One that
            depends on an option that its group has, but that is not sampled, is left out with a
            note.)

    Example:
        >>> space = parse_space(
        ...     {"model.dropout": {"low": 0.0, "high": 0.5}},
        ...     base={"model": {"dropout": 0.2}}, groups={}, choices={},
        ... )
        >>> space.paths
        ('model.dropout',)
    """
    settled = {name.partition("@")[0] for name in (*fixed, *dropped)}
    composer = ConfigSource(base, groups, choices, compose, settled)
    reading = read_definitions(spec, composer, own_spaces, fixed)
    searched, notes = reading.definitions, reading.notes
    while True:
        try:
            entries = _build(searched, reading.definitions, composer, partial(places_of, composer))
        except NeverApplies as why:  # what depends on it may now not apply either: start again
            searched = [d for d in searched if d.name != why.entry]
            notes.append(f"'{why.entry}' is left out: {why}")
        else:
            written = [entries[d.name] for d in searched]
            return Space(written, list(entries.values()), composer, notes, reading.spec)


def sampling_order(
    needs: Mapping[str, Collection[str]], remedy: str = "Remove one of these `when` lines."
) -> list[str]:
    """Return every name after all the names it needs, otherwise in the order given.

    Raises:
        SpaceError: names need each other in a circle; the message walks around it.
    """
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise SpaceError(
            f"sweep.space: the conditions go in a circle: {' -> '.join(reversed(error.args[1]))} "
            f"(each waits for the next). {remedy}"
        ) from None
    order: list[str] = []
    waiting = list(needs)
    while waiting:
        order.append(next(n for n in waiting if all(m in order for m in needs[n])))
        waiting.remove(order[-1])
    return order


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Say of which entry something is refused."""
    try:
        yield
    except NeverApplies as why:
        why.entry = name
        raise
    except Refused as why:
        raise refused(name, why) from None


def _build(
    searched: Sequence[Definition],
    definitions: Sequence[Definition],
    composer: ConfigSource,
    places_of: Places,
) -> dict[str, Entry]:
    """Fit every definition to the config, what conditions read before what depends on it.

    ``definitions`` are these and those already left out. The entries come in sampling order.

    Raises:
        NeverApplies: names the first entry that has to be left out.
    """
    conditions: dict[str, tuple[Condition, ...]] = {}
    for definition in searched:
        with _about(definition.name):
            _check_length(definition, definitions)
            conditions[definition.name] = conditions_of(definition, definitions, composer)
    needs = {d.name: list(needs_of(d, conditions[d.name], searched)) for d in searched}
    by_name = {definition.name: definition for definition in searched}
    options = sampled_options(searched, composer)
    entries: dict[str, Entry] = {}
    # By path, each of its entries, and which options of each group it can apply under: an entry
    # that depends on it can apply under no others.
    built: dict[str, list[tuple[Entry, Allowed]]] = defaultdict(list)
    remedy = "Remove one of these `when` lines."
    if any(map(_leader, searched)):
        remedy = "Remove one of these `when` lines, or give a list a length of its own."
    for name in sampling_order(needs, remedy):
        definition = by_name[name]
        with _about(name):
            for condition in conditions[name]:
                if condition.source.sampled and (
                    not condition.is_implied or not built[condition.source.path]
                ):
                    read = [entry for entry, _ in built[condition.source.path]]
                    check_possible(condition, read, composer)
            before = {path: [allowed for _, allowed in pairs] for path, pairs in built.items()}
            allowed = allowed_options(conditions[name], options, before, composer)
            variants = _reachable(conditions[name], allowed, composer)
            path, group = definition.path, definition.group
            # A path may hold another value under each option of a group: values fit them all.
            places = places_of(path, variants) if group is None else []
            read = [entry for entry, _ in built[_leader(definition)]]
            values = _fitted(definition.values, places, read, variants)
            entry = Entry(name, path, group, conditions[name], values)
        for other, theirs in built[definition.path]:
            if not _exclusive(entry, allowed, other, theirs):
                raise SpaceError(
                    f"sweep.space: '{other.name}' and '{name}' may both apply: give them `when` "
                    "conditions on the same path that exclude each other"
                )
        built[definition.path].append((entry, allowed))
        entries[name] = entry
    return entries


def _leader(definition: Definition) -> str:
    """The path of the list whose length this one has; or empty."""
    length = definition.values.length if isinstance(definition.values, Lists) else None
    return length.path if isinstance(length, LengthOf) else ""


def _check_length(definition: Definition, definitions: Sequence[Definition]) -> None:
    """Refuse lists that wait for each other's length."""
    leaders = {d.path: _leader(d) for d in definitions}
    claims = [definition.path]
    while leader := leaders.get(claims[-1]):
        if leader == definition.path:
            others = "".join(f" and '{path}'" for path in claims[1:])
            whose = f"it{others} claim each other's length: give one of them"
            raise Refused(
                f"{whose if others else 'it claims its own length: write'} a number or a range"
            )
        if leader in claims:
            return  # said of the lists in the circle
        claims.append(leader)


def _fitted(
    values: Values, places: Sequence[Place], leaders: Sequence[Entry], variants: Sequence[Variant]
) -> Values:
    """Return the values of a definition as these places hold them.

    Args:
        leaders: the entries of the list whose length it has.
        variants: the configs, if that list stands there.

    Raises:
        Refused: a place cannot hold them.
    """
    if not isinstance(values, Lists):
        assert isinstance(values, Domain)
        return values.fitted(places)
    lists = values.fitted(places)
    if isinstance(lists.length, LengthOf):
        lists = replace(lists, length=_length_of(lists.length, leaders, variants))
    if isinstance(lists.each, Fields):
        lists = replace(lists, each=_struct(lists.each, [place.elements for place in places]))
    return lists


def _length_of(
    length: LengthOf, leaders: Sequence[Entry], variants: Sequence[Variant]
) -> LengthOf | Domain:
    """The lengths of the other list: of its entries, else the one that the command line sets.

    Raises:
        NeverApplies: it sets no list, or an empty one.
        Refused: the other entry has no lists.
    """
    lengths: set[int] = set()
    for entry in leaders:
        if isinstance(entry.values, Lists):
            lengths.update(entry.values.lengths)
        elif isinstance(entry.values, Choice):
            lengths.update(len(value) for value in entry.values.values if isinstance(value, list))
    if leaders and not lengths:
        raise Refused(f"length: {length.path} is no list")
    if leaders:
        return replace(length, lengths=tuple(sorted(lengths)))
    found = [lookup(config, str(length), lengths=True) for _, config in variants]
    if any(n is MISSING for n in found) or len(set(found)) != 1 or not found[0]:
        values = " or ".join(
            dict.fromkeys(show(lookup(config, length.path)) for _, config in variants)
        )
        raise NeverApplies(f"its length is that of {length.path}, which is {values} here")
    return Range(found[0], found[0], is_int=True)


def _struct(fields: Fields, places: Sequence[Place]) -> Struct:
    """The entries of a list's elements, fitted to the elements that these places have."""
    keys = dict.fromkeys(definition.path for definition in fields.definitions)
    for place in places:
        if place.kind not in ("mapping", "anything"):
            hint = next(
                filter(lambda h: "Did" in h, (did_you_mean(k, ENTRY_KEYS) for k in keys)), ""
            )
            raise place.refuse(
                f"is a mapping of entries ({', '.join(keys)})", hint or " Write a range or choices."
            )
        known = place.reference if isinstance(place.reference, Mapping) else {}
        for key in keys:
            hint = did_you_mean(key, known) if key not in known else ""
            if "Did" in hint:
                raise Refused(f"each: {key}: no element in the config has this.{hint}")
    for definition in fields.definitions:
        for path, _ in definition.when:
            if path.partition(".")[0] not in keys:
                raise Refused(
                    f"each: {definition.name}: when '{path}': inside an element, a `when` reads "
                    f"the element's other entries.{did_you_mean(path, keys)}"
                )

    def places_of(path: str, _: Sequence[Variant]) -> list[Place]:
        return [place.at(path) for place in places]

    try:
        order = _build(fields.definitions, fields.definitions, NOWHERE, places_of)
    except SpaceError as why:
        raise Refused(f"each: {str(why).removeprefix('sweep.space: ')}") from None
    return Struct(tuple(order[d.name] for d in fields.definitions), tuple(order.values()))


def _exclusive(a: Entry, a_allowed: Allowed, b: Entry, b_allowed: Allowed) -> bool:
    """Whether two entries of one path can be seen never to apply at once."""
    if any(not set(names) & set(b_allowed[group]) for group, names in a_allowed.items()):
        return True
    return any(
        one.source == other.source and exclude_each_other(one.test, other.test)
        for one in a.conditions
        for other in b.conditions
    )


def _reachable(
    conditions: Sequence[Condition], allowed: Mapping[str, Sequence[str]], composer: ConfigSource
) -> list[Variant]:
    """Return the configs in which the conditions that read the config hold.

    Raises:
        Refused: there are none.
    """
    variants: list[Variant] = list(composer.variants(allowed))
    for condition in conditions:
        if condition.source.sampled or not variants:
            continue
        found = [lookup(config, condition.source.path, lengths=True) for _, config in variants]
        held = [value is not MISSING and condition.test.matches(value) for value in found]
        if not any(held):
            now = "not there" if found[0] is MISSING else show(found[0])
            why = f"when {condition}: this never holds, {condition.path} is {now} here"
            raise composer.never([condition.source.path], why)
        variants = list(itertools.compress(variants, held))
    return variants
