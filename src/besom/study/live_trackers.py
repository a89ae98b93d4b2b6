"""``sweep.trackers``: each trial goes to the trackers when it ends, and none can stop the sweep."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from besom.store.records import StudyRecord, TrialRecord
from besom.study.plan import SweepPlan
from besom.study.watcher import Watcher, Watchers
from besom.text.printable import command
from besom.trackers import SHOW_RUNNING, TrackedTrial, failure_text, is_tracked, open_tracker

#: How long a sweep that has ended waits for its trackers, in seconds.
GRACE_S = 60.0


@contextlib.contextmanager
def tracking(plan: SweepPlan, watcher: Watcher) -> Iterator[Watcher]:
    """Give the watcher to notify, so that the trackers hear of the sweep too."""
    if not plan.sweep.trackers:
        yield watcher
        return
    trackers = LiveTrackers(plan, watcher.remarked)
    try:
        yield Watchers(watcher, trackers)
    finally:
        trackers.close()


class EpochOf(NamedTuple):
    """An epoch of a running trial; ``epoch`` counts from 1."""

    trial: int
    epoch: int
    metrics: dict[str, float]


class LiveTrackers(Watcher):
    """Hands each trial that ends to the trackers.

    Args:
        plan: the sweep.
        remark: hears of a tracker that has failed, once.
    """

    def __init__(self, plan: SweepPlan, remark: Callable[[str], None]) -> None:
        self._plan, self._remark = plan, remark
        self._study: Callable[[], StudyRecord] | None = None
        self._threads: list[TrackerThread] = []
        self._ended: set[int] = set()

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:  # noqa: ARG002
        self._study, so_far = study, study()
        folder = self._plan.paths.trackers
        names = dict.fromkeys(self._plan.sweep.trackers)
        self._threads = [TrackerThread(name, so_far, folder) for name in names]
        self._ended = {trial.number for trial in so_far.trials if is_tracked(trial)}

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        # Of several runs, the trial has the mean. A replicate has the number of a trial that ended.
        if len(self._plan.runs) == 1 and trial not in self._ended:
            for thread in [t for t in self._threads if t.name in SHOW_RUNNING]:
                thread.put(EpochOf(trial, epoch, dict(metrics)))

    def finished(self, trial: TrialRecord) -> None:
        self._ended.add(trial.number)
        for thread in self._threads:
            thread.put(trial)

    def idle(self) -> None:
        for thread in [t for t in self._threads if t.failure is not None]:
            self._threads.remove(thread)
            self._remark(
                f"the tracker {thread.name} failed and gets no more trials: {thread.failure}. "
                + self._afterwards(thread.name)
            )

    def close(self) -> None:
        """Wait until all is written, but not for ever."""
        until = time.monotonic() + GRACE_S
        for thread in self._threads:
            assert self._study is not None
            thread.end(self._study())
        for thread in self._threads:
            thread.join(until - time.monotonic())
        self.idle()
        for name in [thread.name for thread in self._threads if thread.is_alive]:
            self._remark(f"the tracker {name} is too slow to wait for. {self._afterwards(name)}")

    def _afterwards(self, name: str) -> str:
        again = command("export", self._plan.name, options=f"--to {name}")
        return f"Later, `{again}` writes all of them"


class TrackerThread:
    """Writes to one tracker in a thread of its own: it may be slow, or wait for a server.

    Args:
        name: the tracker's.
        study: as it stands; the trials that the tracker lacks are written first.
        folder: where its files go.

    Attributes:
        failure: what went wrong; None as long as nothing has.
    """

    def __init__(self, name: str, study: StudyRecord, folder: Path) -> None:
        self.name = name
        self.failure: str | None = None
        self._study, self._folder = study, folder
        self._trials: SimpleQueue[EpochOf | TrialRecord | StudyRecord] = SimpleQueue()
        self._thread = Thread(target=self._run, name=f"besom-{name}", daemon=True)
        self._thread.start()

    def put(self, given: EpochOf | TrialRecord) -> None:
        """A trial has ended, or an epoch of one that runs."""
        self._trials.put(given)

    def end(self, study: StudyRecord) -> None:
        """No trial will follow."""
        self._trials.put(study)

    def join(self, seconds: float) -> None:
        """Wait until all is written, for so long at most."""
        self._thread.join(max(seconds, 0.0))

    @property
    def is_alive(self) -> bool:
        """Whether there is something left to write."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:  # whatever it is: the sweep goes on without this tracker
            self.failure = failure_text(error)

    def _write(self) -> None:
        tracker = open_tracker(self.name, self._study, self._folder)
        for trial in self._study.trials:
            if is_tracked(trial) and not tracker.has(trial.number):
                tracker.write(TrackedTrial.of(self._study, trial))
        while not isinstance(given := self._trials.get(), StudyRecord):
            if isinstance(given, EpochOf):
                tracker.epoch(*given)
            elif is_tracked(given):
                tracker.write(TrackedTrial.of(self._study, given))
        tracker.close(given)
