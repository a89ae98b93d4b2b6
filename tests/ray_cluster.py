"""Several real Ray nodes on this machine: started one by one, killed as tests need it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

START_S = 180.0

#: In the environment of all that runs on a node: its name.
NODE = "BESOM_TEST_NODE"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class RayCluster:
    """A context manager: a head node without CPUs for workers, and nodes that are added.

    Args:
        hidden: a folder that the added nodes do not see, as on machines of their own; None: they
            see everything. Needs root, else the test is skipped.
        environment: what the nodes inherit in addition.

    Attributes:
        token: what a driver has to bring, as ``RAY_AUTH_TOKEN``.
    """

    def __init__(
        self, hidden: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        pytest.importorskip("ray", reason="ray is not installed")
        self._hidden = hidden
        self._port = _free_port()
        self._root = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # sockets need short paths
        self.token = secrets.token_hex(32)
        with_token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        self._environment = {**os.environ, **_QUIET, **with_token, **(environment or {})}
        self._nodes: list[subprocess.Popen[bytes]] = []
        if hidden is not None and not can_hide():
            pytest.skip("a node cannot be given a view of its own of the file system here")

    @property
    def address(self) -> str:
        """Of the head, for ``sweep.executor.address``."""
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._start(["--head", f"--port={self._port}", "--num-cpus=0"], hidden=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in range(len(self._nodes)):
            self.kill(number)
        shutil.rmtree(self._root, ignore_errors=True)

    def add_node(self, cpus: int = 1, wait: bool = True, **resources: float) -> int:
        """Start a node; return its number, from 1 (the head is 0)."""
        extra = [f"--resources={json.dumps(resources)}"] if resources else []
        command = [f"--address={self.address}", f"--num-cpus={cpus}", *extra]
        return self._start(command, self._hidden, wait)

    def kill(self, number: int) -> None:
        """SIGKILL a node's processes: all at once, as when a machine is lost. Idempotent."""
        node = self._nodes[number]
        for pid in [*_below(node.pid), node.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        node.wait(30)

    def _start(self, arguments: list[str], hidden: Path | None, wait: bool = True) -> int:
        number = len(self._nodes)
        log = self._root / f"node-{number}.log"
        ray = [sys.executable, "-P", "-c", "from ray.scripts.scripts import main; main()"]
        ray += ["start", *arguments, "--block", "--disable-usage-stats"]
        ray += ["--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"]
        ray += [f"--node-name=node-{number}", "--node-ip-address=127.0.0.1"]
        ray += [f"--temp-dir={self._root}", "--include-dashboard=false"] if number == 0 else []
        if hidden is not None:
            script = 'mount -t tmpfs none "$0" && exec "$@"'
            ray = ["unshare", "--mount", "sh", "-c", script, str(hidden), *ray]
        with log.open("wb") as output:
            node = subprocess.Popen(
                ray,
                env={**self._environment, NODE: f"node-{number}"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes.append(node)
        if wait:
            self._wait(log, node)
        return number

    def _wait(self, log: Path, node: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_S
        while b"Ray runtime started" not in log.read_bytes():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)


_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    # A lost node is noticed sooner than after a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


def can_hide() -> bool:
    """Whether a process can be given a view of its own of the file system."""
    return (
        subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode
        == 0
    )


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have, deepest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [*_below(child), child]
    return found
