"""One coordinator per study in a database: who holds it is told, and the dead hold nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from sweeping import assert_whole, optunas, runs, stored, sweep, workers_of

from besom.errors import StudyError, StudyTaken
from besom.store import lease as leases
from besom.store.holder import Holder
from besom.store.holding import ask_to_stop, hold_study, who_holds
from besom.store.lease import Lease, LeaseRow, Written
from besom.store.paths import StudyPaths
from besom.store.storage import open_storage
from besom.store.stored_records import PRESET
from postgres import PASSWORD, Postgres
from user_project import Project, some_long, wait_for

ELSEWHERE = "00000000-0000-0000-0000-000000000000"  # the boot of another machine


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    server: Postgres = request.getfixturevalue("server")
    return server.new_database()


#: Where the kind of database makes no difference.
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
slow_on_postgresql = pytest.mark.parametrize(
    "url", some_long(["sqlite", "postgresql"], "sqlite"), indirect=True
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the processes that ``coordinator`` starts; a holder's thread may starve for a while."""
    monkeypatch.setattr(leases, "RENEW_S", 0.3)
    monkeypatch.setattr(leases, "RETRY_S", 0.1)
    monkeypatch.setattr(leases, "LEASE_S", 10.0)
    monkeypatch.setattr(leases, "SAFE_S", 2.0)
    monkeypatch.setattr(leases, "LOOK_S", 0.05)


@pytest.fixture
def row(url: str) -> LeaseRow:
    """Where the lease of a study is, that is otherwise empty."""
    maximize = [optuna.study.StudyDirection.MAXIMIZE]
    study_id = optunas(url).create_new_study(maximize, "cheap")
    return LeaseRow(sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool), study_id)


def lease(row: LeaseRow) -> Lease:
    return Lease(row, "The study", "sweep")


@contextlib.contextmanager
def held(row: LeaseRow) -> Iterator[Lease]:
    holder = lease(row)
    holder.claim(lambda _: None)
    try:
        yield holder
    finally:
        holder.release()


def written(row: LeaseRow) -> Written:
    found = Written.read(row.read() or "")
    assert found is not None
    return found


def on_another_machine(**changed: Any) -> Holder:
    me = Holder.this_process("sweep")
    return replace(me, **{"boot": ELSEWHERE, "host": "other", "pid": 77, **changed})


