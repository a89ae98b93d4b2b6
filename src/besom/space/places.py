"""The places in the configs that an entry's values would fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from besom.config.tree import every_path, has_path, lookup, within
from besom.config.types import Place, Refused
from besom.errors import did_you_mean
from besom.space.config_source import ConfigSource, node_of

#: A choice of groups, and the config composed for it.
Variant = tuple[Mapping[str, str], Mapping[str, Any]]


def places_of(composer: ConfigSource, path: str, variants: Sequence[Variant]) -> list[Place]:
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
