"""Where a study lives: a journal or a database, found again, moved, archived, or refused."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys

import pytest
from sweeping import RESULTS, assert_whole, sweep

from besom.errors import StudyError
from besom.study import load_record
from user_project import Project

pytestmark = pytest.mark.usefixtures("project", "no_orphans")


# Storages


def test_any_storage_url_will_do(project: Project) -> None:
    url = f"sweep.storage=sqlite:///{project.root}/study.db"
    done = sweep(url, "sweep.n_trials=3")
    assert done.exit_code == 0
    first = assert_whole(3)
    assert not (RESULTS / "cheap/study.journal").exists()
    sweep(url, "sweep.n_trials=5", extend=True)
    again = assert_whole(5)
    assert again.trials[:3] == first.trials
    assert project.besom("leaderboard", "cheap").exit_code == 0
    assert "cheap" in project.besom("list").output


def test_a_study_is_found_again_where_it_was_put(project: Project) -> None:
    url = f"sqlite:///{project.root}/study.db"
    sweep(f"sweep.storage={url}", "sweep.n_trials=2")
    sweep("sweep.n_trials=3", extend=True)
    assert_whole(3)
    assert not (RESULTS / "cheap/study.journal").exists()
    with pytest.raises(StudyError, match=r"other\.db: there would be two studies of one name"):
        sweep(f"sweep.storage=sqlite:///{project.root}/other.db", "sweep.n_trials=3")
    assert not (project.root / "other.db").exists()


def test_a_database_that_is_gone_is_said_and_not_made_again_by_reading(project: Project) -> None:
    database = project.root / "study.db"
    sweep(f"sweep.storage=sqlite:///{database}", "sweep.n_trials=1")
    database.unlink()
    done = project.besom("leaderboard", "cheap")
    assert done.exit_code == 2
    assert done.output == (
        f"besom: The database {database} of the study 'cheap' is not there. If it has moved, write "
        "its new URL into results/cheap/storage.url.\n"
    )
    assert not database.exists()


def test_a_study_with_a_journal_is_not_begun_again_in_a_database(project: Project) -> None:
    sweep("sweep.n_trials=1")
    with pytest.raises(StudyError, match=r"study\.journal, not in sweep\.storage=sqlite"):
        sweep(f"sweep.storage=sqlite:///{project.root}/study.db", "sweep.n_trials=2", extend=True)
    assert_whole(1)


def test_a_deleted_folder_of_a_study_in_a_database_is_made_again(project: Project) -> None:
    url = f"sweep.storage=sqlite:///{project.root}/study.db"
    sweep(url, "sweep.n_trials=2")
    shutil.rmtree(RESULTS / "cheap")
    again = project.besom("sweep", "cheap", url, "sweep.n_trials=2", "--quiet")
    assert again.exit_code == 0, again.output
    assert_whole(2)
    assert project.besom("leaderboard", "cheap").exit_code == 0


def test_fresh_archives_a_study_in_a_database_too(project: Project) -> None:
    url = f"sqlite:///{project.root}/study.db"
    sweep(f"sweep.storage={url}", "sweep.n_trials=2")
    sweep(f"sweep.storage={url}", "sweep.n_trials=1", "trainer.epochs=2", fresh=True)
    assert_whole(1)
    (archived,) = (RESULTS / "archive").iterdir()
    with contextlib.closing(sqlite3.connect(project.root / "study.db")) as database:
        names = [name for (name,) in database.execute("SELECT study_name FROM studies")]
    assert sorted(names) == ["cheap", archived.name]
    assert len(load_record(archived.parent, archived.name).trials) == 2


# Moved


def test_an_archived_study_is_read_under_its_folders_name(project: Project) -> None:
    sweep("sweep.n_trials=2")
    sweep("sweep.n_trials=1", "trainer.epochs=2", fresh=True)
    (archived,) = (RESULTS / "archive").iterdir()
    told = project.besom("leaderboard", archived.name, "--results-dir", str(archived.parent))
    assert told.exit_code == 0, told.output
    assert archived.name in told.output


def test_a_renamed_folder_is_read_but_not_gone_on_with(project: Project) -> None:
    sweep("sweep.n_trials=2")
    (RESULTS / "cheap").rename(RESULTS / "renamed")
    assert project.besom("leaderboard", "renamed").exit_code == 0
    with pytest.raises(StudyError, match="holds the study 'cheap': its folder was renamed"):
        sweep("sweep.name=renamed", "sweep.n_trials=2")
    assert len(load_record(RESULTS, "renamed").trials) == 2


# Places that cannot be used


def test_a_storage_that_cannot_be_opened_is_refused(project: Project) -> None:
    for url in ("nosuch://x", f"sqlite:///{project.root}/no/such/folder/x.db"):
        with pytest.raises(StudyError) as caught:
            sweep(f"sweep.storage={url}", "sweep.n_trials=1")
        assert url in str(caught.value)
        assert not RESULTS.exists()


def test_a_results_folder_that_cannot_be_written_is_refused(project: Project) -> None:
    project.write("results", "a file, where the folder should be")
    with pytest.raises(StudyError) as caught:
        sweep("sweep.n_trials=1")
    assert "results" in str(caught.value)
    assert "results_dir" in str(caught.value)


AS_NOBODY = """
import os
from besom.study import make_plan, run_sweep
run_sweep(make_plan("cheap", ["sweep.n_trials=1", "results_dir=elsewhere"]))  # all is imported
plan = make_plan("cheap", ["sweep.n_trials=1"])
if os.geteuid() == 0:  # root may write everywhere, so the sweep is given by somebody who may not
    os.setgid(65534)
    os.setuid(65534)
try:
    run_sweep(plan)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.long
def test_a_folder_without_permission_is_refused(project: Project) -> None:
    project.root.chmod(0o755)
    RESULTS.mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("StudyError"), done.stderr
    assert "Permission denied" in done.stdout
    assert "results_dir" in done.stdout
    assert list(RESULTS.iterdir()) == []
