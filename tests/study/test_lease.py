"""One coordinator per study in a database: who holds it is told, and the dead hold nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from sweeping import assert_whole, runs, stored, sweep, workers_of

from besom.errors import StudyError, StudyTaken
from besom.store import lease as leases
from besom.store.holder import Holder
from besom.store.holding import ask_to_stop, hold_study, who_holds
from besom.store.lease import LEASE, Lease, LeaseRow, Written
from besom.store.paths import StudyPaths
from postgres import PASSWORD, Postgres
from user_project import Project, wait_for

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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds are one second, here and in processes that ``coordinator`` starts."""
    monkeypatch.setattr(leases, "RENEW_S", 0.3)
    monkeypatch.setattr(leases, "RETRY_S", 0.1)
    monkeypatch.setattr(leases, "LEASE_S", 3.0)
    monkeypatch.setattr(leases, "SAFE_S", 2.0)
    monkeypatch.setattr(leases, "LOOK_S", 0.05)


@pytest.fixture
def row(url: str) -> LeaseRow:
    """Where the lease of a study is, that is otherwise empty."""
    storage = optuna.storages.RDBStorage(url)
    study_id = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "cheap")
    storage.engine.dispose()
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
    assert "Waiting up to 3 s for a sign of that process" in said[0]


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
        with pytest.raises(StudyTaken, match="being swept by process 77 on other"):
            with engine.begin() as connection:
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
    row: LeaseRow, quick: None
) -> None:
    with held(row) as holder:
        asked = leases.ask_to_stop(row, "`besom study stop`")
        assert asked is not None
        assert asked.pid == os.getpid()
        wait_for(lambda: holder.asked_to_stop == "`besom study stop`", "the wish")
        count = written(row).count
        wait_for(lambda: written(row).count > count, "a renewal")
        holder.check()
    assert row.read() is None
    assert leases.ask_to_stop(row, "again") is None
