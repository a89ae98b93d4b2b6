"""A worker as an actor of Ray: the worker loop in a thread of its own, asked for one event a call.

Calls go only one way in Ray, so they are turned round: the coordinator's message is the argument,
and what the worker says next is what the call returns.
"""

from __future__ import annotations

import os
import platform
import queue
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from besom.errors import BesomError
from besom.executors.base import Failed
from besom.executors.channel import Channel, FromWorker, ToWorker
from besom.executors.executor_options import worker_environment
from besom.executors.failures import describe_exception
from besom.executors.ray.freight import Luggage, Parcel, Receiver
from besom.executors.resources import resident_memory
from besom.executors.tether import log_to
from besom.executors.worker_loop import WorkerLoop, describe_unprepared


@dataclass(frozen=True)
class ActorPlace:
    """Where an actor's process runs.

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


class RayWorker:
    """The actor. It imports nothing that a trial may import before its environment is set.

    Args:
        worker: its number.
        threads: that its libraries compute with. (Ray sets some of these variables itself.)
        has_gpu: whether it was given a GPU, or a share of one.
        log_dir: where its log goes if there is such a folder here; else Ray's own file of it.
    """

    def __init__(self, worker: int, threads: int, has_gpu: bool, log_dir: str | None) -> None:
        os.environ |= worker_environment(worker, threads)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        if has_gpu:
            os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        else:  # Ray hides no GPU from who asked for none
            os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        self._log, self._log_start = _redirect(log_dir, worker)
        self._worker = worker
        self._receiver = Receiver(f"The node {platform.node()}", _get)
        self._channel = _InMemoryChannel()
        self._loop = WorkerLoop(worker, self._channel, resident_memory)
        threading.Thread(target=self._serve, name="worker loop", daemon=True).start()

    def place(self) -> ActorPlace:
        """Say where it is."""
        import ray

        node_id = ray.get_runtime_context().get_node_id()
        return ActorPlace(node_id, os.getpid(), self._log, self._log_start)

    def tell(self, message: ToWorker | Luggage | Parcel) -> FromWorker | Parcel:
        """Hand a message to the worker loop, and wait for what it says next."""
        try:
            unpacked = self._receiver.unpack(message)
        except (BesomError, OSError) as error:
            return self._refusal(message, error)
        self._channel.inbox.put(unpacked)
        answer: FromWorker = self._channel.outbox.get()
        return self._receiver.pack(answer)

    def _refusal(self, message: ToWorker | Luggage | Parcel, error: Exception) -> FromWorker:
        """The answer to a message that this machine cannot take."""
        if isinstance(message, Parcel):
            return Failed(message.message.trial, self._worker, *describe_exception(error))
        return describe_unprepared(error)

    def _serve(self) -> None:
        try:
            self._loop.serve()
        except BaseException:  # nobody would hear of it, and the call would never return
            traceback.print_exc()
            os._exit(1)


def _get(reference: Any) -> bytes:
    import ray

    content: bytes = ray.get(reference)
    return content


class _InMemoryChannel(Channel):
    """The worker loop's end, within one process."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def send(self, message: Any) -> None:
        """Send a message."""
        self.outbox.put(message)

    def receive(self) -> Any:
        """Wait for the next message."""
        return self.inbox.get()


def _redirect(log_dir: str | None, worker: int) -> tuple[str, int]:
    """Send all that this process prints to one file; return its path and its present end."""
    if log_dir is not None and Path(log_dir).is_dir():
        try:
            log = os.open(
                Path(log_dir, f"worker-{worker}.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644
            )
        except OSError:
            pass
        else:
            os.dup2(log, 2)
            os.close(log)
    os.dup2(2, 1)
    sys.stdout, sys.stderr = log_to(1), log_to(2)
    path = str(Path("/proc/self/fd/2").readlink()) if sys.platform == "linux" else ""
    return path, os.lseek(2, 0, os.SEEK_END) if path.startswith("/") else 0
