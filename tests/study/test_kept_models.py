"""Which trained models stay on disk while a sweep runs and after it was interrupted."""

from __future__ import annotations

from pathlib import Path

import optuna

from besom.executors.worker_loop import with_artifact_paths
from besom.store.records import Outcome, TrialRecord
from besom.study import make_plan
from besom.study.artifacts import Artifacts
from besom.study.plan import SweepPlan
from user_project import Project


def complete(number: int, value: float) -> TrialRecord:
    return TrialRecord(number, Outcome.COMPLETE, (value,))


def saved(plan: SweepPlan, number: int) -> None:
    plan.paths.model(number).parent.mkdir(parents=True, exist_ok=True)
    plan.paths.model(number).write_bytes(b"a model")


def kept(plan: SweepPlan) -> list[str]:
    return sorted(path.name for path in plan.paths.model(0).parent.iterdir())


def test_a_tie_that_was_not_saved_does_not_cost_the_model_that_was(project: Project) -> None:
    plan = make_plan("cheap", ["sweep.keep_models=1"], results_dir=project.root / "results")
    orders = Artifacts(plan, optuna.pruners.NopPruner(), [])
    saved(plan, 5)
    orders.settle(complete(5, 0.9))
    orders.settle(complete(3, 0.9))  # its worker had died: it was run again, and is no better
    assert kept(plan) == [plan.paths.model(5).name]
    Artifacts(plan, optuna.pruners.NopPruner(), [complete(3, 0.9), complete(5, 0.9)])
    assert kept(plan) == [plan.paths.model(5).name]


def test_the_folder_of_a_model_is_there_when_the_trial_runs(project: Project) -> None:
    config = {"orders": {"save_model": {"path": "models/trial-3.keras", "better_than": None}}}
    given = with_artifact_paths(config, str(project.root))
    path = Path(given["orders"]["save_model"]["path"])
    assert path.is_absolute()
    path.write_bytes(b"a model")
    assert config["orders"]["save_model"]["path"] == "models/trial-3.keras"


def test_a_study_whose_trials_save_nothing_has_no_folder_of_models(project: Project) -> None:
    assert project.besom("sweep", "cheap", "sweep.n_trials=1").exit_code == 0
    assert not (project.root / "results/cheap/models").exists()