def dead() -> Holder:
    """A process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return replace(Holder.this_process("sweep"), pid=process.pid, host="here")


# The lease itself


def test_a_lease_is_renewed_and_is_gone_when_it_is_given_back(row: LeaseRow, quick: None) -> None:
    with held(row) as holder:
        first = written(row)
        assert (first.holder.pid, first.holder.host) == (os.getpid(), socket.gethostname())
        wait_for(lambda: written(row).count >= first.count + 2, "two renewals")
        holder.check()
    assert row.read() is None


def test_a_rival_is_refused_at_the_first_renewal_it_sees(row: LeaseRow, quick: None) -> None:
    said: list[str] = []
    with held(row):
        since = time.monotonic()
        with pytest.raises(StudyError, match="being swept by") as caught:
            lease(row).claim(said.append)
        assert time.monotonic() - since < leases.LEASE_S
    assert f"process {os.getpid()} on {socket.gethostname()} since " in str(caught.value)
    assert "sweep.name=NAME" in str(caught.value)
    assert len(said) == 1
    assert "Waiting up to 10 s for a sign of that process" in said[0]


def test_of_many_who_want_it_at_once_one_gets_it(row: LeaseRow, quick: None) -> None:
    start, won, refused = threading.Barrier(6), list[Lease](), list[StudyError]()

    def want() -> None:
        wanted = lease(row)
        start.wait()
        try:
            wanted.claim(lambda _: None)
            won.append(wanted)
        except StudyError as error:
            refused.append(error)

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 5)
    won[0].check()
    won[0].release()


def test_a_dead_process_of_this_machine_is_not_waited_for(row: LeaseRow) -> None:
    row.insert(Written(dead(), "x").text)
    said: list[str] = []
    holder, since = lease(row), time.monotonic()
    assert holder.claim(said.append)
    assert time.monotonic() - since < leases.RENEW_S / 2
    assert not said
    holder.release()


@on_sqlite
def test_what_this_process_could_not_give_back_is_not_waited_for(row: LeaseRow) -> None:
    row.insert(Written(Holder.this_process("sweep"), "of an earlier sweep").text)
    since = time.monotonic()
    with held(row):
        assert time.monotonic() - since < leases.RENEW_S / 2


@on_sqlite
def test_a_process_whose_number_is_used_again_is_dead(row: LeaseRow) -> None:
    me = Holder.this_process("sweep")
    if me.started is None:
        pytest.skip("this system does not say when a process began")
    row.insert(Written(replace(me, started=me.started - 1), "x").text)
    with held(row) as holder:
        holder.check()


def test_a_silent_process_of_another_machine_is_waited_for_and_then_taken_over(
    row: LeaseRow, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    row.insert(Written(on_another_machine(), "x").text)
    said: list[str] = []
    holder, since = lease(row), time.monotonic()
    holder.claim(said.append)
    assert time.monotonic() - since >= leases.LEASE_S
    assert "process 77 on other since" in said[0]
    assert said[-1].endswith("taking it over")
    holder.release()


@on_sqlite
def test_the_clock_of_the_other_machine_does_not_matter(
    row: LeaseRow, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    row.insert(Written(on_another_machine(since=time.time() + 1e6), "x", count=7).text)
    with held(row) as holder:
        holder.check()


@pytest.mark.parametrize("text", ["not json", "{}", '{"holder": 3}'])
def test_what_is_no_lease_is_not_taken_for_one(text: str) -> None:
    assert Written.read(text) is None


def test_a_lease_that_is_given_back_meanwhile_is_taken_at_once(row: LeaseRow) -> None:
    text = Written(on_another_machine(), "x").text
    row.insert(text)
    threading.Timer(0.3, row.remove, [text]).start()
    since = time.monotonic()
    with held(row):
        assert time.monotonic() - since < leases.RENEW_S / 2


def test_a_holder_that_was_taken_over_notices_and_commits_nothing(
    row: LeaseRow, url: str, quick: None
) -> None:
    engine = sqlalchemy.create_engine(url)
    with held(row) as holder:
        sqlalchemy.event.listen(engine, "commit", holder.check_commit)
        seen = row.read()
        assert seen is not None
        assert row.swap(seen, Written(on_another_machine(), "y").text)
        holder._renewed_at -= leases.LEASE_S  # it was away for that long
        expected = pytest.raises(StudyTaken, match="being swept by process 77 on other")
        with expected, engine.begin() as connection:
            connection.execute(sqlalchemy.text("UPDATE studies SET study_name = 'other'"))
        with pytest.raises(StudyTaken):
            holder.check()
    assert written(row).holder.pid == 77, "the other's lease is left as it is"
    with engine.connect() as connection:
        (name,) = connection.execute(sqlalchemy.text("SELECT study_name FROM studies")).one()
    assert name == "cheap"
    engine.dispose()


def test_a_holder_that_was_away_for_long_keeps_what_nobody_took(
    row: LeaseRow, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sqlalchemy.create_engine(url)
    with held(row) as holder:
        sqlalchemy.event.listen(engine, "commit", holder.check_commit)
        holder._renewed_at -= 10 * leases.LEASE_S
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("UPDATE studies SET study_name = 'other'"))
        holder.check()
    engine.dispose()


def test_a_wish_to_stop_reaches_the_holder_and_does_not_cost_it_the_lease(
    row: LeaseRow, url: str, quick: None
) -> None:
    with held(row) as holder:
        asked = leases.ask_to_stop(row, url, "`besom study stop`")
        assert asked is not None
        assert asked.pid == os.getpid()
        wait_for(lambda: holder.asked_to_stop == "`besom study stop`", "the wish")
        count = written(row).count
        wait_for(lambda: written(row).count > count, "a renewal")
        holder.check()
    assert row.read() is None
    assert leases.ask_to_stop(row, url, "again") is None


def test_an_empty_database_is_opened_by_several_at_once(url: str, tmp_path: Path) -> None:
    start, opened, errors = threading.Barrier(4), list[object](), list[BaseException]()

    def open_it() -> None:
        start.wait()
        try:
            opened.append(open_storage(StudyPaths(tmp_path), url, writable=True))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(opened) == 4


# Whole sweeps

QUICK = """
import sys, besom.store.lease as leases, besom.store.holder as holder
leases.RENEW_S, leases.RETRY_S, leases.SAFE_S, leases.LOOK_S = 0.3, 0.1, 2, 0.05
leases.LEASE_S = float(sys.argv.pop(1))
if sys.argv.pop(1) == "elsewhere":
    holder._machine = lambda: ("another boot", "pid:[1]")
