"""What may be claimed of a study in its results folder, and the file that holds it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from besom.regular import special_kind
from besom.statistics import Claim, claim, claim_text
from besom.store.environment import environment_then
from besom.store.paths import StudyPaths, study_names
from besom.store.records import StudyRecord


def claim_among(study: StudyRecord, results_dir: Path) -> Claim:
    """What may be claimed of a study, with a caveat where others chose by the same examples.

    Of the others only ``claim.json`` is read, which a sweep writes when it ends.
    """
    found = claim(study)
    mine = _data(study, found)
    if mine is None:
        return found
    own = {study.home(trial.number) for trial in study.trials}
    others = [
        name
        for name in study_names(results_dir)
        if name not in own and _data_written(StudyPaths.of(results_dir, name).claim) == mine
    ]
    if not others:
        return found
    return replace(found, caveats=(*found.caveats, claim_text.same_data(others, len(own))))


def claim_as_json(study: StudyRecord, claimed: Claim) -> str:
    """What may be claimed, with the values and the number of replicates that it was made from."""
    row = claimed.rows.get(claimed.leader) if claimed.leader is not None else None
    known = {
        **{key: getattr(claimed, key) for key in ("text", "caveats", "leader", "tied", "front")},
        **{key: getattr(claimed, key) for key in ("raw", "corrected", "interval", "n_seeds")},
        "raw_error": row and row.standard_error,
        "corrected_error": claimed.standard_error,
        "baseline": claimed.baseline and claimed.baseline.trial,
        "gain": claimed.baseline and claimed.baseline.gain,
        "gain_interval": claimed.baseline and claimed.baseline.interval,
        "values": {str(t.number): t.values for t in study.complete},
        "n_replicates": len(study.replicates),
        "data": _data(study, claimed),
    }
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"


def _data(study: StudyRecord, claimed: Claim) -> str | None:
    """The fingerprint of the examples that the trials were judged on."""
    first = next(iter(study.complete), None)
    chosen = next((t for t in study.complete if t.number == claimed.leader), first)
    data = {} if chosen is None else environment_then(study, chosen).get("data", {})
    return data.get("fingerprint") if isinstance(data, dict) else None


def _data_written(path: Path) -> object:
    if special_kind(path):
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("data")
    except (OSError, ValueError, AttributeError):
        return None
