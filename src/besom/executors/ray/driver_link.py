"""The coordinator's end of the line to its Ray driver, and of each worker behind it."""

from __future__ import annotations

import math
import selectors
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from besom.executors.channel import FromWorker, Quit, Setup, ToWorker
from besom.executors.failures import Death
from besom.executors.pooled_executor import Signs
from besom.executors.process import ChildProcess, Launch, last_lines, tail_of
from besom.executors.ray.driver_messages import (
    Capacity,
    Connected,
    Gone,
    Kill,
    Open,
    Placed,
    Said,
    Say,
    Unconnected,
)
from besom.executors.slot import WorkerHandle

#: Where the system does not tell the end of a process, the end of its connection is as good.
_QUIT_AFTER_S = 0.1


@dataclass(frozen=True)
class DriverGone:
    """The driver has ended, and with it all of its workers."""

    message: str


class RemoteWorker(WorkerHandle):
    """A worker's process somewhere on the cluster, reached through the driver.

    Args:
        key: its own, see ``besom.executors.ray.driver_messages``.
        worker: its number.
        say: sends a message to the driver; False if that is gone.
    """

    def __init__(self, key: int, worker: int, say: Callable[[Say | Kill], bool]) -> None:
        self.key, self._worker, self._say = key, worker, say
        self.node, self._pid, self._log, self._log_start = "", 0, "", 0
        self._inbox: deque[FromWorker] = deque()
        self.gone: Gone | None = None
        self._over = False

    @property
    def over(self) -> bool:
        """Whether it has been buried."""
        return self._over

    @property
    def placed(self) -> bool:
        """Whether it has found room."""
        return self._pid != 0

    def arrived(self, placed: Placed) -> None:
        """Note where it runs."""
        self.node, self._pid = placed.node, placed.pid
        self._log, self._log_start = placed.log, placed.log_start

    def said(self, message: FromWorker) -> None:
        """Keep a message until it is received."""
        self._inbox.append(message)

    def send(self, message: ToWorker) -> bool:
        """Send a message; False if the worker is gone."""
        if self.gone is not None:
            return False
        return self._say(Kill(self.key) if isinstance(message, Quit) else Say(self.key, message))

    def receive(self) -> FromWorker:
        """Take its next message."""
        return self._inbox.popleft()

    def waits(self) -> bool:
        """Whether a message of it waits to be received."""
        return bool(self._inbox)

    def kill(self) -> None:
        """Kill it and what it has spawned; does not wait."""
        if self.gone is None:
            self._say(Kill(self.key))

    def last_words(self) -> list[Any]:
        """Take what it has said."""
        words = list(self._inbox)
        self._inbox.clear()
        return words

    def bury(self, of_trial: bool) -> Death:  # noqa: ARG002
        """Say how it ended."""
        self._over = True
        assert self.gone is not None
        return self.gone.death

    def log_tail(self, of_trial: bool = False) -> str:
        """The end of what it printed, where its log lies in a folder that is here too."""
        tail = self.gone.tail if self.gone is not None else tail_of(self._log, self._log_start)
        return last_lines(tail, of_trial)

    def called(self) -> str:
        """What messages call it."""
        if not self._pid:
            return f"Worker {self._worker}"
        where = f" on {self.node}" if self.node else ""
        return f"Worker {self._worker} (process {self._pid}{where})"

    def log_name(self) -> str:
        """Where its log is."""
        return f"{self.node}: {self._log}" if self.node else self._log


class DriverLink(Signs[RemoteWorker]):
    """Starts the driver, and sorts what it says.

    Args:
        launch: how to spawn it; its first message is a ``Connect``.
        hear: told what concerns no worker.

    Raises:
        BesomError: it cannot be spawned.
    """

    def __init__(
        self,
        launch: Launch,
        hear: Callable[[Connected | Unconnected | Capacity | DriverGone], None],
    ) -> None:
        self._driver, self._hear, self._log = ChildProcess(launch), hear, launch.log
        self._workers: dict[int, RemoteWorker] = {}
        self._muted: set[int] = set()
        self._next_key = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._driver.connection, selectors.EVENT_READ)

    def open(self, worker: int, setup: Setup) -> RemoteWorker:
        """Ask for a worker, and hand it its setup as soon as it runs."""
        remote = RemoteWorker(self._next_key, worker, self._driver.send)
        self._next_key += 1
        self._workers[remote.key] = remote
        self._driver.send(Open(remote.key, worker))
        remote.send(setup)
        return remote

    def connect(self, worker: RemoteWorker) -> None:
        """Nothing to do: it is known since it was opened."""

    def mute(self, worker: RemoteWorker) -> None:
        """Watch only for its end."""
        self._muted.add(worker.key)

    def disconnect(self, worker: RemoteWorker) -> None:
        """Forget a worker."""
        self._workers.pop(worker.key, None)
        self._muted.discard(worker.key)

    def wait(self, wait_s: float) -> list[tuple[RemoteWorker, bool]]:
        """Wait for what the driver says; see ``Signs.wait``."""
        signs: list[tuple[RemoteWorker, bool]] = []
        if not self._selector.select(None if wait_s == math.inf else wait_s):
            return signs
        try:
            while self._driver.connection.poll():
                signs += self._sort(self._driver.receive())
        except (EOFError, OSError):
            self._lost()
        return signs

    def _sort(self, message: Any) -> list[tuple[RemoteWorker, bool]]:
        if isinstance(message, Connected | Unconnected | Capacity):
            self._hear(message)
            return []
        worker = self._workers.get(message.key)
        if worker is None:
            return []
        match message:
            case Placed():
                worker.arrived(message)
            case Said() if message.key not in self._muted:
                worker.said(message.message)
                return [(worker, False)]
            case Gone():
                worker.gone = message
                return [(worker, True)]
        return []

    def _lost(self) -> None:
        """The driver is gone."""
        self._selector.unregister(self._driver.connection)
        self._driver.has_ended(within_s=_QUIT_AFTER_S)
        tail = self._driver.log_tail()
        self._driver.end()
        where = "" if self._log is None else f" ({self._log})"
        self._hear(
            DriverGone(
                "The connection to Ray was lost: its driver process ended, and with it the workers."
                " No finished trial is lost: give the same command again to go on, once the "
                "cluster is there." + (f" The end of its log{where}:\n{tail}" if tail else "")
            )
        )

    def end(self, within_s: float) -> None:
        """Ask the driver to leave the cluster, and kill it if it takes longer than that."""
        if within_s > 0 and self._driver.send(Quit()):
            self._driver.has_ended(within_s)
        self._driver.end()

    def close(self) -> None:
        """Stop watching."""
        self._selector.close()
        self._workers.clear()
