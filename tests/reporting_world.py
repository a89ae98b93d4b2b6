"""Studies on disk for the reporting commands: synthetic trials in real journals."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from besom.store.paths import StudyPaths
from besom.store.records import Origin, Outcome, StudyRecord, TrialRecord
from besom.store.storage import open_storage
from besom.store.stored_records import ATTRIBUTE, PRESET, STUDY_ATTRIBUTE, to_attribute
from records_factory import make_study

_STATES = {
    Outcome.COMPLETE: TrialState.COMPLETE,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.PRUNED,
}


def make(results: Path) -> None:
    """Two studies, ``one`` and ``two``, of twenty trials each."""
    for seed, name in enumerate(("one", "two")):
        store(results, make_study(20, name=name, seed=seed))


def store(
    results: Path, study: StudyRecord, n_trials: int | None = None, created: float = 1.7e9
) -> None:
    """Write a study as a coordinator would have left it, every record fit to be exported.

    Args:
        results: the folder of the study's folder.
        study: its records.
        n_trials: how many trials were asked for; None: as many as it has.
        created: when it began, in seconds since the Unix epoch.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [o.direction for o in study.objectives]
    storage = open_storage(StudyPaths.of(results, study.name), None, writable=True)
    opened = optuna.create_study(study_name=study.name, storage=storage, directions=directions)
    facts: dict[str, Any] = {
        "format": 1,
        "created": created,
        "objectives": [vars(o) for o in study.objectives],
        "choices": {"model": "mlp", "optimizer": "adam"},
        "task_hash": "0" * 16,
        "environments": {},
        "config": {"seed": 0, "sweep": {"n_trials": n_trials or len(study.trials)}},
    }
    opened.set_user_attr(STUDY_ATTRIBUTE, facts)
    for trial in study.trials:
        opened.add_trial(frozen(trial))


def frozen(trial: TrialRecord) -> optuna.trial.FrozenTrial:
    """A trial as Optuna stores it."""
    attributes: dict[str, Any] = {ATTRIBUTE: to_attribute(trial)}
    if trial.baseline:
        attributes[PRESET] = {"origin": str(Origin.BASELINE), "params": trial.params}
    made = create_trial(
        state=_STATES.get(trial.outcome, TrialState.FAIL),
        values=trial.values,
        params=trial.raw_params,
        distributions=trial.distributions,
        user_attrs=attributes,
    )
    if trial.started is not None and trial.finished is not None:
        made.datetime_start = datetime.datetime.fromtimestamp(trial.started)
        made.datetime_complete = datetime.datetime.fromtimestamp(trial.finished)
    return made
