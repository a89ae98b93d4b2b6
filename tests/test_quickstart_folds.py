"""The quickstart on folds and repeats, with Keras: killed in mid-trial, resumed, ranked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from besom.store.records import StudyRecord
from besom.store.storage import load_record
from user_project import Project, wait_for

pytestmark = [pytest.mark.long, pytest.mark.tensorflow, pytest.mark.timeout(300)]

WORDS = ("sweep.n_trials=1", "trainer.epochs=2", "sweep.executor.workers=2")


@pytest.fixture(scope="module")
def study(home: Project) -> StudyRecord:
    """A trial of five folds and two repeats, killed once some of the runs had ended."""
    words = ("sweep", "quickstart", "sweep.repeats=2", *WORDS)
    process = home.spawn(*words)
    runs = home.root / "results/quickstart/runs"
    wait_for(lambda: len(list(runs.glob("trial-*"))) >= 3, "three runs to end", timeout_s=200)
    process.kill()
    process.communicate()
    resumed = home.run(*words)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "1,437 training examples in 5 folds stratified by class" in resumed.stdout
    assert not runs.exists()
    return load_record(home.root / "results", "quickstart")


def test_every_trial_is_judged_on_all_training_examples(study: StudyRecord) -> None:
    assert len(study.complete) == 1
    for trial in study.complete:
        runs = [(run["repeat"], run["fold"]) for run in trial.runs]
        assert runs == [(repeat, fold) for repeat in range(2) for fold in range(5)]
        assert trial.n_validation == 1437
        assert trial.epochs == 2
        assert "run" not in trial.config
        rights = trial.per_example.numbers("val_accuracy")
        assert rights is not None
        assert set(np.unique(rights)) <= {0.0, 0.5, 1.0}, "two models judged each example"
        assert float(rights.mean()) == pytest.approx(trial.value, abs=1e-6)


def test_what_it_gets_wrong_is_one_file_of_all_folds(home: Project, study: StudyRecord) -> None:
    assert [path.name for path in (home.root / "results/quickstart/mistakes").iterdir()] == [
        "trial-0.json"
    ]
    assert " of 1,437 validation examples wrong" in home.done("show", "quickstart")


def test_what_the_killed_process_had_done_is_as_if_it_had_gone_on(
    home: Project, study: StudyRecord
) -> None:
    done = home.run("sweep", "quickstart", "sweep.repeats=2", *WORDS, "sweep.name=whole")
    assert done.returncode == 0, done.stdout + done.stderr
    (whole,) = load_record(home.root / "results", "whole").trials
    baseline = study.trials[0]
    assert [run["value"] for run in baseline.runs] == [run["value"] for run in whole.runs]
    assert baseline.history == whole.history
    assert baseline.value == whole.value


def test_the_leaderboard_says_over_what_a_score_is_and_how_far_the_runs_spread(
    home: Project, study: StudyRecord
) -> None:
    del study
    shown = home.besom("leaderboard", "quickstart", "--format", "json")
    assert shown.exit_code == 0, shown.output
    text = (home.root / "results/quickstart/leaderboard.md").read_text()
    assert "5 folds and 2 repeats" in text
    assert "spread" in text
    assert json.loads(shown.output)
    assert Path("results/quickstart/plots").is_dir()
