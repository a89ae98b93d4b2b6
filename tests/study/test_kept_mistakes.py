"""Which trials' mistakes stay on disk, while a sweep runs, after it, and with folds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from sweeping import stored, sweep

from besom.errors import StudyError
from besom.report.mistakes_text import kept_mistakes
from besom.rerun.retraining import find_mistakes
from besom.store.mistakes import read_mistakes
from besom.store.paths import StudyPaths
from besom.store.records import Outcome, TrialRecord
from besom.study import make_plan
from besom.study.artifacts import Artifacts
from besom.study.plan import SweepPlan
from besom.study.watcher import Watcher
from mistakes_factory import classes
from user_project import Project

pytestmark = pytest.mark.usefixtures("no_orphans")

TRIALS = f"""
import json
from pathlib import Path
from sweep_trials import prepare as cheap, quadratic

FOUND = json.loads('''{json.dumps(classes())}''')

def prepare(config):
    return cheap(config) | {{"folds": True}}

def run(config, report):
    result = quadratic(config, report)
    result.n_validation = 10
    if order := config.get("orders", {{}}).get("mistakes"):
        Path(order["path"]).write_text(json.dumps(FOUND))
    return result

def broken(config, report):
    result = run(config, report)
    if order := config.get("orders", {{}}).get("mistakes"):
        Path(order["path"]).write_text("half a file")
    return result
