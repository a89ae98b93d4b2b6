"""A worker as an actor of Ray: it holds a worker process, and is asked for one event a call.

Calls go only one way in Ray, so they are turned round: the coordinator's message is the argument,
and what the worker says next is what the call returns.

Trials run in a process of the actor's own, as they do on ``local``. So a signal, an exit code or a
lack of memory that ends it is known (Ray only knows that a process is no longer there), what it
started ends with it, and it has the main thread, the environment and the output to itself.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, cast

from besom.executors.base import Failed
from besom.executors.channel import FromWorker, ToWorker
from besom.executors.executor_options import worker_environment
from besom.executors.failures import Death, describe_exception
from besom.executors.local.worker_process import WorkerProcess
from besom.executors.process import Launch
from besom.executors.ray.freight import Luggage, Parcel, Receiver
from besom.executors.resources import OutOfMemoryKills
from besom.executors.worker_loop import describe_unprepared


@dataclass(frozen=True)
class ActorPlace:
    """Where a worker's process runs.

    Attributes:
        node_id: Ray's id of the node.
        pid: the process there.
        log: the path there of what it prints.
        log_start: where in that file its own output begins.
    """

    node_id: str
    pid: int
    log: str
    log_start: int


@dataclass(frozen=True)
class Ended:
    """The worker's process has ended.

    Attributes:
        death: how.
        tail: the end of what it printed.
    """

    death: Death
    tail: str


class RayWorker:
    """The actor.

    Args:
        worker: its number.
        threads: that its libraries compute with. (Ray sets some of these variables itself.)
        has_gpu: whether it was given a GPU, or a share of one.
        log_dir: where its log goes if there is such a folder here; else it lies beside Ray's own.
    """

    def __init__(self, worker: int, threads: int, has_gpu: bool, log_dir: str | None) -> None:
        environment = {**os.environ, **worker_environment(worker, threads)}
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        if has_gpu:
            environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        else:  # Ray hides no GPU from who asked for none
            environment["CUDA_VISIBLE_DEVICES"] = "-1"
        self._worker = worker
        self._receiver = Receiver(f"The node {platform.node()}", _get)
        self._launch = Launch(
            module="besom.executors.local.worker",
            called=f"Worker {worker}",
            first=None,
            environment=environment,
            folder=str(Path.cwd()),
            log=_log(log_dir, worker),
            arguments=("--guarded", str(worker)),  # Ray kills an actor's children before it
        )

    def place(self) -> ActorPlace:
        """Start the worker's process, and say where it is."""
        import ray

        self._process = WorkerProcess(self._launch, OutOfMemoryKills())
        node_id = ray.get_runtime_context().get_node_id()
        log = self._launch.log
        return ActorPlace(node_id, self._process.pid, str(log or ""), self._process.log_start)

    def tell(self, message: ToWorker | Luggage | Parcel) -> FromWorker | Parcel | Ended:
        """Hand a message to the worker, and wait for what it says next."""
        try:
            unpacked = self._receiver.unpack(message)
        except Exception as error:  # this machine cannot take it
            if isinstance(message, Parcel):
                return Failed(message.message.trial, self._worker, *describe_exception(error))
            return describe_unprepared(error)
        self._process.send(unpacked)  # where that fails, its end is what comes next
        said = self._next()
        return said if isinstance(said, Ended) else self._receiver.pack(said)

    def look(self) -> Ended | None:
        """Say whether the worker has ended. It is asked now and then while it has nothing to do:
        nobody waits for it then, so nobody would see that it dies.
        """
        if not self._process.has_ended():
            return None
        death = replace(self._process.bury(of_trial=False), not_begun=True)
        return Ended(death, self._process.whole_tail())

    def _next(self) -> FromWorker | Ended:
        process = self._process
        sentinels = [] if process.sentinel is None else [process.sentinel]
        wait([process.connection, *sentinels])
        with contextlib.suppress(EOFError, OSError):
            if process.connection.poll():
                said: FromWorker = process.receive()
                return said
        if words := process.last_words():  # its end is what the next call tells
            return cast("FromWorker", words[0])
        return Ended(process.bury(of_trial=True), process.whole_tail())


def _get(reference: Any) -> bytes:
    import ray

    content: bytes = ray.get(reference)
    return content


def _log(log_dir: str | None, worker: int) -> Path | None:
    if log_dir is not None and Path(log_dir).is_dir() and os.access(log_dir, os.W_OK):
        return Path(log_dir, f"worker-{worker}.log")
    if sys.platform != "linux":
        return None
    own = Path("/proc/self/fd/2").readlink()  # Ray's file of what this actor prints
    return own.parent / f"besom-worker-{worker}-{os.getpid()}.log" if own.is_file() else None
