"""A study that grows as a coordinator would write it, and a server of its pages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import optuna

import reporting_world
from besom.serve import PageServer
from besom.store.lock import CoordinatorLock
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.store.storage import open_storage
from records_factory import make_study


class GrowingStudy:
    """A study on disk with the first of its trials; ``add`` writes more.

    Args:
        results_dir: the folder that it is made in.
        n_trials: how many it will have.
        n_first: how many it has at first.
        name: its name.
    """

    def __init__(
        self, results_dir: Path, n_trials: int = 30, n_first: int = 12, name: str = "grows"
    ) -> None:
        whole = make_study(n_trials, name=name)
        self.paths = StudyPaths.of(results_dir, name)
        self.rest: list[TrialRecord] = list(whole.trials[n_first:])
        first = StudyRecord(name, whole.objectives, whole.trials[:n_first])
        reporting_world.store(results_dir, first, n_trials)
        self.optuna = self._opened()

    def _opened(self) -> optuna.Study:
        storage = open_storage(self.paths, None, writable=True)
        return optuna.load_study(study_name=self.paths.root.name, storage=storage)

    def add(self, n_trials: int = 1) -> None:
        """More trials end."""
        for _ in range(n_trials):
            self.optuna.add_trial(reporting_world.frozen(self.rest.pop(0)))

    @contextmanager
    def swept(self) -> Iterator[None]:
        """While the block runs, this process holds the study, as a sweep does."""
        with CoordinatorLock(self.paths.lock, "sweep"):
            yield


@contextmanager
def serving(results_dir: Path, name: str | None = None, host: str = "127.0.0.1") -> Iterator[Any]:
    """A server that serves in a thread."""
    with PageServer(results_dir, name, host, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Reply:
    """An answer over the network, read."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(server: PageServer, path: str = "", method: str = "GET", **headers: str) -> Reply:
    """Ask for ``path`` below the server's address; one that begins with a slash is the whole."""
    target = path if path.startswith("/") else f"/{server.token}/{path}"
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        connection.putrequest(method, target, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return Reply(connection.getresponse())
    finally:
        connection.close()
