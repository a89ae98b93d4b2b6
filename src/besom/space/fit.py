"""The places in the config that an entry fills: one for each choice of groups it applies under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from besom.config.tree import MISSING, every_path, has_path, lookup, within
from besom.config.types import Place, Refused, show
from besom.errors import did_you_mean
from besom.space.composer import ConfigSource, node_of
from besom.space.conditions import Condition, NeverApplies

Variant = tuple[Mapping[str, str], Mapping[str, Any]]


def places_of(
    path: str,
    conditions: Sequence[Condition],
    allowed: Mapping[str, Sequence[str]],
    composer: ConfigSource,
) -> list[Place]:
    """Return the places at ``path`` in the configs of every option under which an entry applies.

    Raises:
        Refused: the path is not in one of these configs; says which ``when`` would help.
    """
    variants = reachable(conditions, allowed, composer)
    _refuse_length(path, variants)
    absent = [v for v in variants if not has_path(v[1], path)]
    present = [v for v in variants if has_path(v[1], path)]
    if absent:
        raise _not_there(path, present, absent, composer)
    return [
        Place(lookup(config, path), _where(path, chosen, config, composer))
        for chosen, config in present
    ]


def _refuse_length(path: str, variants: Sequence[Variant]) -> None:
    """Refuse to sample the length of a list, which conditions can only read."""
    outer, _, key = path.rpartition(".")
    if key == "length" and any(isinstance(lookup(v[1], outer), list) for v in variants):
        raise Refused(
            "a `when` can read a list's length, but it cannot be sampled alone: write "
            f"'{outer}': {{length: ..., each: ...}}"
        )


def reachable(
    conditions: Sequence[Condition], allowed: Mapping[str, Sequence[str]], composer: ConfigSource
) -> list[Variant]:
    """Return the configs in which the conditions that read the config hold.

    Raises:
        NeverApplies: there are none, as the command line settles what a condition reads.
        Refused: there are none.
    """
    variants: list[Variant] = list(composer.variants(allowed))
    for condition in conditions:
        if condition.source.sampled or not variants:
            continue
        held = [v for v in variants if _holds(condition, v[1])]
        if not held:
            value = lookup(variants[0][1], condition.source.path, lengths=True)
            now = "not there" if value is MISSING else show(value)
            never = f"when {condition}: this never holds, {condition.path} is {now} here"
            error = NeverApplies if composer.settles(condition.source.path) else Refused
            raise error(never)
        variants = held
    return variants


def _holds(condition: Condition, config: Mapping[str, Any]) -> bool:
    value = lookup(config, condition.source.path, lengths=True)
    return value is not MISSING and condition.test.matches(value)


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
            having = [o for o in sorted(every) if _has(path, group, o, absent[0][0], composer)]
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


def _has(
    path: str, group: str, option: str, chosen: Mapping[str, str], composer: ConfigSource
) -> bool:
    return has_path(composer.config({**chosen, group: option}), path)
