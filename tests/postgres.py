"""A PostgreSQL server of the tests' own: started, stopped and killed as they need it."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from user_project import MARK

USER, PASSWORD = "besom", "hunter2/@:secret"


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def free_port() -> int:
    """A port that nothing takes while no server listens there.

    The system gives those from 32768 on to whoever asks for any, and Ray's workers take those
    below 20000.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class Postgres:
    """A context manager: a server on a free port of 127.0.0.1 that asks for a password."""

    def __init__(self) -> None:
        pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
        found = binaries()
        if found is None:
            pytest.skip("PostgreSQL is not installed")
        self._binaries = found
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._n_databases = 0

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="besom-postgres-"))
        (self._root / "password").write_text(PASSWORD)
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            nobody = pwd.getpwnam("nobody")
            self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (self._root, self._root / "password"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        done = subprocess.run(
            [
                *(str(self._binaries / "initdb"), "-D", str(self._root / "data"), "-U", USER),
                *("--pwfile", str(self._root / "password"), "--no-sync", "--locale=C"),
                *("-E", "UTF8", "-A", "scram-sha-256"),
            ],
            **self._options(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            shutil.rmtree(self._root)
            pytest.skip(f"initdb failed: {done.stderr.decode()}")
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._root)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        server = str(self._binaries / "postgres")
        at = ("-D", str(self._root / "data"), "-p", str(self.port), "-h", "127.0.0.1")
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [server, *at, "-F", "-k", str(self._root)],
                **self._options(),
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 60
        while True:
            try:
                return self.execute("SELECT 1", database="postgres")
            except Exception:
                assert time.monotonic() < until, (self._root / "log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it as an administrator would: every connection is ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def hang(self) -> None:
        """Stop the server's processes where they are: connections stay, nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of ``hang``."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, signum: int) -> None:
        import psutil

        assert self._process is not None
        server = psutil.Process(self._process.pid)
        for process in (server, *server.children(recursive=True)):
            process.send_signal(signum)

    def terminate_connections(self) -> None:
        """End every connection but this one's."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
            database="postgres",
        )

    def new_database(self) -> str:
        """Make an empty database; returns its URL, without the password."""
        self._n_databases += 1
        name = f"studies{self._n_databases}"
        self.execute(f"CREATE DATABASE {name}", database="postgres")
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str, database: str) -> None:
        """Do something as the administrator."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database
        )
        try:
            connection.autocommit = True
            connection.cursor().execute(statement)
        finally:
            connection.close()

    def _options(self) -> dict[str, Any]:
        """It belongs to no test: nothing marks it as one's orphan."""
        environment = {k: v for k, v in os.environ.items() if k != MARK}
        return {"env": environment, "cwd": self._root, **self._identity}