from besom.cli import main
main()
"""
SLOW_WORKERS = 2
SLOW = ("trainer.seconds=0.2", "sweep.n_trials=6", f"sweep.executor.workers={SLOW_WORKERS}")


def coordinator(
    url: str, folder: str, *words: str, where: str = "here", lease_s: float = 60.0
) -> subprocess.Popen[str]:
    """``besom sweep cheap`` in a process and a results folder of its own.

    A lease of ``lease_s`` seconds is only taken over where the test waits for that: a coordinator
    that renews may starve for a while.
    """
    given = ["sweep", "cheap", f"sweep.storage={url}", f"results_dir={folder}", *words]
    return subprocess.Popen(
        [sys.executable, "-c", QUICK, str(lease_s), where, *given],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=110)
    assert "Traceback" not in err
    return process.returncode, out, " ".join(err.split())


@pytest.fixture
def trace(project: Project) -> Path:
    return project.root / "trace"


@slow_on_postgresql
@pytest.mark.usefixtures("no_orphans")
def test_of_two_sweeps_started_in_the_same_second_one_runs(
    project: Project, url: str, trace: Path
) -> None:
    both = [
        coordinator(url, f, f"trainer.trace={trace}", *SLOW, "sweep.n_trials=10")
        for f in ("results", "others")
    ]
    (code, _, err), (other, _, other_err) = sorted(map(ended, both))
    assert (code, other) == (0, 2), err + other_err
    assert re.search("is being swept by process |Another process has made the study", other_err)
    folders = [folder for folder in ("results", "others") if Path(folder).exists()]
    assert len(folders) == 1, "the refused one has left its folder"
    Path(folders[0]).rename("results") if folders != ["results"] else None
    assert len(assert_whole(10).complete) == 10
    assert len(runs(trace)) == 10, "a trial was trained twice"


@pytest.mark.long
@slow_on_postgresql
@pytest.mark.usefixtures("no_orphans")
def test_a_killed_sweep_goes_on_at_once_from_another_folder(
    project: Project, url: str, trace: Path
) -> None:
    first = coordinator(url, "others", f"trainer.trace={trace}", *SLOW)
    wait_for(lambda: len(runs(trace)) >= 3, "a third trial")
    first.kill()
    first.communicate()
    code, out, err = ended(coordinator(url, "results", f"trainer.trace={trace}", *SLOW))
    assert code == 0, err
    assert "Waiting up to" not in out
    assert len(assert_whole(6).complete) == 6


def suspend_between_writes(process: subprocess.Popen[str], url: str) -> None:
    """Suspend a sweep that holds no lock of its database: no one else could write beside one.

    Nobody could then take the study over, whatever the lease says. SQLite's readers count, too.
    """
    lock, options = (
        "LOCK TABLE trials, study_user_attributes IN EXCLUSIVE MODE NOWAIT",
        dict[str, Any](),
    )
    if url.startswith("sqlite"):
        lock, options = "BEGIN EXCLUSIVE", {"timeout": 0.1}
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=options)
    while True:
        suspend(process)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(lock)
            return
        except sqlalchemy.exc.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.03)


def suspend(process: subprocess.Popen[str]) -> None:
    """Stop each of its threads; the signal alone lets them go on for a moment."""
    process.send_signal(signal.SIGSTOP)
    states = Path(f"/proc/{process.pid}/task").glob
    wait_for(
        lambda: all(is_stopped(stat.read_text()) for stat in states("*/stat")),
        "each thread to stop",
    )


def is_stopped(stat: str) -> bool:
    """What a thread's ``/proc/.../stat`` says: its state stands behind its name."""
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.mark.long
@pytest.mark.usefixtures("no_orphans")
def test_a_sweep_that_was_taken_over_while_it_was_suspended_writes_nothing_more(
    project: Project, url: str, trace: Path
) -> None:
    # Long trials: most are still to come when the first is suspended, on a slow disk, too.
    words = (f"trainer.trace={trace}", *SLOW, "trainer.seconds=1", "sweep.n_trials=8")
    first = coordinator(url, "others", *words)
    wait_for(lambda: len(runs(trace)) >= 3, "a third trial")
    suspend_between_writes(first, url)
    second = coordinator(url, "results", *words, where="elsewhere", lease_s=10)
    n_before = len(runs(trace))
    wait_for(lambda: len(runs(trace)) > n_before, "the second to go on")
    first.send_signal(signal.SIGCONT)
    code, _, err = ended(first)
    assert code == 2
    assert "is being swept by process" in err
    assert "nothing more was written" in err
    assert not workers_of(first.pid)
    code, out, err = ended(second)
    assert code == 0, err
    assert "taking it over" in " ".join(out.split())
    assert len(assert_whole(8).complete) == 8


