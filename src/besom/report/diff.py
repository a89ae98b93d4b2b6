"""What differs: between two trials (``besom diff``), or between studies (``besom compare``)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from besom.config import TRAIN_GROUPS, leaves
from besom.equality import same
from besom.report.tables import csv
from besom.statistics import alike, p_values, paired_gain, scored, table_of
from besom.store import study_identity
from besom.store.environment import environment_then
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.study_identity import as_of_now
from besom.text.numbers import points, with_error
from besom.text.values import ABSENT, compact_text, value_text

#: The part whose values are a config's; those of the others are what besom or a machine says.
CONFIG = "config"

#: The parts of what differs that hold a config's values.
_OF_CONFIGS = ("space", "config", "budget")


def differences(study: StudyRecord, one: TrialRecord, other: TrialRecord) -> pd.DataFrame:
    """One row per difference; columns: part, what, and the two trials' numbers.

    Parts: ``config`` (by dotted path), ``outcome``, ``environment``. A value that one of them does
    not have is ``ABSENT``; floats are exact. Where the study went on with a newer besom, keys
    that came with it count with their defaults.
    """
    # Of a trial that was not run here, only its hyperparameters are known.
    a_config, b_config = (trial.config or trial.params for trial in (one, other))
    parts = (
        (CONFIG, as_of_now(a_config, b_config), as_of_now(b_config, a_config)),
        ("outcome", _outcome(study, one), _outcome(study, other)),
        ("environment", environment_then(study, one), environment_then(study, other)),
    )
    rows = []
    for part, mine, theirs in parts:
        for what, a, b in contrast(mine, theirs):
            rows.append({"part": part, "what": what, _column(one): a, _column(other): b})
    return pd.DataFrame(rows, columns=["part", "what", _column(one), _column(other)], dtype=object)


def contrast(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The leaves that differ, as dotted path and both values; ``ABSENT`` where there is none."""
    mine, theirs = leaves(one), leaves(other)
    paths = dict.fromkeys([*mine, *theirs])
    both = [(path, mine.get(path, ABSENT), theirs.get(path, ABSENT)) for path in paths]
    return [
        (path, a, b)
        for path, a, b in both
        if path and (a is ABSENT or b is ABSENT or not same(a, b))
    ]


def verdict(study: StudyRecord, one: TrialRecord, other: TrialRecord) -> str:
    """One sentence: which of the two is better on the same examples; empty if that is not known.

    Uncorrected: for two trials picked beforehand, not for the first against others.
    """
    aim = study.objective
    if one is other or one.value is None or other.value is None or one.n_validation < 2:
        return ""
    mine, theirs = scored(one, aim, one.value), scored(other, aim, other.value)
    if mine is None or theirs is None or not alike(one, mine, other, theirs):
        return ""
    gain = paired_gain(mine.row, theirs.row)
    if gain.gain < 0.0:
        one, other, mine, theirs = other, one, theirs, mine
        gain = paired_gain(mine.row, theirs.row)
    p_value = float(p_values(table_of([theirs, mine]), 0)[1])
    found = "they are not distinguishable"
    if p_value <= 0.05:
        found = "they differ, if these two were chosen beforehand and not by their scores"
    ahead = with_error(gain.gain, gain.standard_error, is_share=False)
    if mine.kind == "share" or aim.is_share:  # of groups, or of several repeats, it is a mean
        ahead = points(gain.gain, gain.standard_error)
    head = (
        f"On the same {one.n_validation} validation examples trial {one.number} is {ahead} ahead "
        f"of trial {other.number}"
    )
    if mine.kind != "share":
        return f"{head} (p = {p_value:.2g}), so {found}."
    only_one = int((mine.row & ~theirs.row).sum())
    only_other = int((theirs.row & ~mine.row).sum())
    return (
        f"{head}: {only_one} examples that it alone gets right, against {only_other} (McNemar p = "
        f"{p_value:.2g}), so {found}."
    )


def _row(values: Sequence[Any], part: str, digits: int | None = None) -> list[str]:
    """Values that differ, for people: compact and rounded, where that can tell them apart."""
    compact = [
        compact_text(v, digits) if isinstance(v, list) else shown(v, part, digits) for v in values
    ]
    distinct = len(set(compact)) == len(compact)
    return compact if distinct else [shown(value, part) for value in values]


def shown(value: Any, part: str = CONFIG, digits: int | None = None) -> str:
    """A value for people: a config's in these digits, of the other parts words as they are."""
    if value is ABSENT or (value is None and part != CONFIG):
        return "-"
    if part != CONFIG and isinstance(value, str):
        return value
    return value_text(value, digits if part == CONFIG else 6)