"""

PATHS = StudyPaths.of(Path("results"), "cheap")


@pytest.fixture
def mine(project: Project) -> Project:
    project.write("mine.py", TRIALS)
    return project


def kept() -> list[str]:
    return sorted(path.name for path in PATHS.mistakes.glob("*"))


def complete(number: int, value: float) -> TrialRecord:
    return TrialRecord(number, Outcome.COMPLETE, (value,))


def written(plan: SweepPlan, *numbers: int) -> None:
    plan.paths.mistakes.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        plan.paths.mistakes_of(number).write_text("{}")


@pytest.mark.parametrize(("keep_models", "left"), [(0, [2]), (1, [2]), (2, [1, 2])])
def test_mistakes_are_kept_of_as_many_trials_as_models_and_at_least_of_one(
    project: Project, keep_models: int, left: list[int]
) -> None:
    words = [f"sweep.keep_models={keep_models}"]
    plan = make_plan("cheap", words, results_dir=project.root / "results")
    orders = Artifacts(plan, optuna.pruners.NopPruner(), [])
    written(plan, 0, 1, 2, 3)
    for number, value in enumerate([0.5, 0.7, 0.9, 0.4]):
        orders.settle(complete(number, value))
    assert [n for n in range(4) if plan.paths.mistakes_of(n).exists()] == left


def test_of_a_trial_that_is_not_complete_nothing_stays(project: Project) -> None:
    plan = make_plan("cheap", [], results_dir=project.root / "results")
    orders = Artifacts(plan, optuna.pruners.NopPruner(), [])
    written(plan, 0)
    orders.settle(TrialRecord(0, Outcome.PRUNED))
    assert not plan.paths.mistakes_of(0).exists()


def test_what_was_found_out_by_training_again_stays_when_the_sweep_goes_on(
    project: Project,
) -> None:
    plan = make_plan("cheap", [], results_dir=project.root / "results")
    written(plan, 0, 1)
    Artifacts(plan, optuna.pruners.NopPruner(), [complete(0, 0.5), complete(1, 0.7)])
    assert all(plan.paths.mistakes_of(number).exists() for number in (0, 1))


def test_a_sweep_keeps_what_its_winner_gets_wrong(mine: Project) -> None:
    sweep("sweep.trial_function=mine.run", "sweep.n_trials=4")
    best = max(stored().complete, key=lambda trial: trial.value or 0.0)
    assert kept() == [f"trial-{best.number}.json"]
    assert read_mistakes(PATHS.mistakes_of(best.number)) is not None
    assert "3 of 10 validation examples wrong" in mine.done("show", "cheap")


def test_a_sweep_whose_trials_write_nothing_has_no_such_folder(project: Project) -> None:
    sweep("sweep.n_trials=2")
    assert not PATHS.mistakes.exists()
    done = project.besom("show", "cheap")
    assert "config['orders']['mistakes']['path']" in done.output


def test_with_folds_each_examples_is_judged_once_and_all_are_one_file(mine: Project) -> None:
    words = ("sweep.trial_function=mine.run", "sweep.folds=3", "sweep.repeats=2")
    sweep(*words, "sweep.n_trials=3")
    best = max(stored().complete, key=lambda trial: trial.value or 0.0)
    assert kept() == [f"trial-{best.number}.json"]
    found: Any = read_mistakes(PATHS.mistakes_of(best.number))
    assert (found.n, found.outputs[0].n_wrong) == (30, 9)


class Remarks(Watcher):
    def __init__(self) -> None:
        self.said: list[str] = []

    def remarked(self, text: str) -> None:
        self.said.append(text)


def test_folds_that_cannot_be_made_one_are_said_once_and_the_trials_count(mine: Project) -> None:
    heard = Remarks()
    words = ("sweep.trial_function=mine.broken", "sweep.folds=2", "sweep.n_trials=4")
    sweep(*words, watcher=heard)
    assert len(stored().complete) == 4
    assert len([text for text in heard.said if "get wrong" in text]) == 1
    assert kept() == []


def test_what_was_not_kept_is_found_by_training_the_trial_again(mine: Project) -> None:
    sweep("sweep.trial_function=mine.run", "sweep.n_trials=3", "sweep.folds=2")
    best = max(stored().complete, key=lambda trial: trial.value or 0.0).number
    other = (best + 1) % 3
    said = mine.done("show", "cheap", "--trial", str(other), "--retrain")
    assert f"Training trial {other} of cheap again (2 folds, 3 epochs)" in said
    assert "6 of 20 validation examples wrong" in said
    again = mine.done("show", "cheap", "--trial", str(other), "--retrain")
    assert "Training" not in again
    assert not list(PATHS.mistakes.glob("*.part-*"))


def test_a_failed_trial_says_how_it_ended_instead_of_how_to_train_it_again(
    mine: Project,
) -> None:
    sweep("sweep.trial_function=mine.run", "sweep.n_trials=2")
    trial = replace(stored().trials[1], outcome=Outcome.DIVERGED, reason="loss is nan at epoch 1")
    PATHS.mistakes_of(1).unlink(missing_ok=True)
    with pytest.raises(StudyError) as said:
        kept_mistakes(stored(), trial, PATHS)
    assert str(said.value) == (
        "What trial 1 of 'cheap' gets wrong is not known: the trial ended as diverged (loss is nan "
        "at epoch 1)."
    )


def test_a_pruned_trial_trained_again_says_all_of_its_epochs(mine: Project) -> None:
    sweep("sweep.trial_function=mine.run", "sweep.n_trials=1")
    PATHS.mistakes_of(0).unlink()
    trial = replace(stored().trials[0], outcome=Outcome.PRUNED, history={})
    heard: list[str] = []
    find_mistakes(stored(), trial, PATHS, heard.append)
    assert heard == ["Training trial 0 of cheap again (3 epochs), to see what it gets wrong."]


def test_training_again_that_finds_nothing_says_why(project: Project) -> None:
    sweep("sweep.n_trials=1")
    done = project.besom("show", "cheap", "--retrain")
    assert done.exit_code == 2
    assert "sweep_trials.quadratic wrote nothing to" in " ".join(done.output.split())


def test_a_study_from_before_says_how_to_find_out(mine: Project) -> None:
    sweep("sweep.trial_function=mine.run", "sweep.n_trials=2")
    for path in PATHS.mistakes.iterdir():
        path.unlink()
    done = mine.besom("show", "cheap", "--trial", "0")
    assert done.exit_code == 2