@pytest.mark.long
@pytest.mark.usefixtures("no_orphans")
def test_a_database_that_is_stopped_for_ten_seconds_costs_neither_the_lease_nor_a_trial(
    project: Project, server: Postgres, monkeypatch: pytest.MonkeyPatch, trace: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    url = server.new_database()
    words = (f"trainer.trace={trace}", *SLOW, "sweep.n_trials=500")
    first = coordinator(url, "results", *words)
    wait_for(lambda: len(runs(trace)) >= 3, "a third trial")
    server.stop()
    time.sleep(10)
    server.start()
    server.terminate_connections()
    code, _, err = ended(coordinator(url, "others", *words, where="elsewhere"))
    assert code == 2, err
    assert f"process {first.pid} " in err
    n_known = len(runs(trace))
    wait_for(lambda: len(runs(trace)) > n_known, "another trial")
    first.send_signal(signal.SIGINT)
    assert ended(first)[0] == 130
    study = stored()
    assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
    assert len(runs(trace)) == len(study.trials), "a trial was trained twice, or was lost"
    assert len(study.complete) >= len(runs(trace, "end")) - SLOW_WORKERS


@pytest.fixture
def swept(project: Project, url: str) -> LeaseRow:
    """A study of three trials that is in a database; where its lease is."""
    sweep(f"sweep.storage={url}", "sweep.n_trials=3")
    study_id = optunas(url).get_study_id_from_name("cheap")
    return LeaseRow(sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool), study_id)


@on_sqlite
def test_a_held_study_is_read_and_is_not_run(
    project: Project, swept: LeaseRow, url: str, quick: None
) -> None:
    commands = [
        ("sweep", "cheap", "sweep.n_trials=5", "--extend"),
        ("sweep", "cheap", f"sweep.storage={url}", "results_dir=others"),
        ("sweep", "cheap", "--fresh"),
        ("replay", "cheap", "1"),
        ("confirm", "cheap", "--on", "validation", "--seeds", "2"),
    ]
    with held(swept):
        for command in commands:
            refused = project.besom(*command)
            assert refused.exit_code == 2, (command, refused.output)
            assert "being swept by process" in refused.output
        for command in [("leaderboard", "cheap"), ("ledger", "cheap"), ("export", "cheap")]:
            project.done(*command)
    assert not Path("others").exists()
    assert len(assert_whole(3).complete) == 3


