"""Makes a checked :class:`Space` from ``sweep.space`` and the config it applies to."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from typing import Any

from besom.config.tree import MISSING, every_path, has_path, lookup, within
from besom.config.types import Place, Refused, show
from besom.errors import SpaceError, did_you_mean
from besom.space.definitions import Definition, OwnSpaces, read_definitions, refused
from besom.space.entries import (
    Compose,
    Condition,
    ConfigSource,
    Entry,
    NeverApplies,
    exclude_each_other,
    node_of,
)
from besom.space.sources import (
    allowed_options,
    check_possible,
    conditions_of,
    needs_of,
    sampled_options,
)
from besom.space.space import Space

Allowed = dict[str, list[str]]
Variant = tuple[Mapping[str, str], Mapping[str, Any]]


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
            entries = _build(searched, reading.definitions, composer)
        except NeverApplies as why:  # what depends on it may now not apply either: start again
            searched = [d for d in searched if d.name != why.entry]
            notes.append(f"'{why.entry}' is left out: {why}")
        else:
            written = [entries[d.name] for d in searched]
            return Space(written, list(entries.values()), composer, notes, reading.spec)


def sampling_order(needs: Mapping[str, Collection[str]]) -> list[str]:
    """Return every name after all the names it needs, otherwise in the order given.

    Raises:
        SpaceError: names need each other in a circle; the message walks around it.
    """
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise SpaceError(
            f"sweep.space: the conditions go in a circle: {' -> '.join(reversed(error.args[1]))} "
            "(each waits for the next). Remove one of these `when` lines."
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
    searched: Sequence[Definition], definitions: Sequence[Definition], composer: ConfigSource
) -> dict[str, Entry]:
    """Fit every definition to the config, what conditions read before what depends on it.

    ``definitions`` are these and those already left out. The entries come in sampling order.

    Raises:
        NeverApplies: names the first entry that has to be left out.
    """
    conditions: dict[str, tuple[Condition, ...]] = {}
    for definition in searched:
        with _about(definition.name):
            conditions[definition.name] = conditions_of(definition, definitions, composer)
    needs = {d.name: list(needs_of(d, conditions[d.name], searched)) for d in searched}
    by_name = {definition.name: definition for definition in searched}
    options = sampled_options(searched, composer)
    entries: dict[str, Entry] = {}
    # By path, each of its entries, and which options of each group it can apply under: an entry
    # that depends on it can apply under no others.
    built: dict[str, list[tuple[Entry, Allowed]]] = defaultdict(list)
    for name in sampling_order(needs):
        definition = by_name[name]
        with _about(name):
            for condition in conditions[name]:
                if condition.source.sampled:
                    read = [entry for entry, _ in built[condition.source.path]]
                    check_possible(condition, read, composer)
            before = {path: [allowed for _, allowed in pairs] for path, pairs in built.items()}
            allowed = allowed_options(conditions[name], options, before, composer)
            variants = _reachable(conditions[name], allowed, composer)
            path, group = definition.path, definition.group
            # A path may hold another value under each option of a group: values fit them all.
            places = _places_of(path, variants, composer) if group is None else []
            values = definition.values.fitted(places)
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


def _places_of(path: str, variants: Sequence[Variant], composer: ConfigSource) -> list[Place]:
    """Return the places at ``path`` in the configs of every option under which an entry applies.

    Raises:
        Refused: the path is not in one of these configs; says which ``when`` would help.
    """
    outer, _, key = path.rpartition(".")
    if key == "length" and any(isinstance(lookup(config, outer), list) for _, config in variants):
        raise Refused(
            "a `when` can read a list's length, but it cannot be sampled alone: write "
            f"'{outer}': {{length: ..., each: ...}}"
        )
    absent = [v for v in variants if not has_path(v[1], path)]
    present = [v for v in variants if has_path(v[1], path)]
    if absent:
        raise _not_there(path, present, absent, composer)
    return [
        Place(lookup(config, path), _where(path, chosen, config, composer))
        for chosen, config in present
    ]


def _where(
    path: str, chosen: Mapping[str, str], config: Mapping[str, Any], composer: ConfigSource
) -> str:
    if config is composer.base:
        return ""
    owners = {g: o for g, o in chosen.items() if within(path, node_of(g))}
    return " for " + ", ".join(f"{group}={name}" for group, name in (owners or chosen).items())


def _not_there(
    path: str, present: list[Variant], absent: list[Variant], composer: ConfigSource
) -> Refused:
    """Say why a path is missing: for some options, for this option only, or altogether."""
    for group in absent[0][0]:
        with_it = list(dict.fromkeys(chosen[group] for chosen, _ in present))
        without = list(dict.fromkeys(chosen[group] for chosen, _ in absent))
        if with_it and not set(with_it) & set(without):
            options = with_it[0] if len(with_it) == 1 else f"[{', '.join(with_it)}]"
            return Refused(
                f"this is not in the config for {group}={' or '.join(without)}: "
                f"add `when: {{{group}: {options}}}` to the entry"
            )
    for group, every in composer.groups.items():
        if within(path, node_of(group)) and composer.compose is not None:
            configs = {o: composer.config({**absent[0][0], group: o}) for o in sorted(every)}
            having = [option for option, config in configs.items() if has_path(config, path)]
            if having:
                now = absent[0][0].get(group, composer.choices.get(group))
                return Refused(
                    f"this is not in the config for {group}={now}; it is for "
                    f"{group}={' or '.join(having)}: choose or sample that, with a `when` for it"
                )
    known = {known for _, config in absent for known in every_path(config)}
    hint = did_you_mean(path, known)
    if hint.startswith(" Known"):  # hundreds: say where to look instead
        hint = did_you_mean("", {path.partition(".")[0] for path in known})
    return Refused(f"this path is not in the config.{hint}")
