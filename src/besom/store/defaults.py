"""Reads a stored config as today's: keys that were added since have their default in it.

A key is added with the default that changes nothing, so a config without it was one with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from besom.config import Composer, SearchPath, lookup, schema
from besom.config.search_path import packaged_config_dirs


def as_of_now(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old``, with the keys of ``new`` that it lacks and for which besom has a default.

    A key without a default of besom's is left as it is: a key that a user has added to an option of
    their own may mean anything for what ran without it.

    Args:
        old: a config as stored, of a sweep or of one trial.
        new: the same sort of config as it would be stored now.
    """
    old = _follows_the_task(old, new)
    if not _lacks_any(old, new):
        return dict(old)
    filled = _filled(old, new, _defaults(old))
    resolved = OmegaConf.to_container(OmegaConf.create(filled), resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


#: What was the default before there were other tasks; null means the same for that task.
_BEFORE_TASKS = {
    "loss": "sparse_categorical_crossentropy",
    "metrics": ["accuracy"],
    "monitor": "val_accuracy",
}


def _follows_the_task(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old`` with null where it has such a default, and ``new`` has null."""
    before, now = old.get("trainer"), new.get("trainer")
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return dict(old)
    if before.get("loss") != _BEFORE_TASKS["loss"] or now.get("loss") is not None:
        return dict(old)
    trainer = {
        key: None if now.get(key, value) is None and _BEFORE_TASKS.get(key) == value else value
        for key, value in before.items()
    }
    return {**old, "trainer": trainer}


def _lacks_any(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    for key, value in new.items():
        if key not in old:
            return True
        both = isinstance(value, Mapping) and isinstance(old[key], Mapping)
        if both and _lacks_any(old[key], value):
            return True
    return False


def _filled(
    old: Mapping[str, Any], new: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    filled = dict(old)
    for key, default in defaults.items():
        if key not in new:
            continue
        if key not in old:
            filled[key] = default
        elif all(isinstance(node, Mapping) for node in (old[key], new[key], default)):
            filled[key] = _filled(old[key], new[key], default)
    return filled


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a config: the packaged ones, and in each group those of the option it chose.

    The option is the one that builds the same thing; a group that the config has not is left out.
    """
    defaults = deepcopy({**schema.defaults("train"), **schema.defaults("sweep")})
    packaged = _packaged()
    for group in packaged.groups:
        *outer, name = group.split("/")
        node = defaults
        for key in outer:
            node = node[key]
        path = group.replace("/", ".")
        option = packaged.reference(group, lookup(config, path))
        if option is None:
            node.pop(name, None)
        else:
            node[name] = option
    return defaults


@cache
def _packaged() -> Composer:
    """Besom's own configs, without the user's."""
    return Composer(SearchPath(packaged_config_dirs()), "sweep")
