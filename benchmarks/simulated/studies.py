"""Studies of made-up trials, as besom would have stored them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from besom.rerun.confirm import Confirmation, ConfirmPlan
from besom.rerun.confirm.contest import RunKey
from besom.rerun.confirm.result import make_contest, score_of
from besom.rerun.confirm.run_journal import RunRecord
from besom.rerun.confirm.verdict import summarise
from besom.seam import KERAS_TRIALS
from besom.store.paths import StudyPaths
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from simulated.worlds import Rights

VALIDATION = Objective("val_accuracy", "maximize", "last", "share")
TEST = Objective("test_accuracy", "maximize", "best", "share")

_SWEEP = {"sweep": {"trial_function": KERAS_TRIALS, "trial_timeout_s": None}}


def sweep_of(rights: Rights, fresh: dict[int, Rights] | None = None) -> StudyRecord:
    """A study by what each trial got right, the first the baseline, and fresh seeds of some."""
    trials = tuple(_trial(i, row, 0) for i, row in enumerate(rights))
    study = StudyRecord("simulated", (VALIDATION,), trials, _SWEEP)
    seeds = [
        replace(_trial(number, row, seed), environment={"look": 1})
        for number, rows in (fresh or {}).items()
        for seed, row in enumerate(rows, 1)
    ]
    return replace(study, replicates=tuple(seeds))


def _trial(number: int, right: Rights, seed: int) -> TrialRecord:
    return TrialRecord(
        number,
        Outcome.COMPLETE,
        (float(right.mean()),),
        seed=seed,
        n_validation=right.size,
        correct=np.packbits(right).tobytes(),
        baseline=number == 0,
    )


def plan_of(
    study: StudyRecord, entrants: Sequence[int], n_seeds: int, *, race: bool = False
) -> ConfirmPlan:
    """A confirmation of these trials on the test set."""
    return ConfirmPlan(
        study=study,
        paths=StudyPaths(Path("nowhere")),
        entrants=tuple(study.trials[number] for number in entrants),
        seeds=tuple(range(1, n_seeds + 1)),
        on="test",
        objective=TEST,
        new_split=False,
        race=race,
        method="student-t",
        executor={},
        trial_function=KERAS_TRIALS,
    )


def equals_of(n_configs: int) -> StudyRecord:
    """A study of which only the number of its trials matters."""
    return sweep_of(np.ones((n_configs, 2), dtype=np.bool_))


def runs_of(plan: ConfirmPlan, rights: dict[int, Rights]) -> dict[RunKey, RunRecord]:
    """The runs in which each seed got these examples right."""
    runs = {}
    for trial, table in rights.items():
        for seed, row in zip(plan.seeds, table, strict=True):
            runs[trial, seed] = RunRecord(
                key=f"{trial}-{seed}",
                trial=trial,
                seed=seed,
                on="test",
                outcome=Outcome.COMPLETE,
                numbers={"test_accuracy": float(row.mean()), "n_test": float(len(row))},
                n_images=len(row),
                correct=np.packbits(row).tobytes(),
            )
    return runs


def confirmed(
    plan: ConfirmPlan, rights: dict[int, Rights], journal: Iterable[RunRecord] = ()
) -> Confirmation:
    """What the confirmation shows, where ``journal`` holds the runs of earlier ones."""
    runs = runs_of(plan, rights)
    contest = make_contest(plan)
    contest.fill({key: score_of(plan, run) for key, run in runs.items()})
    return summarise(plan, contest, runs, journal)
