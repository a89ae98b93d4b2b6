"""The log of the test images' openings: complete, readable, and there before the images are."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from besom.errors import StudyError
from besom.rerun.single_run import _log_opening, changed_settings
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord
from besom.store.test_set_log import (
    FILE,
    Opening,
    how_often,
    how_often_outside,
    log_opening,
    openings_outside,
    outside,
    read_openings,
)
from records_factory import make_study
from reporting_world import store


def test_each_opening_is_a_dated_line_under_one_heading(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "mine"
    assert read_openings(folder) == []
    log_opening(folder, "mine", 4, 2, "confirm")
    log_opening(folder, "mine", None, 0, "train")
    lines = (folder / FILE).read_text().splitlines()
    assert lines[0] == "date,study,trial,seed,command,data"
    assert lines[1].endswith(",mine,4,2,confirm,")
    first, second = read_openings(folder)
    assert first == Opening(first.date, "mine", 4, 2, "confirm")
    assert (second.trial, second.command) == (None, "train")
    assert first.date[:2] == "20"
    assert first.date.endswith("+00:00")


def test_a_line_cut_short_by_a_crash_still_counts_and_spoils_no_other(tmp_path: Path) -> None:
    log_opening(tmp_path, "mine", 1, 1, "confirm")
    path = tmp_path / FILE
    path.write_text(path.read_text() + "2026-01-01T00:00:00+00:00,mi")
    log_opening(tmp_path, "mine", 2, 1, "confirm")
    assert [opening.trial for opening in read_openings(tmp_path)] == [1, None, 2]


def test_a_log_that_cannot_be_written_keeps_the_test_images_closed(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StudyError, match="so it was not opened"):
        log_opening(tmp_path, "mine", 1, 1, "confirm")


def test_several_processes_may_log_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from besom.store.test_set_log import log_opening\n"
        "for seed in range(20): log_opening(Path(sys.argv[1]), 'mine', 1, seed, 'confirm')"
    )
    commands = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(commands) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(read_openings(tmp_path)) == 60


def test_how_often_is_said_in_words(tmp_path: Path) -> None:
    one = Opening("2026-01-02T03:04:05+00:00", "mine", 1, 1, "confirm")
    assert how_often([]) == "never"
    assert how_often([one]) == "once, first on 2026-01-02"
    assert how_often([one, one]) == "2 times, first on 2026-01-02"


# What ``besom train`` logs


def logged(results: Path, config: dict[str, Any], data: str = "digits 12ab") -> list[str]:
    """What is said when these test images are about to be opened for this config."""
    told: list[str] = []
    _log_opening(config, data, results, told.append)
    return told


GROUPS: dict[str, Any] = {
    "data": {"_target_": "besom.training.data.digits"},
    "model": {"_target_": "besom.training.models.mlp", "dropout": 0.1},
    "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.001},
    "trainer": {"epochs": 5, "precision": "bfloat16"},
    "seed": 7,
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with the study ``mine``, whose trial 1 has the config above."""
    study = make_study(3, name="mine")
    trials = [replace(trial, config=GROUPS) for trial in study.trials]
    store(tmp_path, StudyRecord("mine", study.objectives, tuple(trials)))
    return tmp_path


def exported(**changes: Any) -> dict[str, Any]:
    """Trial 1 of ``mine`` as ``besom export`` writes it, changed."""
    config = {**GROUPS, "source": {"study": "mine", "trial": 1}}
    config["trainer"] = {"epochs": 5, "precision": "float32"}
    return {**config, **changes}


def test_a_training_of_no_study_is_logged_beside_the_trainings(results: Path) -> None:
    assert logged(results, GROUPS) == []
    logged(results, GROUPS, "my own file 99ff")
    (opening, _) = read_openings(outside(results))
    assert opening == Opening(opening.date, "", None, 7, "train", "digits 12ab")
    assert (results / "train" / FILE).is_file()
    assert len(openings_outside(results)) == 2
    assert openings_outside(results, "digits") == [opening]
    assert len(openings_outside(results, "my own file")) == 1
    assert openings_outside(results, "mnist") == []
    assert how_often_outside(results, "mnist") == ""
    assert "has opened the test set of digits once, first on 20" in how_often_outside(
        results, "digits"
    )


def test_a_retrained_trial_is_logged_with_its_study(results: Path) -> None:
    """A final model is float32 whatever the sweep computed in, and a seed has its own column."""
    logged(results, exported(seed=8))
    (opening,) = read_openings(StudyPaths.of(results, "mine").root)
    assert opening == Opening(opening.date, "mine", 1, 8, "train", "digits 12ab")
    assert openings_outside(results) == []


def test_a_trial_that_was_changed_is_not_logged_as_that_trial(results: Path) -> None:
    faster = {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01}
    logged(results, exported(optimizer=faster, trainer={"epochs": 9, "precision": "float32"}))
    logged(results, exported(optimizer={"_target_": "keras.optimizers.SGD", "learning_rate": 0.1}))
    logged(results, exported(seed=9))
    many = {"_target_": "besom.training.models.mlp", "dropout": 0.1}
    logged(results, exported(model=many | {f"k{i}": i for i in range(7)}))
    read = read_openings(StudyPaths.of(results, "mine").root)
    assert [(o.trial, o.command) for o in read] == [
        (1, "train (changed: optimizer.learning_rate, trainer.epochs)"),
        (1, "train (changed: optimizer)"),
        (1, "train"),
        (1, "train (changed: model.k0, model.k1, model.k2, model.k3, model.k4, 2 more)"),
    ]


def test_a_trial_that_the_study_does_not_have_is_logged_as_not_compared(results: Path) -> None:
    logged(results, exported(source={"study": "mine", "trial": 99}))
    (opening,) = read_openings(StudyPaths.of(results, "mine").root)
    assert (opening.trial, opening.command[:20]) == (99, "train (not compared:")


def test_a_study_elsewhere_is_said_and_the_opening_is_still_logged(results: Path) -> None:
    (told,) = logged(results, exported(source={"study": "gone", "trial": 4}))
    assert "results_dir=FOLDER" in told
    (opening,) = openings_outside(results)
    assert (opening.study, opening.trial) == ("gone", 4)
    assert not (results / "gone").exists()


def test_a_key_that_besom_gained_since_is_no_change() -> None:
    was = {group: dict(GROUPS[group]) for group in ("data", "model", "optimizer", "trainer")}
    now = {**was, "trainer": {**was["trainer"], "engine": "auto"}}
    assert changed_settings(was, now) == []
    assert changed_settings(was, {**now, "trainer": {**now["trainer"], "engine": "keras"}})
