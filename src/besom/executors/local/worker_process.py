"""A worker's process on this machine, and how it ended."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from besom.executors.channel import Run
from besom.executors.failures import Death, describe_death
from besom.executors.process import ChildProcess, Launch
from besom.executors.resources import OutOfMemoryKills
from besom.executors.slot import WorkerHandle

#: How long a worker whose connection broke may take to end.
_DEATH_TIMEOUT_S = 1.0


class WorkerProcess(ChildProcess, WorkerHandle):
    """A running worker.

    Args:
        launch: how to spawn it.
        oom_kills: which deaths on this machine are for lack of memory.
    """

    node = ""

    def __init__(self, launch: Launch, oom_kills: OutOfMemoryKills) -> None:
        super().__init__(launch)
        self._oom_kills = oom_kills
        self._lost = False
        self._last_sent: Any = None
        self._left_unread = False

    def send(self, message: Any) -> bool:
        """Send a message; False if the process is gone."""
        self._last_sent, sent = message, super().send(message)
        self._left_unread = not sent
        return sent

    def receive(self) -> Any:
        """Wait for its next message.

        Raises:
            EOFError, OSError: the process is gone.
        """
        try:
            return super().receive()
        except ConnectionResetError:  # Linux tells so of an end that had not read all it was sent
            self._left_unread = True
            raise

    def waits(self) -> bool:
        """Whether a message of it waits to be received."""
        return self.connection.poll()

    def last_words(self) -> list[Any]:
        """Make sure that it ends, and take what it has said until then."""
        self._lost = not self.has_ended(within_s=_DEATH_TIMEOUT_S)
        self.kill()
        words = []
        with contextlib.suppress(EOFError, OSError):
            while self.connection.poll():
                words.append(self.receive())
        return words

    def bury(self, of_trial: bool) -> Death:
        """Reap it, and say how it ended."""
        status = self.end()
        oom_killed = self._oom_kills.explain(status)
        if self._lost:
            return Death(
                "lost its connection to the coordinator (did the trial close file descriptors "
                "that are not its own?)"
            )
        death = describe_death(status, self.log_tail(of_trial), oom_killed)
        return replace(death, not_begun=self._left_unread and isinstance(self._last_sent, Run))

    def called(self) -> str:
        """What messages call it."""
        return f"{self._called} (process {self.pid})"

    def log_name(self) -> str:
        """Where its log is."""
        return str(self._log)