def display_differences(frame: pd.DataFrame, digits: int | None = None) -> pd.DataFrame:
    """``differences`` for people.

    Args:
        frame: the differences.
        digits: of a config's numbers, unless it takes more to tell them apart; None: all.
    """
    names = frame.columns[2:]
    rows = [
        _row(values, part, digits)
        for part, *values in zip(frame["part"], *(frame[c] for c in names), strict=True)
    ]
    return frame.assign(**{name: [row[i] for row in rows] for i, name in enumerate(names)})


def contrasts_of(studies: Sequence[StudyRecord]) -> pd.DataFrame:
    """What differs between the studies: one row each, columns part, what, then one per study.

    Parts: ``space``, ``config``, ``budget``, ``code`` (the git revision), ``data`` (the
    fingerprint) and ``versions``. Lists and absent values (``-``) are texts, as all cells are. A
    key that besom has gained since a study was made counts there with its default.
    """
    described = [_described(study, studies) for study in studies]
    rows = []
    for part in dict.fromkeys(part for one in described for part in one):
        flat = [leaves(one.get(part, {})) for one in described]
        paths = dict.fromkeys(path for one in flat for path in one if path)
        for what in paths:
            empty = all(one.get(what, {}) == {} for one in flat)
            if empty and any(path.startswith(f"{what}.") for path in paths):
                continue  # empty in one study; what another has in it is a row each
            values = [one.get(what, ABSENT) for one in flat]
            kind = CONFIG if part in _OF_CONFIGS else part
            texts = _row(values, kind)
            if len(set(texts)) > 1 and not all(same(values[0], value) for value in values):
                named = dict(zip((s.name for s in studies), texts, strict=True))
                rows.append({"part": part, "what": what, **named})
    return pd.DataFrame(rows, columns=["part", "what", *(study.name for study in studies)])


def _described(study: StudyRecord, beside: Sequence[StudyRecord]) -> dict[str, Mapping[str, Any]]:
    config = study.config
    for other in beside:
        config = as_of_now(config, other.config)
    sweep = config.get("sweep", {})
    task = {key: config[key] for key in (*TRAIN_GROUPS, "seed") if key in config}
    aside = (*study_identity.BUDGET, *study_identity.PLACE, "space")
    environments = list(study.facts.get("environments", {}).values())
    return {
        "space": sweep.get("space", {}),
        "config": {**task, **{f"sweep.{k}": v for k, v in sweep.items() if k not in aside}},
        "budget": {key: sweep[key] for key in study_identity.BUDGET if key in sweep},
        "code": _all_seen("git", [{"git": e.get("git")} for e in environments]),
        "data": _all_seen("data", environments),
        "versions": _all_seen("versions", environments),
        "device": _all_seen("device", environments),
    }


def _all_seen(key: str, environments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What one study saw of something; several values if that changed while it was swept."""
    seen: dict[str, dict[str, None]] = {}
    for environment in environments:
        for path, value in leaves(environment.get(key, {}), key).items():
            seen.setdefault(path.removeprefix(f"{key}."), {})[shown(value, key)] = None
    return {path: ", then ".join(values) for path, values in seen.items()}


def to_csv(frame: pd.DataFrame) -> str:
    """``differences`` as CSV: every value as ``besom.text.values.csv_value`` writes it."""
    return csv(frame, frame.columns[2:])


def to_json(frame: pd.DataFrame) -> str:
    """``differences`` as a JSON list of rows; a trial that lacks a value has no key there."""
    rows = [
        {key: None if _is_nan(v) else v for key, v in row.items() if v is not ABSENT}
        for row in frame.to_dict(orient="records")
    ]
    return json.dumps(rows, indent=2, default=str)


def _column(trial: TrialRecord) -> str:
    return f"trial {trial.number}"


def _outcome(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    found: dict[str, Any] = {"outcome": str(trial.outcome)}
    if trial.outcome is not Outcome.COMPLETE:
        found["reason"] = trial.reason
    for objective, value in zip(study.objectives, trial.values or (), strict=False):
        found[objective.metric] = value
    if trial.spread is not None:
        found["spread over runs"] = trial.spread
    found |= {"best_epoch": trial.best_epoch, "epochs": trial.epochs_run}
    for metric, values in trial.history.items():
        if values and metric not in found:
            found[f"last {metric}"] = values[-1]
    cost = {"seconds": trial.seconds, "cpu_seconds": trial.cpu_seconds}
    return found | {k: v for k, v in trial.numbers.items() if k not in found} | cost


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
