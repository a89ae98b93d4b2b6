"""A database that goes away in the midst of a sweep: what was done is done once, and goes on."""

from __future__ import annotations

import contextlib
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sweeping import RESULTS, assert_whole, let_all_pass, let_pass, runs, stored, sweep, wait_to_say

from besom.errors import StudyError
from besom.store.outages import DatabaseAway
from besom.store.records import Outcome
from besom.study.watcher import Watcher
from postgres import PASSWORD, Postgres
from user_project import Project, wait_for

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

SLOW = ("trainer.seconds=0.1", "trainer.epochs=4", "sweep.executor.workers=2")


class Remarks(Watcher):
    def __init__(self) -> None:
        self.said: list[str] = []

    def remarked(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def url(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return server.new_database()


@contextlib.contextmanager
def meanwhile(project: Project, happens: Callable[[], None]) -> Iterator[tuple[str, ...]]:
    """Have it happen once three trials have begun; yields what the sweep must be given.

    Trials wait in their midst until it has happened, or lets them pass.
    """
    trace, errors = project.root / "trace", list[BaseException]()
    let_pass(1)

    def wait_and_do() -> None:
        try:
            wait_for(lambda: len(runs(trace)) >= 3, "a third trial")
            happens()
        except BaseException as error:
            errors.append(error)
        finally:
            let_all_pass()

    thread = threading.Thread(target=wait_and_do)
    thread.start()
    yield (f"trainer.trace={trace}", *SLOW)
    thread.join()
    assert not errors


def none_running(trace: Path) -> bool:
    return len(runs(trace)) == len(runs(trace, "end"))


# It comes back


@pytest.mark.long
def test_a_database_that_is_restarted_costs_no_trial(
    project: Project, server: Postgres, url: str
) -> None:
    trace, heard = project.root / "trace", Remarks()

    def restart() -> None:
        server.stop()
        try:
            let_all_pass()
            wait_for(lambda: heard.said, "the outage to be mentioned", timeout_s=60)
            wait_for(lambda: none_running(trace), "the running trials to end meanwhile")
        finally:
            server.start()

    with meanwhile(project, restart) as given:
        done = sweep(f"sweep.storage={url}", "sweep.n_trials=8", *given, watcher=heard)
    assert done.exit_code == 0
    assert len(assert_whole(8).complete) == 8
    assert len(runs(trace)) == 8, "a trial was trained twice"
    assert "sweep.storage_patience_s" in heard.said[0]
    assert heard.said[1].startswith("the storage answers again after ")
    assert PASSWORD not in "".join(heard.said)


@pytest.mark.long
def test_terminated_connections_cost_no_trial(project: Project, server: Postgres, url: str) -> None:
    def terminate() -> None:
        let_all_pass()
        for _ in range(10):
            server.terminate_connections()
            time.sleep(0.1)

    with meanwhile(project, terminate) as given:
        sweep(f"sweep.storage={url}", "sweep.n_trials=8", "sweep/pruner=median", *given)
    study = stored()
    assert [trial.number for trial in study.trials] == list(range(8))
    assert {t.outcome for t in study.trials} <= {Outcome.COMPLETE, Outcome.PRUNED}
    assert len(runs(project.root / "trace")) == 8


@pytest.mark.long
def test_a_database_that_hangs_keeps_no_trial_waiting(
    project: Project, server: Postgres, url: str
) -> None:
    trace = project.root / "trace"

    def hang() -> None:
        server.hang()
        try:
            let_all_pass()
            time.sleep(5)
            wait_for(lambda: none_running(trace), "the running trials to end meanwhile")
        finally:
            server.go_on()

    with meanwhile(project, hang) as given:
        sweep(f"sweep.storage={url}", "sweep.n_trials=6", *given)
    assert len(assert_whole(6).complete) == 6


#: A sampler that asks in a thread of its own, see test_ask_ahead.py.
AHEAD = ("sweep.sampler._target_=slow_sampler.SlowSampler",)


@pytest.mark.long
@pytest.mark.parametrize("sampler", [(), AHEAD])
def test_a_locked_sqlite_file_is_waited_for(project: Project, sampler: tuple[str, ...]) -> None:
    path = project.root / "study.db"

    def lock() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as other:
            other.execute("BEGIN EXCLUSIVE")
            let_all_pass()
            time.sleep(8)

    heard = Remarks()
    with meanwhile(project, lock) as given:
        words = (f"sweep.storage=sqlite:///{path}", "sweep.n_trials=6", *sampler, *given)
        sweep(*words, watcher=heard)
    assert len(assert_whole(6).complete) == 6
    assert len(runs(project.root / "trace")) == 6
    # A disk that is slow for 2 s is mentioned as well. Each time is mentioned once.
    away, back = heard.said[::2], heard.said[1::2]
    assert len(away) == len(back) >= 1
    assert all(text.startswith("the storage does not answer") for text in away)
    assert all(text.startswith("the storage answers again after ") for text in back)


class CuttingProxy:
    """Passes on what client and server say, but cuts every n-th commit's answer off.

    The server has then done what its client does not know to be done. It begins with the study.
    """

    def __init__(self, port: int, every: int) -> None:
        self._port, self._every = port, every
        self.n_commits = self.n_cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._port))
        requests = threading.Thread(target=self._requests, args=(client, server), daemon=True)
        requests.start()
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self._cutting:
                    self._cutting = False
                    self.n_cut += 1
                    break
                client.sendall(data)
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        requests.join()
        client.close()
        server.close()

    _armed = _cutting = over = False

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self._armed = self._armed or b"INSERT INTO studies" in data
                if self._armed and not self.over and b"COMMIT" in data:
                    self.n_commits += 1
                    self._cutting = self.n_commits % self._every == 0
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)


