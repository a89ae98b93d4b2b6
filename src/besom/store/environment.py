"""What a trial's values depend on beside its config: then, now, and what has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from besom.store import study_identity
from besom.store.records import StudyRecord, TrialRecord

#: What may change a value. What else a worker says of itself (its process, its paths) may not.
_KEYS = ("versions", "git", "data", "device", "engine", "engine_reason", "kernel", "precision")

#: How a revision ends that has changes beside it, of which no more is recorded.
_UNRECORDED = "+dirty"


def environment_then(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """What the study and the trial's own worker wrote down when it ran."""
    known = study.facts.get("environments", {})
    return merge(known.get(trial.environment.get("id"), {}), trial.environment)


def environment_now(*facts: Mapping[str, Any]) -> dict[str, Any]:
    """What holds in this process and, by what they said of themselves, in the workers."""
    return merge(study_identity.software(), *facts)


def what_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line a difference, ``versions.keras: "3.12.0" -> "3.13.0"``, in what both say."""
    both = [key for key in _KEYS if key in then and key in now]
    return study_identity.differences({k: then[k] for k in both}, {k: now[k] for k in both})


def not_recorded(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What may have changed without a trace; empty if nothing known may have.

    Two revisions that read alike are different code where something was changed beside them, and
    it was not recorded what: studies of an earlier besom said no more than ``+dirty``.
    """
    revision = str(then.get("git"))
    if now.get("git") != revision or not revision.endswith(_UNRECORDED):
        return ""
    return (
        f"The code may have changed: then as now it was {revision}, which has changes beside the "
        "revision, and it is not recorded which."
    )


def merge(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Environments as one; where two speak of the same, the later one is heard."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key in _KEYS:
            if isinstance(part.get(key), Mapping):
                merged[key] = {**merged.get(key, {}), **part[key]}
            elif key in part:
                merged[key] = part[key]
    return merged
