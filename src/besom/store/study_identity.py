"""What a study is: the task that may never change, and the budget and executor that may."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from besom.config import TRAIN_GROUPS, leaves
from besom.equality import same
from besom.errors import StudyError
from besom.store.defaults import as_of_now

#: To be raised when the stored form changes so that older studies cannot be read.
FORMAT = 1

#: Keys of the node ``sweep`` that say how far and where a sweep runs, not what it searches.
BUDGET = ("n_trials", "timeout_s", "target", "patience", "trial_timeout_s", "max_failures")
#: Keys that say nothing about the study itself, and may change at any time.
FREE = ("storage_patience_s",)
PLACE = ("executor", "storage", "name", "keep_models")


def split(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Split a composed config into ``task``, ``budget`` and ``place``."""
    sweep = config["sweep"]
    task = {key: config[key] for key in (*TRAIN_GROUPS, "seed")}
    task["sweep"] = {k: v for k, v in sweep.items() if k not in (*BUDGET, *PLACE, *FREE)}
    return {
        "task": task,
        "budget": {key: sweep[key] for key in BUDGET if key in sweep},
        "place": {key: sweep[key] for key in PLACE if key in sweep},
    }


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
            "start over with --fresh, which keeps the old study in the archive."
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
            "Add --extend to continue it with the new one."
        )
