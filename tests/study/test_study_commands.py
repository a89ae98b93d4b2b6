"""``besom study``: a study is stopped, renamed or deleted as a whole, wherever it is stored."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from sweeping import RESULTS, assert_whole, optunas, runs, stored, sweep

from besom.errors import StudyError
from besom.store.lock import CoordinatorLock
from besom.store.paths import StudyPaths
from besom.store.records import Outcome
from besom.store.storage import study_names
from besom.store.test_set_log import log_opening, openings_outside, read_openings
from postgres import PASSWORD, Postgres
from user_project import Project, some_long, wait_for

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

PLACES = ["journal", "database"]


def where(project: Project, place: str) -> list[str]:
    return [f"sweep.storage=sqlite:///{project.root}/study.db"] if place == "database" else []


def refused(project: Project, *words: str) -> str:
    result = project.besom(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


def seen(name: str) -> list[tuple[object, ...]]:
    return [(t.number, t.outcome, t.values, t.params, t.finished) for t in stored(name).trials]


# Rename


@pytest.mark.parametrize("place", PLACES)
def test_a_renamed_study_is_the_same_study_and_goes_on(project: Project, place: str) -> None:
    sweep("sweep.n_trials=3", *where(project, place))
    log_opening(RESULTS / "cheap", "cheap", 1, 7, "confirm", "digits 1234")
    (RESULTS / "cheap/confirm").mkdir()
    (RESULTS / "cheap/confirm/runs.jsonl").write_text("{}\n")
    before = seen("cheap")
    said = project.done("study", "rename", "cheap", "kept name")
    assert said == "cheap is kept name now: results/kept name/\n"
    assert study_names(RESULTS) == ["kept name"]
    assert seen("kept name") == before
    assert len(read_openings(RESULTS / "kept name")) == 1
    assert (RESULTS / "kept name/confirm/runs.jsonl").exists()
    assert "# kept name" in (RESULTS / "kept name/leaderboard.md").read_text()
    again = ("sweep.name=kept name", "sweep.n_trials=5", *where(project, place))
    sweep(*again, extend=True)
    assert seen("kept name")[:3] == before
    assert_whole(5, "kept name")


def test_optuna_reads_a_renamed_journal_under_its_new_name(project: Project) -> None:
    sweep("sweep.n_trials=2")
    project.done("study", "rename", "cheap", "new")
    backend = optuna.storages.journal.JournalFileBackend("results/new/study.journal")
    opened = optuna.load_study(study_name="new", storage=optuna.storages.JournalStorage(backend))
    assert len(opened.trials) == 2


def test_a_folder_that_was_renamed_by_hand_is_finished(project: Project) -> None:
    sweep("sweep.n_trials=2")
    (RESULTS / "cheap").rename(RESULTS / "other")
    with pytest.raises(StudyError, match="besom study rename cheap other"):
        sweep("sweep.name=other", "sweep.n_trials=2")
    project.done("study", "rename", "cheap", "other")
    assert sweep("sweep.name=other", "sweep.n_trials=2").exit_code == 0
    (RESULTS / "other").rename(RESULTS / "another")
    project.done("study", "rename", "another", "last")
    assert sweep("sweep.name=last", "sweep.n_trials=2").exit_code == 0
    assert_whole(2, "last")


@pytest.mark.parametrize("place", PLACES)
def test_a_rename_that_was_killed_half_way_is_finished_by_the_same_command(
    project: Project, place: str
) -> None:
    sweep("sweep.n_trials=2", *where(project, place))
    before = seen("cheap")
    (RESULTS / "cheap").rename(RESULTS / "new")  # what is done first
    project.done("study", "rename", "cheap", "new")
    assert seen("new") == before


def test_no_study_takes_the_place_of_another(project: Project) -> None:
    for name in ("one", "two"):
        sweep("sweep.n_trials=1", f"sweep.name={name}", *where(project, "database"))
    assert "results/two is already there" in refused(project, "study", "rename", "one", "two")
    shutil.rmtree(RESULTS / "two")
    assert "already has a study 'two'" in refused(project, "study", "rename", "one", "two")
    assert "has this name already" in refused(project, "study", "rename", "one", "one")
    assert "Did you mean 'one'" in refused(project, "study", "rename", "onne", "three")
    assert "contains a slash" in refused(project, "study", "rename", "one", "../three")
    assert "besom uses the names" in refused(project, "study", "rename", "one", "archive")
    assert [t[0] for t in seen("one")] == [0]


# Delete


@pytest.mark.parametrize("place", PLACES)
def test_a_study_is_deleted_once_that_is_confirmed(project: Project, place: str) -> None:
    sweep("sweep.n_trials=2", *where(project, place))
    sweep("sweep.n_trials=1", "sweep.name=other", *where(project, place))
    from click.testing import CliRunner

    from besom.cli import main

    declined = CliRunner().invoke(main, ["study", "delete", "cheap"], input="n\n")
    assert declined.exit_code == 1
    assert "cheap, 2 trials, in results/cheap/ (0.0 MB)" in declined.output
    assert "cheap was not deleted." in declined.output
    assert "Add --yes" in refused(project, "study", "delete", "cheap")  # nobody is there to answer
    assert len(stored().trials) == 2
    accepted = CliRunner().invoke(main, ["study", "delete", "cheap"], input="y\n")
    assert accepted.output.endswith("cheap is deleted.\n")
    assert study_names(RESULTS) == ["other"]
    assert not (RESULTS / "cheap").exists()
    assert len(stored("other").trials) == 1
    sweep("sweep.n_trials=1", *where(project, place))  # the name is free again
    assert_whole(1)


def test_what_was_seen_of_a_test_set_outlives_its_study(project: Project) -> None:
    sweep("sweep.n_trials=1")
    for seed in (1, 2):
        log_opening(RESULTS / "cheap", "cheap", 0, seed, "confirm", "digits 1234")
    project.done("study", "delete", "cheap", "--yes")
    kept = openings_outside(RESULTS, "digits")
    assert [(o.study, o.seed) for o in kept] == [("cheap", 1), ("cheap", 2)]


def test_a_damaged_study_can_be_deleted_and_so_can_what_is_left_of_one(project: Project) -> None:
    sweep("sweep.n_trials=1")
    (RESULTS / "cheap/study.journal").write_text("nonsense\n")
    project.done("study", "delete", "cheap", "--yes")
    sweep("sweep.n_trials=1", *where(project, "database"))
    storage = optunas(f"sqlite:///{project.root}/study.db")
    optuna.delete_study(study_name="cheap", storage=storage)
    project.done("study", "delete", "cheap", "--yes")
    assert study_names(RESULTS) == []


@pytest.mark.parametrize("command", [["rename", "cheap", "new"], ["delete", "cheap", "--yes"]])
def test_a_study_in_use_is_left_alone(project: Project, command: list[str]) -> None:
    sweep("sweep.n_trials=1")
    code = (
        "import sys; from pathlib import Path; from besom.store.lock import CoordinatorLock\n"
        "with CoordinatorLock(Path('results/cheap/coordinator.lock'), 'sweep'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        assert "is being swept by process" in refused(project, "study", *command)
        other.stdin.close()
    assert len(stored().trials) == 1


@pytest.mark.long
def test_a_study_in_postgresql_is_renamed_imported_beside_and_deleted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with Postgres() as server:
        url = server.new_database()
        sweep("sweep.n_trials=2", f"sweep.storage={url}")
        before = seen("cheap")
        project.done("study", "rename", "cheap", "new")
        assert seen("new") == before
        sweep("sweep.name=new", "sweep.n_trials=3", f"sweep.storage={url}", extend=True)
        assert_whole(3, "new")
        made = optuna.create_study(
            study_name="theirs", storage=optunas("sqlite:///optuna.db"), direction="maximize"
        )
        made.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=3)
        taken = ("--from", "optuna.db", "--storage", url)
        project.done("study", "import", "theirs", *taken)
        project.done("study", "delete", "new", "--yes")
        assert study_names(RESULTS) == ["theirs"]
        assert len(stored("theirs").trials) == 3
        assert "already holds a study" in refused(project, "study", "import", "theirs", *taken)


# Stop


def spawned(project: Project, trace: Path, *words: str, **options: object) -> subprocess.Popen[str]:
    slow = ("trainer.seconds=0.1", "trainer.epochs=4", "sweep.n_trials=200")
    process = project.spawn("sweep", "cheap", *slow, f"trainer.trace={trace}", *words, **options)
    wait_for(lambda: len(runs(trace, "end")) >= 1, "the first trial", 60)
    return process


def stopped_in_order(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, f"{out}{err}"
    assert "Traceback" not in out + err
    return out


def ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("place", some_long(PLACES, "journal"))
def test_a_sweep_in_another_shell_stops_in_good_order(project: Project, place: str) -> None:
    process = spawned(project, project.root / "trace", *where(project, place))
    said = project.done("study", "stop", "cheap", "--wait")
    assert re.match(r"cheap is being swept by process \d+ on \S+ since .*: that process", said)
    assert said.endswith("cheap has stopped.\n")
    assert "Stopped: SIGINT received" in stopped_in_order(process)
    assert {t.outcome for t in stored().trials} <= {Outcome.COMPLETE, Outcome.RUNNING}
    assert project.done("study", "stop", "cheap") == "Nothing runs cheap.\n"


def test_a_background_job_that_ignores_interrupts_stops_too(project: Project) -> None:
    process = spawned(project, project.root / "trace", preexec_fn=ignore_interrupts)
    project.done("study", "stop", "cheap")
    assert "Stopped: SIGTERM received" in stopped_in_order(process)


@pytest.mark.long
def test_a_sweep_elsewhere_finds_the_wish_in_its_database(project: Project) -> None:
    """A process namespace of its own is another machine, as far as processes can be seen."""
    apart = ["unshare", "--pid", "--fork", "--kill-child", "true"]
    if shutil.which("unshare") is None or subprocess.run(apart, check=False).returncode:
        pytest.skip("no process namespaces here")
    trace = project.root / "trace"
    code = "from besom.cli import main; main()"
    words = ["trainer.seconds=0.1", "trainer.epochs=4", "sweep.n_trials=500"]
    words += [f"trainer.trace={trace}", *where(project, "database")]
    command = [*apart[:-1], sys.executable, "-c", code, "sweep", "cheap", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        wait_for(lambda: len(runs(trace, "end")) >= 1, "the first trial", 60)
        said = project.done("study", "stop", "cheap")
        if "out of reach" in said:
            pytest.fail(said)
        assert "sees within 10 s that it is to stop" in said
        assert "Stopped: `besom study stop`" in stopped_in_order(process)
    assert {t.outcome for t in stored().trials} <= {Outcome.COMPLETE, Outcome.RUNNING}


def test_who_is_out_of_reach_is_named(project: Project) -> None:
    sweep("sweep.n_trials=1")
    lock = StudyPaths.of(RESULTS, "cheap").lock
    with CoordinatorLock(lock, "sweep"):
        holder = json.loads(lock.read_text())
        lock.write_text(json.dumps({**holder, "host": "far", "boot": "another", "pid": 77}))
        said = refused(project, "study", "stop", "cheap")
    assert "out of reach of this command. Give it on far, or there: kill -INT 77" in said


def test_nothing_to_stop_is_no_error_but_no_study_is(project: Project) -> None:
    sweep("sweep.n_trials=1")
    assert project.done("study", "stop", "cheap", "--wait") == "Nothing runs cheap.\n"
    assert "Did you mean 'cheap'" in refused(project, "study", "stop", "chaep")
