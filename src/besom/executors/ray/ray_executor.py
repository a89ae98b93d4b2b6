"""The Ray executor: warm workers wherever a Ray cluster has room for them."""

from __future__ import annotations

import importlib.util
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from besom.errors import BesomError, ConfigError
from besom.executors.base import Remark
from besom.executors.channel import make_setup
from besom.executors.failures import Death
from besom.executors.pooled_executor import PooledExecutor
from besom.executors.process import Launch
from besom.executors.ray.driver_link import DriverGone, DriverLink, RemoteWorker
from besom.executors.ray.driver_messages import (
    Capacity,
    Connect,
    Connected,
    News,
    Unconnected,
)
from besom.executors.ray.ray_options import MOST_WORKERS, RayOptions
from besom.executors.resources import available_cores, workers_in_memory
from besom.executors.signals import held_back
from besom.executors.slot import Limits, Slot
from besom.seam import TrialConfig
from besom.text.counting import counted

#: How long no worker finds room before the user is told.
SAY_WAITING_AFTER_S = 15.0
#: How long the driver may take to leave a cluster, or to end its own.
_LEAVE_S = 10.0


class RayExecutor(PooledExecutor[RemoteWorker]):
    """Runs trials in warm workers on a Ray cluster.

    Each worker is an actor: a process that Ray places on a node with room for it, that imports and
    loads once and then runs trial after trial. One that dies, outlives its trial's time limit or
    has grown too large is replaced. Ray itself is only known to a child process, the driver.

    Args:
        address: of a running cluster, as ``ray.init`` takes it (``"auto"``, ``"ray://head:10001"``);
            None: a Ray of its own on this machine, ended with the sweep.
        workers: how many; None: as many as the cluster has room for, more when room comes, fewer
            when nodes go; on a Ray of its own, as far as each has a GiB of memory. Only a number
            makes an autoscaler add nodes.
        num_cpus: CPUs that a worker takes of its node; None: as many as its threads.
        num_gpus: GPUs that a worker takes, or a share of one; 0: it sees none.
        resources: what it takes of the cluster's own resources.
        runtime_env: Ray's description of what a worker's process needs.
        threads_per_worker: threads that each worker's TensorFlow (and BLAS) computes with.
        max_worker_memory: resident memory past which a worker is replaced between trials: bytes,
            or a text such as ``"4 GiB"``; None = no limit; ``"auto"``: on a Ray of its own a fair
            share of four fifths of the memory, on a cluster no limit.
        max_trials_per_worker: trials after which a worker is replaced; None = no limit.

    Raises:
        ConfigError: a parameter is of the wrong type or out of range.
    """

    #: What the child process runs.
    driver = "besom.executors.ray.driver"

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        num_cpus: float | None = None,
        num_gpus: float = 0,
        resources: Mapping[str, float] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        threads_per_worker: int = 1,
        max_worker_memory: str | int | None = "auto",
        max_trials_per_worker: int | None = None,
    ) -> None:
        super().__init__()
        self._options = RayOptions.checked(
            address,
            workers,
            num_cpus,
            num_gpus,
            resources,
            runtime_env,
            threads_per_worker,
            max_worker_memory,
            max_trials_per_worker,
        )
        self._link: DriverLink | None = None
        self._own_folder: str | None = None
        self._open_worker: Any = None
        self._waiting_since: float | None = None  # since when no worker has had a place
        self._said_so = False

    @property
    def n_workers(self) -> int:
        """How many trials can run at once: the workers that there are now, or are to come."""
        return max(len(self._pool.slots), self._at_most(self._options.workers or 1))

    @property
    def _is_own(self) -> bool:
        """Whether Ray is the sweep's own, on this machine."""
        return self._options.address is None

    @property
    def limits(self) -> Limits:
        """When a worker is replaced between trials."""
        # Of a cluster's nodes, each has its own memory; Ray itself watches that.
        sharing = self.n_workers if self._is_own else None
        return self._options.memory.limits(sharing, self._options.n_trials)

    def look(self) -> str:
        """Say what the cluster has room for; empty for a Ray of the sweep's own."""
        if self._is_own:
            return ""
        _check_installed()
        heard: list[News | DriverGone] = []
        link = DriverLink(self._launch(self._connect(None), None), heard.append)
        try:
            while not heard:
                link.wait(1.0)
        finally:
            with held_back():
                link.end(within_s=_LEAVE_S)
            link.close()
        if not isinstance(heard[0], Connected):
            self._hear(heard[0])
            assert self._fatal is not None
            raise self._fatal
        return heard[0].room

    @property
    def gpus_per_worker(self) -> float:
        """How much of a GPU each worker holds, where workers have GPUs."""
        return self._options.need.num_gpus or 1.0

    @classmethod
    def anywhere(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Its options in a stored config: not the cluster, which may be a stranger's by now."""
        return {**options, "address": None, "runtime_env": None}

    def start(
        self,
        trial_function: str,
        base_config: TrialConfig,
        log_dir: str | None,
        n_trials: int | None = None,
        artifacts: str | None = None,
    ) -> None:
        """Start the driver, which connects to Ray; see ``Executor.start``."""
        _check_installed()
        self._begin(n_trials)
        folder = str(Path.cwd())
        setup = make_setup(trial_function, base_config, folder, artifacts)
        log = Path(log_dir).resolve() if log_dir else None
        if self._is_own:
            self._own_folder = _temporary_folder()
        launch = self._launch(
            replace(self._connect(log), sent=None if self._is_own else setup), log
        )

        def spawn(worker: int, first: bool) -> RemoteWorker:
            assert self._link is not None
            return self._link.open(worker, replace(setup, first=first))

        self._open_worker = spawn
        try:
            with held_back():
                self._signs = self._link = DriverLink(launch, self._hear)
        except BaseException:
            self.close(grace_s=0.0)
            raise

    def close(self, grace_s: float = 2.0) -> None:
        """End every worker and leave the cluster; at once if ``grace_s`` is 0. Idempotent."""
        link, self._link = self._link, None
        if link is not None:
            with held_back():
                link.end(within_s=_LEAVE_S if grace_s > 0 else 0.0)
        self._stop_watching()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)
            self._own_folder = None

    def _launch(self, connect: Connect, log_dir: Path | None) -> Launch:
        """How to start the driver."""
        environment = {"RAY_USAGE_STATS_ENABLED": "0", **os.environ}
        # Any call after the end of the connection would start a Ray, to be left behind.
        environment["RAY_ENABLE_AUTO_CONNECT"] = "0"
        if self._is_own:
            # Else Ray would write one to the user's home, and later commands would then expect it.
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        elif _has_token(environment):
            # Ray sends it to an address by itself only if that is "auto". A cluster without
            # tokens takes no notice of it.
            environment.setdefault("RAY_AUTH_MODE", "token")
        return Launch(
            module=self.driver,
            called="The Ray driver",
            first=connect,
            environment=environment,
            folder=str(Path.cwd()),
            log=None if log_dir is None else log_dir / "ray-driver.log",
            log_called="The Ray driver's log",
        )

    def _connect(self, log_dir: Path | None) -> Connect:
        most = self._at_most(self._options.workers or 1)
        return Connect(
            address=self._options.address,
            need=self._options.need,
            runtime_env=self._options.runtime_env,
            threads=self._options.threads,
            waits=self._options.workers is not None,
            log_dir=None if log_dir is None else str(log_dir),
            # A Ray of our own has room for what was asked for, as the local executor has.
            own_cpus=max(available_cores(), math.ceil(most * self._options.need.num_cpus)),
            own_resources={name: most * n for name, n in self._options.need.resources.items()},
            own_folder=self._own_folder,
        )

    def _at_most(self, workers: int) -> int:
        return workers if self._n_useful is None else min(workers, self._n_useful)

    def _hear(self, news: News | DriverGone) -> None:
        """Take what the driver says of the cluster."""
        match news:
            case Unconnected(message):
                where = "a Ray of its own" if self._is_own else f"Ray at {self._options.address!r}"
                self._fatal = BesomError(
                    f"The sweep cannot use {where} (sweep.executor.address): {message}"
                )
            case DriverGone(message):  # it has said before why, if it knew
                self._fatal = self._fatal or BesomError(message)
            case Capacity():
                self._fill(news)

    def _fill(self, capacity: Capacity) -> None:
        """Open the workers that are missing and have room, or are to wait for it."""
        n_open = len(self._pool.slots)
        if not capacity.most and not n_open and not self._may_grow:
            self._fatal = BesomError(
                f"No node of the Ray cluster ({counted(capacity.nodes, 'node')}) has room for one "
                f"worker, even when it is idle: a worker takes {self._options.need} "
                "(sweep.executor.num_cpus, num_gpus, resources). Ask for less, or for a number of "
                "workers where the cluster grows by itself (sweep.executor.workers)."
            )
            return
        wanted = self._options.workers or n_open + capacity.more
        if self._options.workers is None and self._is_own and not self._options.need.num_gpus:
            wanted = min(wanted, workers_in_memory())
        taken = {slot.worker for slot in self._pool.slots}
        free = (number for number in range(MOST_WORKERS) if number not in taken)
        for worker, _ in zip(free, range(self._at_most(wanted) - n_open), strict=False):
            first = self._ready_early is not None and not self._pool.slots
            spawn = partial(self._open_worker, worker)
            self._add(Slot.started(worker, spawn, self._clock, first))
        self._say_if_waiting(capacity)

    @property
    def _may_grow(self) -> bool:
        """Whether an autoscaler may add nodes for workers that wait."""
        return self._options.workers is not None and not self._is_own

    def _say_if_waiting(self, capacity: Capacity) -> None:
        """Tell the user, once, that no worker has found room for a while."""
        if any(slot.process.placed for slot in self._pool.slots):
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since, self._said_so = self._clock(), False
        elif not self._said_so and self._clock() - self._waiting_since > SAY_WAITING_AFTER_S:
            self._said_so = True
            self._events.append(
                Remark(
                    "waiting for room on the Ray cluster: it has "
                    f"{counted(capacity.nodes, 'node')}, and none has {self._options.need} free"
                )
            )

    def _after_death(self, slot: Slot[RemoteWorker], death: Death) -> None:
        """A worker takes the dead one's place, where there may be room for it."""
        if self._options.workers is not None or not (death.node_lost or death.no_room):
            self._respawn(slot)
            return
        self._pool.slots.remove(slot)
        if slot.first and self._pool.slots:  # the others wait for the one that prepares for all
            heir = self._pool.slots[0]
            heir.first = True
            heir.process.kill()
            self._replace(heir)


def _check_installed() -> None:
    """Find Ray without loading it.

    Raises:
        ConfigError: it is not there.
    """
    found = importlib.util.find_spec("ray")
    if found is None or found.origin is None:  # a folder of that name is no Ray
        raise ConfigError(
            "sweep/executor=ray needs Ray, which is not installed: python -m pip install "
            "'besom[ray]'."
        )


def _has_token(environment: Mapping[str, str]) -> bool:
    """Whether the user has a token for Ray, in one of the places where Ray looks for it."""
    if "RAY_AUTH_TOKEN" in environment or "RAY_AUTH_TOKEN_PATH" in environment:
        return True
    try:
        return (Path.home() / ".ray" / "auth_token").is_file()
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return False


def _temporary_folder() -> str:
    """Where a Ray of our own keeps its sockets: their paths may not be long."""
    folder = tempfile.mkdtemp(prefix="besom-ray-")
    if len(folder) > 40:
        os.rmdir(folder)  # noqa: PTH106
        folder = tempfile.mkdtemp(prefix="besom-ray-", dir="/tmp")
    return folder
