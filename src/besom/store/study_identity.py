"""What a study is: the task that may never change, and the budget and executor that may.

A stored config is read as today's: a key that was added since has its default in it. Keys are added
with the default that changes nothing, so a config without one was one with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from besom.config import TRAIN_GROUPS, Composer, SearchPath, leaves, lookup, schema
from besom.equality import same
from besom.errors import StudyError
from besom.packaged import packaged_config_dirs

#: To be raised when the stored form changes so that older studies cannot be read.
FORMAT = 1

#: Keys of the node ``sweep`` that say how far and where a sweep runs, not what it searches.
BUDGET = (
    *("n_trials", "timeout_s", "target", "patience", "stop_when_noise"),
    *("trial_timeout_s", "max_failures"),
)
#: Keys that say nothing about the study itself, and may change at any time.
FREE = ("storage_patience_s", "replicates", "plots", "name", "trackers", "notify")
PLACE = ("executor", "storage", "keep_models")
#: The same of an executor: where its cluster is today, and when a worker is replaced.
FREE_OF_EXECUTOR = ("address", "max_worker_memory")


def split(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Split a composed config into ``task``, ``budget`` and ``place``."""
    sweep = config["sweep"]
    task = {key: config[key] for key in (*TRAIN_GROUPS, "seed")}
    task["sweep"] = {k: v for k, v in sweep.items() if k not in (*BUDGET, *PLACE, *FREE)}
    return {
        "task": task,
        "budget": {key: sweep[key] for key in BUDGET if key in sweep},
        "place": _place(sweep),
    }


def _place(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Where a sweep runs: of a cluster, what workers take there, and not where that is today."""
    place = {key: sweep[key] for key in PLACE if key in sweep}
    if isinstance(executor := place.get("executor"), Mapping):
        place["executor"] = {k: v for k, v in executor.items() if k not in FREE_OF_EXECUTOR}
    return place


def fingerprint(value: Any) -> str:
    """A short, stable hash of plain data, independent of key order."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def differences(old: Any, new: Any) -> list[str]:
    """One line a leaf that differs: ``path: old -> new``."""
    before, after = leaves(old), leaves(new)
    paths = dict.fromkeys([*before, *after])
    nothing = object()
    lines = []
    for path in paths:
        was, now = before.get(path, nothing), after.get(path, nothing)
        if not same(was, now):
            shown = ("(absent)" if v is nothing else json.dumps(v, default=str) for v in (was, now))
            lines.append(f"{path}: " + " -> ".join(shown))
    return lines


def check_same_task(
    name: str, stored: Mapping[str, Any], config: Mapping[str, Any], extend: bool
) -> None:
    """Refuse to continue a study with a different task, or a different budget without ``extend``.

    A key that was added after the study was made, and has its default now, is no change.

    Raises:
        StudyError: lists every value that changed and what to do.
    """
    old, new = split(as_of_now(stored, config)), split(config)
    if changed := differences(old["task"], new["task"]):
        raise StudyError(
            f"The study {name!r} was made with a different config:\n  "
            + "\n  ".join(changed)
            + "\n"
            "Undo the change to continue it, sweep under another name with sweep.name=NAME, or "
            "start over with --fresh, which keeps the old study in the archive. From Python these "
            "are name='NAME' and fresh=True."
        )
    changed = differences(old["budget"], new["budget"]) + differences(old["place"], new["place"])
    if not changed:
        return
    fewer = new["budget"]["n_trials"] < old["budget"]["n_trials"]
    if fewer:
        raise StudyError(
            f"The study {name!r} has a budget of {old['budget']['n_trials']} trials, this command "
            f"{new['budget']['n_trials']}; --extend takes a larger budget, never a smaller one. "
            f"Continue it with sweep.n_trials={old['budget']['n_trials']}."
        )
    if not extend:
        raise StudyError(
            f"The study {name!r} has a different budget or executor:\n  "
            + "\n  ".join(changed)
            + "\n"
            "Add --extend (from Python: extend=True) to continue it with the new one."
        )


def as_of_now(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old``, with the keys of ``new`` that it lacks and for which besom has a default.

    A key without a default of besom's is left as it is: a key that a user has added to an option of
    their own may mean anything for what ran without it.

    Args:
        old: a config as stored, of a sweep or of one trial.
        new: the same sort of config as it would be stored now.
    """
    old = _follows_the_task(_without_objective(old, new), new)
    if not _lacks_any(old, new):
        return dict(old)
    filled = _filled(old, new, _defaults(old))
    resolved = OmegaConf.to_container(OmegaConf.create(filled), resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def _without_objective(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """``old`` without its objective where it is the former default, and ``new`` names none."""
    before, now = (lookup(config, "sweep.objective") for config in (old, new))
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return old
    usual = (before.get("metric"), before.get("direction")) == ("val_accuracy", "maximize")
    if now.get("metric", "") is not None or not usual:
        return old
    follows = {**before, "metric": None, "direction": now.get("direction")}
    return {**old, "sweep": {**old["sweep"], "objective": follows}}


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
