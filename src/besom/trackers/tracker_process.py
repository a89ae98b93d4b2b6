"""A tracker in a process of its own, as the coordinator holds it.

A tracker may be slow, hang, print, or keep the process from ending in which it was loaded; loading
one takes seconds of CPU. None of that may touch a sweep.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import psutil

from besom.errors import BesomError
from besom.executors.failures import describe_death
from besom.executors.process import ChildProcess, Launch
from besom.trackers.tracker import TrackedTrial
from besom.trackers.tracker_messages import (
    CloseTracker,
    EpochOf,
    OpenTracker,
    TrackerBroken,
    TrackerWritten,
)

ToTracker = OpenTracker | EpochOf | TrackedTrial | CloseTracker


class TrackerProcess:
    """Writes to one tracker; nothing here waits but ``wait``.

    Args:
        opening: which tracker, and what it begins with.
        log: where its output is appended; None: nowhere.

    Attributes:
        failure: what went wrong, in one line; None as long as nothing has.
        place: where everything is, for people, once all is written; else None.
    """

    def __init__(self, opening: OpenTracker, log: Path | None) -> None:
        self.name = opening.name
        self.failure: str | None = None
        self.place: str | None = None
        self._log = log
        self._process: ChildProcess | None = None
        self._killed = False
        self._given: SimpleQueue[ToTracker] = SimpleQueue()
        self._given.put(opening)
        self._thread = Thread(target=self._run, name=f"besom-{self.name}", daemon=True)
        self._thread.start()

    def put(self, given: EpochOf | TrackedTrial) -> None:
        """A trial has ended, or an epoch of one that runs."""
        self._given.put(given)

    def end(self, trials: Sequence[TrackedTrial], best: TrackedTrial | None) -> None:
        """No trial will follow; see ``Tracker.close``."""
        self._given.put(CloseTracker(trials, best))

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it is over: all is written, or it failed; waits for that so long at most."""
        self._thread.join(None if seconds is None else max(seconds, 0.0))
        return not self._thread.is_alive()

    def kill(self) -> None:
        """End it now, whatever it is doing."""
        self._killed = True
        if self._process is not None:
            with contextlib.suppress(psutil.Error):  # W&B's own process is in another group
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    child.kill()
            self._process.kill()
        self._given.put(CloseTracker((), None))  # it may be waiting for the next trial

    def _run(self) -> None:
        launch = Launch(
            "besom.trackers.tracker_main",
            f"The tracker {self.name}",
            None,
            os.environ,
            str(Path.cwd()),
            self._log,
            "The log of a tracker",
        )
        try:
            self._process = process = ChildProcess(launch)
        except BesomError as error:
            self.failure = str(error).rstrip(".")
            return
        said: TrackerWritten | TrackerBroken | None = None
        try:
            while not self._killed and process.send(given := self._given.get()):
                if isinstance(given, CloseTracker):
                    break
            if not self._killed:
                said = process.receive()
        except (EOFError, OSError):
            process.has_ended(within_s=1.0)
        tail = process.whole_tail()
        status = process.end()
        if isinstance(said, TrackerWritten):
            self.place = said.place
        else:
            death = describe_death(status, tail, oom_killed=False)
            gone = f"its process is gone ({death.reason})"
            self.failure = said.failure if isinstance(said, TrackerBroken) else gone
