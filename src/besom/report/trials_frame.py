"""Every trial of a study as one row of a DataFrame, for whoever goes on with pandas."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from besom.report.leaderboard import LeaderboardColumn, make_frame
from besom.report.tables import COSTS, shown_outcome, trial_costs
from besom.store.records import StudyRecord, TrialRecord


def trials_frame(study: StudyRecord) -> pd.DataFrame:
    """One row per trial, in the order of their numbers, whatever became of them.

    Columns: trial, outcome, the objectives (NaN where the trial has no value), a column for each
    sampled hyperparameter by its dotted path (NaN where it does not apply), every other metric at
    the epoch that counts, best_epoch, epochs, the trial's numbers (``n_params`` and so on), what it
    cost (seconds, cpu_seconds and, where a GPU was used, gpu_seconds), started and finished (UTC),
    origin, and reason, why it is not complete.
    """
    trials = study.trials
    columns = {
        "trial": LeaderboardColumn("trial", lambda t: t.number),
        "outcome": LeaderboardColumn("outcome", shown_outcome),
    }

    def add(name: str, value: Callable[[TrialRecord], Any], **kind: Any) -> None:
        columns.setdefault(name, LeaderboardColumn(name, value, **kind))

    for index, objective in enumerate(study.objectives):
        add(objective.metric, partial(_value, index))
    for path in dict.fromkeys(path for trial in trials for path in trial.params):
        add(path, partial(_param, path), is_param=True)
    for metric in dict.fromkeys(metric for trial in trials for metric in trial.history):
        add(metric, partial(_counted, metric))
    add("best_epoch", lambda t: t.best_epoch, is_whole=True)
    add("epochs", lambda t: t.epochs)
    for number in dict.fromkeys(number for trial in trials for number in trial.numbers):
        add(number, partial(_number, number))
    for cost in COSTS:
        if cost != "gpu_seconds" or any(trial_costs(study, t)[cost] for t in trials):
            add(cost, partial(_cost, study, cost))
    add("started", lambda t: _time(t.started))
    add("finished", lambda t: _time(t.finished))
    add("origin", lambda t: str(t.origin))
    add("reason", lambda t: t.reason)
    return without_columns(make_frame(list(columns.values()), trials))


def without_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy without what only besom's own tables need: pandas writes ``attrs`` into some files."""
    plain = frame.copy()
    plain.attrs = {}
    return plain


def _value(index: int, trial: TrialRecord) -> float:
    return math.nan if trial.values is None else trial.values[index]


def _param(path: str, trial: TrialRecord) -> Any:
    return trial.params.get(path, math.nan)


def _number(name: str, trial: TrialRecord) -> float:
    return trial.numbers.get(name, math.nan)


def _cost(study: StudyRecord, name: str, trial: TrialRecord) -> float:
    return trial_costs(study, trial)[name]


def _counted(metric: str, trial: TrialRecord) -> float:
    """A metric at the epoch that counts, else at the last."""
    values = trial.history.get(metric, [])
    epoch = trial.best_epoch or len(values)
    return values[epoch - 1] if 0 < epoch <= len(values) else math.nan


def _time(seconds: float | None) -> pd.Timestamp | Any:
    return pd.NaT if seconds is None else pd.Timestamp(seconds, unit="s", tz="UTC")