@pytest.mark.long
@pytest.mark.parametrize("every", [2, 3])
def test_what_was_stored_without_an_answer_is_not_stored_twice(
    project: Project, server: Postgres, url: str, every: int
) -> None:
    trace = project.root / "trace"
    proxy = CuttingProxy(server.port, every)
    through = url.replace(str(server.port), str(proxy.port))
    enqueued = "sweep.enqueue=[{model.dropout:0.4},{model.dropout:0.1}]"
    try:
        sweep(f"sweep.storage={through}", "sweep.n_trials=8", f"trainer.trace={trace}", enqueued)
        proxy.over = True
        assert len(assert_whole(8).complete) == 8
    finally:
        proxy.close()
    assert proxy.n_cut > 10
    assert len(runs(trace)) == 8


# It stays away


@pytest.mark.long
def test_a_database_that_stays_away_ends_the_sweep_with_one_message(
    project: Project, server: Postgres, url: str
) -> None:
    where = (f"sweep.storage={url}", "sweep.n_trials=8")
    with (
        meanwhile(project, server.stop) as given,
        pytest.raises(
            DatabaseAway, match=r"has not answered for \d+ s \(.*Connection refused"
        ) as e,
    ):
        sweep(*where, "sweep.storage_patience_s=3", *given)
    assert "\n" not in str(e.value)
    assert PASSWORD not in str(e.value)
    server.start()
    sweep(*where, *given)  # with another patience, which is no change of the study
    assert len(assert_whole(8).complete) == 8


@pytest.mark.long
def test_ctrl_c_ends_the_waiting_at_once(project: Project, server: Postgres, url: str) -> None:
    trace = project.root / "trace"
    let_pass(1)
    where = (f"sweep.storage={url}", "sweep.n_trials=8", f"trainer.trace={trace}", *SLOW)
    process = project.spawn("sweep", "cheap", *where)
    wait_for(lambda: len(runs(trace)) >= 3, "a third trial")
    server.stop()
    let_all_pass()
    wait_to_say(process, "the storage does not answer")
    process.send_signal(signal.SIGINT)
    since = time.monotonic()
    out, err = process.communicate(timeout=60)
    server.start()
    assert process.returncode == 130, err
    assert time.monotonic() - since < 30
    assert "SIGINT received. The storage postgresql" in " ".join(out.split())
    assert "Traceback" not in err
    sweep(*where)
    assert len(assert_whole(8).complete) == 8


def test_a_database_that_is_not_there_is_refused_at_once(
    project: Project, server: Postgres, url: str
) -> None:
    server.stop()
    try:
        with pytest.raises(StudyError, match=r"cannot be opened: .*Connection refused"):
            sweep(f"sweep.storage={url}", "sweep.n_trials=1")
    finally:
        server.start()
    assert not RESULTS.exists()


def test_an_error_of_the_database_is_one_message(project: Project) -> None:
    path = project.root / "study.db"

    def drop() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as other:
            other.execute("DROP TABLE trials")
            other.commit()

    with (
        meanwhile(project, drop) as given,
        pytest.raises(StudyError, match=r"study\.db reports an error: no such table: trials"),
    ):
        sweep(f"sweep.storage=sqlite:///{path}", "sweep.n_trials=8", *given)


@pytest.mark.long
def test_connections_are_closed_with_their_storage(project: Project) -> None:
    path: Path = project.root / "study.db"
    done = project.run("sweep", "cheap", f"sweep.storage=sqlite:///{path}", "sweep.n_trials=1")
    assert (done.returncode, done.stderr) == (0, "")
