"""From ``sweep.space`` and the config it is laid over to a checked :class:`Space`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from besom.config.kinds import NeverApplies, Refused
from besom.config.tree import within
from besom.errors import SpaceError
from besom.space.bodies import ListBody, to_domain
from besom.space.composer import Compose, ConfigSource
from besom.space.conditions import Condition, exclude_each_other
from besom.space.drafts import Draft, OwnSpaces, read_drafts, refused
from besom.space.entries import Entry, ListEntry, ScalarEntry
from besom.space.fields import fields_of, reachable
from besom.space.order import sampling_order
from besom.space.sources import (
    allowed_options,
    check_possible,
    conditions_of,
    needs_of,
    sampled_options,
)
from besom.space.space import Space

Allowed = dict[str, list[str]]


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
        SpaceError: an entry is malformed, does not fit the config, or can never apply. (One tied
            to an option that its group has, but that is not sampled, is left out with a note.)

    Example:
        >>> space = parse_space(
        ...     {"model.dropout": {"low": 0.0, "high": 0.5}},
        ...     base={"model": {"dropout": 0.2}}, groups={}, choices={},
        ... )
        >>> sample = space.suggest(optuna.create_study().ask())  # doctest: +SKIP
    """
    settled = {name.partition("@")[0] for name in (*fixed, *dropped)}
    composer = ConfigSource(base, groups, choices, compose, settled)
    reading = read_drafts(spec, composer, own_spaces, fixed)
    drafts, conditions, left_out = _applicable(reading.drafts, composer)
    needs = {d.name: list(needs_of(d, conditions[d.name], drafts)) for d in drafts}
    order = sampling_order(needs)
    entries, notes = _build(drafts, order, conditions, composer)
    written = [entries[draft.name] for draft in drafts if draft.name in entries]
    notes = [*reading.notes, *left_out, *notes]
    return Space(written, list(entries.values()), composer, notes, reading.spec)


def _applicable(
    drafts: Sequence[Draft], composer: ConfigSource
) -> tuple[list[Draft], dict[str, tuple[Condition, ...]], list[str]]:
    """Read every entry's conditions; leave out what hangs on an option that is not chosen.

    Returns:
        The drafts that are left, their conditions by name, and a note for each that is not.
    """
    notes: list[str] = []
    gone: set[str] = set()
    for draft in drafts:
        try:
            conditions_of(draft, drafts, composer)
        except NeverApplies as why:
            notes.append(f"'{draft.name}' is left out: {why}")
            gone.add(draft.name)
        except Refused as why:
            raise refused(draft.name, why) from None
    left = [draft for draft in drafts if draft.name not in gone]
    paths = {d.path for d in drafts} - {d.path for d in left}
    while tied := [d for d in left if any(within(p, g) for p, _ in d.when for g in paths)]:
        notes += [f"'{d.name}' is left out: it depends on one that is" for d in tied]
        left = [draft for draft in left if draft not in tied]
        paths |= {d.path for d in tied} - {d.path for d in left}
    return left, {d.name: conditions_of(d, left, composer) for d in left}, notes


def _build(
    drafts: Sequence[Draft],
    order: Sequence[str],
    conditions: Mapping[str, tuple[Condition, ...]],
    composer: ConfigSource,
) -> tuple[dict[str, Entry], list[str]]:
    """Fit every draft to the config, what conditions read before what depends on it.

    Returns:
        The entries by name, in sampling order, and a note for each that can never apply.
    """
    by_name = {draft.name: draft for draft in drafts}
    options = sampled_options(drafts, composer)
    entries: dict[str, Entry] = {}
    notes: list[str] = []
    built: dict[str, list[Entry]] = {}
    allowed: dict[str, list[Allowed]] = {}
    for name in order:
        draft = by_name[name]
        try:
            for condition in conditions[name]:
                if condition.source.sampled:
                    check_possible(condition, built.get(condition.source.path, []), composer)
            mine = allowed_options(conditions[name], options, allowed, composer)
            entry = _entry(draft, conditions[name], mine, composer)
        except NeverApplies as why:
            notes.append(f"'{name}' is left out: {why}")
            continue
        except Refused as why:
            raise refused(name, why) from None
        for other, theirs in zip(
            built.get(draft.path, []), allowed.get(draft.path, []), strict=True
        ):
            if not _exclusive(entry, mine, other, theirs):
                raise SpaceError(
                    f"sweep.space: '{other.name}' and '{name}' may both apply: give them `when` "
                    "conditions on one thing that exclude each other"
                )
        built.setdefault(draft.path, []).append(entry)
        allowed.setdefault(draft.path, []).append(mine)
        entries[name] = entry
    return entries, notes


def _entry(
    draft: Draft, conditions: tuple[Condition, ...], allowed: Allowed, composer: ConfigSource
) -> Entry:
    body = draft.body
    if draft.group is not None:
        assert not isinstance(body, ListBody)
        reachable(conditions, allowed, composer)
        return ScalarEntry(draft.name, draft.path, draft.group, conditions, to_domain(body, []))
    fields = fields_of(draft.path, conditions, allowed, composer)
    if not isinstance(body, ListBody):
        domain = to_domain(body, fields)
        return ScalarEntry(draft.name, draft.path, None, conditions, domain)
    for field in fields:
        if field.kind.name not in ("list", "anything"):
            raise field.refuse("this is a list", " Write a range or choices.")
    each = to_domain(body.each, [field.elements for field in fields])
    length = to_domain(body.length, [])
    return ListEntry(draft.name, draft.path, None, conditions, length, each, body.shape)


def _exclusive(a: Entry, a_allowed: Allowed, b: Entry, b_allowed: Allowed) -> bool:
    """Whether two entries of one path can be seen never to apply at once."""
    if any(not set(names) & set(b_allowed[group]) for group, names in a_allowed.items()):
        return True
    return any(
        one.source == other.source and exclude_each_other(one.test, other.test)
        for one in a.conditions
        for other in b.conditions
    )
