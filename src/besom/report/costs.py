"""What each trial of a study has cost: seconds, CPU seconds and GPU seconds."""

from __future__ import annotations

import math

import pandas as pd

from besom.report.tables import COSTS, csv, shown_outcome
from besom.store.paths import StudyPaths, write_atomically
from besom.store.records import Outcome, StudyRecord, TrialRecord


def costs(study: StudyRecord) -> pd.DataFrame:
    """One row per trial that ran or might have: trial, outcome, epochs and what it cost.

    Columns: trial, outcome, epochs, seconds (wall-clock, in its worker), cpu_seconds (of its
    worker, all threads; NaN where the worker was killed and could not tell), gpu_seconds (the
    seconds times the share of a GPU that its worker held). Knowledge taken from another study cost
    nothing here and is left out.
    """
    rows = [
        {
            "trial": t.number,
            "outcome": shown_outcome(t),
            "epochs": t.epochs,
            **trial_costs(study, t),
        }
        for t in study.trials
        if t.outcome is not Outcome.WARM_START
    ]
    return pd.DataFrame(rows, columns=["trial", "outcome", "epochs", *COSTS])


def trial_costs(study: StudyRecord, trial: TrialRecord) -> dict[str, float]:
    """One trial's cost by the names in ``COSTS``."""
    killed = trial.outcome in (Outcome.WORKER_DIED, Outcome.TIMEOUT) and not trial.cpu_seconds
    spent = (
        trial.seconds,
        math.nan if killed else trial.cpu_seconds,
        trial.seconds * _gpus(study, trial),
    )
    return {name: round(seconds, 3) for name, seconds in zip(COSTS, spent, strict=True)}


def _gpus(study: StudyRecord, trial: TrialRecord) -> float:
    """How much of a GPU the trial's worker held: workers may share one."""
    environment = study.facts.get("environments", {}).get(trial.environment.get("id"), {})
    used = environment.get("device", {}).get("gpus")
    return float(environment.get("gpus_per_worker", 1.0)) if used else 0.0


def write_costs(study: StudyRecord, paths: StudyPaths) -> None:
    """Write ``ledger.csv``: one row per trial, see ``costs``."""
    write_atomically(paths.ledger_csv, csv(costs(study)))
