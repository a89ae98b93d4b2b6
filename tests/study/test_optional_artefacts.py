"""Models, pictures and tables are made beside a trial's result, and never decide it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import optuna
import pytest
from sweeping import RESULTS, assert_whole, stored, sweep

from besom.plots import not_drawn, write_plots
from besom.report.files import write_outputs
from besom.rerun.replay import replay, report
from besom.store.paths import StudyPaths
from besom.store.records import Outcome, TrialRecord
from besom.study import make_plan
from besom.study.artifacts import Artifacts
from besom.study.watcher import LeaderboardWriter, Watcher

if TYPE_CHECKING:
    from user_project import Project

pytestmark = pytest.mark.usefixtures("no_orphans")


class Remarks(Watcher):
    def __init__(self) -> None:
        self.said: list[str] = []

    def remarked(self, text: str) -> None:
        self.said.append(text)


def test_what_every_trial_remarks_is_said_once_and_stored_with_each(project: Project) -> None:
    heard = Remarks()
    sweep("sweep.n_trials=3", "sweep.trial_function=sweep_trials.remarking", watcher=heard)
    assert [text for text in heard.said if "model" in text] == ["This model cannot be saved."]
    assert all("model" in trial.environment["remarks"] for trial in stored().trials)
    done = project.besom("export", "cheap", "--model")
    assert done.exit_code == 2
    assert "was kept. This model cannot be saved" in done.output


def test_a_models_folder_that_is_a_file_ends_no_sweep(project: Project) -> None:
    plan = make_plan("cheap", ["sweep.keep_models=1"], results_dir=project.root / "results")
    plan.paths.root.mkdir(parents=True)
    plan.paths.models.write_text("not a folder")
    orders = Artifacts(plan, optuna.pruners.NopPruner(), [])
    for number in range(3):
        orders.settle(TrialRecord(number, Outcome.COMPLETE, (0.5 + number / 10,)))
    orders.settle(TrialRecord(3, Outcome.PRUNED))


def test_a_leaderboard_that_cannot_be_written_ends_no_sweep(project: Project) -> None:
    paths = StudyPaths.of(RESULTS, "cheap")
    paths.leaderboard_md.mkdir(parents=True)
    sweep("sweep.n_trials=3", watcher=LeaderboardWriter(paths))
    assert_whole(3)


@pytest.mark.long
def test_a_picture_that_cannot_be_drawn_costs_that_picture(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    sweep("sweep.n_trials=3")
    study, paths = stored(), StudyPaths.of(RESULTS, "cheap")
    (paths.plots / "slices.png").mkdir(parents=True)
    problems: dict[str, str] = {}
    assert len(write_plots(study, paths.plots, problems)) == 4
    assert list(problems) == ["slices.png"]
    assert len(write_outputs(study, paths)) == 4
    assert "Not drawn: slices.png (" in caplog.text
    done = project.besom("plot", "cheap")
    assert done.exit_code == 2
    assert "importance.png" in done.output
    assert "Not drawn: slices.png" in done.output


def test_pictures_that_fail_for_one_reason_are_named_in_one_line() -> None:
    assert not_drawn({"a.png": "full", "b.png": "full"}) == ["Not drawn: a.png, b.png (full)."]


def test_a_replay_of_a_trial_whose_model_could_not_be_saved_compares_the_numbers(
    project: Project,
) -> None:
    """Studies of an earlier besom have such trials, as errors."""
    sweep("sweep.n_trials=2")
    study = stored()
    reason = "NotImplementedError: Object Scale must override get_config"
    trial = replace(study.trials[1], outcome=Outcome.ERROR, values=None, reason=reason)
    replayed = replay(study, trial, StudyPaths.of(RESULTS, "cheap"))
    said = report(replayed)
    assert replayed.difference is None
    assert f"then it was error ({reason}), now it is complete" in said
    assert "The metrics of every epoch are bitwise equal." in said
    assert "A replay saves no model" in said
    assert "seeded" not in said


def test_a_replay_that_only_ends_otherwise_blames_no_seed(project: Project) -> None:
    sweep("sweep.n_trials=2")
    study = stored()
    trial = replace(study.trials[1], outcome=Outcome.DIVERGED, values=None)
    said = report(replay(study, trial, StudyPaths.of(RESULTS, "cheap")))
    assert "then it was diverged, now it is complete" in said
    assert "seeded" not in said
