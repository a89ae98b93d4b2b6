"""``sweep.trackers``: each trial goes to the trackers when it ends, and none can stop the sweep."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event

from besom.executors.signals import StopSignals
from besom.store.records import StudyRecord, TrialRecord
from besom.study.plan import SweepPlan
from besom.study.watcher import Watcher, Watchers
from besom.text.counting import listed
from besom.text.printable import command
from besom.trackers import (
    SHOW_RUNNING,
    EpochOf,
    TrackedTrial,
    TrackerProcess,
    best_tracked,
    is_tracked,
    start_tracker,
    tracked_trials,
)

#: How long a sweep that has ended waits for its trackers, in seconds.
GRACE_S = 60.0

#: After how many of them it says so.
_SAY_AFTER_S = 5.0


@contextlib.contextmanager
def tracking(plan: SweepPlan, watcher: Watcher) -> Iterator[Watcher]:
    """Give the watcher to notify, so that the trackers hear of the sweep too."""
    if not plan.sweep.trackers:
        yield watcher
        return
    trackers = LiveTrackers(plan, watcher.remarked)
    try:
        yield Watchers(watcher, trackers)
    except KeyboardInterrupt:
        trackers.kill()
        raise
    except BaseException:
        trackers.close()
        raise
    trackers.close()


class LiveTrackers(Watcher):
    """Hands each trial that ends to the trackers.

    Args:
        plan: the sweep.
        remark: hears of a tracker that has failed, once.
    """

    def __init__(self, plan: SweepPlan, remark: Callable[[str], None]) -> None:
        self._plan, self._remark = plan, remark
        self._study: Callable[[], StudyRecord] | None = None
        self._opened: StudyRecord | None = None
        self._trackers: list[TrackerProcess] = []
        self._ended: set[int] = set()

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:  # noqa: ARG002
        self._study, self._opened = study, (so_far := study())
        trials, paths = tracked_trials(so_far), self._plan.paths
        self._ended = {trial.number for trial in trials}
        self._trackers = [
            start_tracker(name, so_far, paths.trackers, trials, paths.logs / f"tracker-{name}.log")
            for name in dict.fromkeys(self._plan.sweep.trackers)
        ]

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        # Of several runs, the trial has the mean. A replicate has the number of a trial that ended.
        if len(self._plan.runs) == 1 and trial not in self._ended:
            for tracker in [t for t in self._trackers if t.name in SHOW_RUNNING]:
                tracker.put(EpochOf(trial, epoch, dict(metrics)))

    def finished(self, trial: TrialRecord) -> None:
        self._ended.add(trial.number)
        if self._opened is not None and is_tracked(trial):
            tracked = TrackedTrial.of(self._opened, trial)
            for tracker in self._trackers:
                tracker.put(tracked)

    def idle(self) -> None:
        for tracker in [t for t in self._trackers if t.failure is not None]:
            self._trackers.remove(tracker)
            self._remark(
                f"the tracker {tracker.name} failed and gets no more trials: {tracker.failure}. "
                + self._afterwards(tracker)
            )

    def close(self) -> None:
        """Wait until all is written, but not for ever; a signal ends the wait."""
        if self._study is None or not self._trackers:
            return
        study = self._study()
        trials, best = tracked_trials(study), best_tracked(study)
        for tracker in self._trackers:
            tracker.end(trials, best)
        stopped = Event()
        try:
            with StopSignals(lambda _: stopped.set()):
                self._wait(stopped)
            late = [tracker for tracker in self._trackers if not tracker.wait(0.0)]
        finally:
            self.kill()
        for tracker in late:
            self._trackers.remove(tracker)
            self._remark(
                f"the tracker {tracker.name} has not written everything. "
                + self._afterwards(tracker)
            )
        self.idle()

    def _wait(self, stopped: Event) -> None:
        began, said = time.monotonic(), False
        while not stopped.is_set() and time.monotonic() < began + GRACE_S:
            left = [tracker for tracker in self._trackers if not tracker.wait(0.0)]
            if not left:
                return
            left[0].wait(0.05)
            if not said and time.monotonic() > began + _SAY_AFTER_S:
                said = True
                self._remark(
                    f"waiting for {listed([t.name for t in left])} to write what is left, at most "
                    f"{GRACE_S:.0f} s; Ctrl-C ends the wait"
                )

    def kill(self) -> None:
        """End them all now."""
        for tracker in self._trackers:
            tracker.kill()
        for tracker in self._trackers:
            tracker.wait(5.0)

    def _afterwards(self, tracker: TrackerProcess) -> str:
        again = command("export", self._plan.name, options=f"--to {tracker.name}")
        return f"Later, `{again}` writes all of it"
