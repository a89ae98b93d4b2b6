"""``besom diff``: only what differs between two trials of a study, in config and in outcome."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from besom.config import leaves
from besom.equality import same
from besom.report.tables import csv
from besom.statistics import alike, p_values, paired_gain, scored, table_of
from besom.store.environment import environment_then
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.study_identity import as_of_now
from besom.text.numbers import points, with_error
from besom.text.values import ABSENT, value_text

#: The part whose values are a config's; those of the others are what besom or a machine says.
CONFIG = "config"


def differences(study: StudyRecord, one: TrialRecord, other: TrialRecord) -> pd.DataFrame:
    """One row per difference; columns: part, what, and the two trials' numbers.

    Parts: ``config`` (by dotted path), ``outcome``, ``environment``. A value that one of them does
    not have is ``ABSENT``; floats are exact. Where the study went on with a newer besom, keys
    that came with it count with their defaults.
    """
    parts = (
        (CONFIG, as_of_now(one.config, other.config), as_of_now(other.config, one.config)),
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
    share = mine.kind == "share"
    ahead = points(gain.gain, gain.standard_error)
    if not share:
        ahead = with_error(gain.gain, gain.standard_error, is_share=False)
    head = (
        f"On the same {one.n_validation} validation examples trial {one.number} is {ahead} ahead "
        f"of trial {other.number}"
    )
    if not share:
        return f"{head} (p = {p_value:.2g}), so {found}."
    only_one = int((mine.row & ~theirs.row).sum())
    only_other = int((theirs.row & ~mine.row).sum())
    return (
        f"{head}: {only_one} examples that it alone gets right, against {only_other} (McNemar p = "
        f"{p_value:.2g}), so {found}."
    )


def shown(value: Any, part: str = CONFIG) -> str:
    """A value for people: a config's with all its digits, of the other parts words as they are."""
    if value is ABSENT or (value is None and part != CONFIG):
        return "-"
    if part != CONFIG and isinstance(value, str):
        return value
    return value_text(value, digits=None if part == CONFIG else 6)


def display_differences(frame: pd.DataFrame) -> pd.DataFrame:
    """``differences`` for people."""
    parts, names = frame["part"], frame.columns[2:]
    cells = {c: [shown(v, p) for v, p in zip(frame[c], parts, strict=True)] for c in names}
    return frame.assign(**cells)


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
    found |= {"best_epoch": trial.best_epoch, "epochs": trial.epochs}
    for metric, values in trial.history.items():
        if values and metric not in found:
            found[f"last {metric}"] = values[-1]
    cost = {"seconds": trial.seconds, "cpu_seconds": trial.cpu_seconds}
    return found | {k: v for k, v in trial.numbers.items() if k not in found} | cost


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