@on_sqlite
def test_fresh_archives_the_study_in_the_database_under_the_name_of_its_folder(
    project: Project, swept: LeaseRow, url: str
) -> None:
    sweep(f"sweep.storage={url}", "sweep.n_trials=2", fresh=True)
    assert len(assert_whole(2).trials) == 2
    (folder,) = Path("results/archive").iterdir()
    assert len(load_archived(folder.name).trials) == 3
    assert swept.read() is None


def load_archived(name: str) -> Any:
    from besom.study import load_record

    return load_record(Path("results/archive"), name)


@on_sqlite
def test_fresh_in_a_new_folder_archives_what_the_database_has(
    project: Project, swept: LeaseRow, url: str
) -> None:
    words = [f"sweep.storage={url}", "sweep.n_trials=2", "results_dir=others"]
    project.done("sweep", "cheap", *words, "--fresh")
    assert len(optuna.study.get_all_study_names(optunas(url))) == 2
    assert len(stored("cheap").trials) == 2  # `results` leads to the study of that name


def half_made(row: LeaseRow, url: str) -> optuna.Study:
    """The study of ``row`` as a process leaves it that dies, or is, in the midst of creating it."""
    study = optuna.load_study(study_name="cheap", storage=optunas(url))
    study.enqueue_trial({"model.dropout": 0.2}, user_attrs={PRESET: {}})
    return study


def test_a_study_that_a_dead_process_had_not_finished_creating_is_created_again(
    project: Project, row: LeaseRow, url: str
) -> None:
    half_made(row, url)
    row.insert(Written(dead(), "x").text)
    sweep(f"sweep.storage={url}", "sweep.n_trials=2")
    assert len(assert_whole(2).complete) == 2


def test_a_study_that_another_process_is_creating_is_left_to_it(
    project: Project, row: LeaseRow, url: str, quick: None
) -> None:
    study = half_made(row, url)
    with held(row), pytest.raises(StudyError, match="being swept by process"):
        sweep(f"sweep.storage={url}", "sweep.n_trials=2")
    assert len(study.get_trials()) == 1


@on_sqlite
def test_who_holds_a_study_is_known_to_other_processes(
    project: Project, swept: LeaseRow, url: str, quick: None
) -> None:
    paths = StudyPaths.of(Path("results"), "cheap")
    assert who_holds(paths, url, "cheap") is None
    with hold_study(paths, url, "cheap", "confirm") as hold:
        elsewhere = StudyPaths.of(Path("others"), "cheap")
        for found in (who_holds(paths, url, "cheap"), who_holds(elsewhere, url, "cheap")):
            assert found is not None
            assert (found.pid, found.command) == (os.getpid(), "confirm")
            assert found.is_alive in (True, None)
        assert ask_to_stop(elsewhere, url, "cheap", "enough") is not None
        wait_for(lambda: hold.asked_to_stop == "enough", "the wish")
    assert who_holds(paths, url, "cheap") is None


@pytest.mark.long
@on_sqlite
def test_a_sweep_that_is_asked_to_stop_ends_in_good_order(
    project: Project, url: str, trace: Path
) -> None:
    process = coordinator(url, "results", f"trainer.trace={trace}", *SLOW, "sweep.n_trials=200")
    wait_for(lambda: len(runs(trace)) >= 3, "a third trial")
    paths = StudyPaths.of(Path("results"), "cheap")
    assert ask_to_stop(paths, url, "cheap", "asked to stop by process 77 on other") is not None
    code, out, err = ended(process)
    assert code == 130, err
    assert "asked to stop by process 77 on other" in " ".join(out.split())
    assert who_holds(paths, url, "cheap") is None
