"""Who is notified of what happens in a sweep: a live view, the leaderboard's writer, a test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from besom.report.leaderboard import write_leaderboard
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord


class Watcher:
    """Is notified of what happens in a sweep. Override the methods you need."""

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        """The study is open; ``study()`` is its current record, earlier runs included."""

    def started(self, trial: int, worker: int) -> None:
        """A worker began a trial."""

    def placed(self, worker: int, node: str) -> None:
        """Which machine a worker is on, where they are on several."""

    def run_started(self, trial: int, worker: int, run: int, n_runs: int) -> None:
        """After ``started``: which run of the trial that is, from 1, where it has several."""

    def run_ended(self, trial: int, worker: int) -> None:
        """A worker ended a run of a trial; where it was the last, ``finished`` follows."""

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a trial ended."""

    def finished(self, trial: TrialRecord) -> None:
        """A trial ended, with any outcome, and is stored."""

    def retried(self, trial: int, reason: str) -> None:
        """A trial lost its worker and will be run again."""

    def kept(self, trial: int) -> None:
        """A trial was stopped because the sweep stops; a resume will run it again."""

    def extended(self, n_trials: int) -> None:
        """More trials will run than announced: after screening, the best are continued."""

    def stopping(self, reason: str) -> None:
        """No new trials; those running stop at the end of their epoch."""

    def remarked(self, text: str) -> None:
        """Something to tell the user in one line, such as what a warm start has taken."""

    def idle(self) -> None:
        """Called at least once a second, whatever happens."""


class Watchers(Watcher):
    """Several watchers as one."""

    def __init__(self, *watchers: Watcher) -> None:
        for name in vars(Watcher):
            if not name.startswith("_"):
                setattr(self, name, _calling_all([getattr(watcher, name) for watcher in watchers]))


def _calling_all(methods: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def call(*what: Any) -> None:
        for method in methods:
            method(*what)

    return call


#: The leaderboard is rewritten at most this often, and never takes more than 1/SHARE of the time:
#: its cost grows with the study.
INTERVAL_S = 2.0
SHARE = 400


class LeaderboardWriter(Watcher):
    """Rewrites the leaderboard as trials finish."""

    def __init__(self, paths: StudyPaths, clock: Callable[[], float] = time.monotonic) -> None:
        self._paths, self._clock = paths, clock
        self._study: Callable[[], StudyRecord] | None = None
        self._due = False
        self._next = 0.0

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:  # noqa: ARG002
        self._study = study

    def finished(self, trial: TrialRecord) -> None:  # noqa: ARG002
        self._due = True

    def idle(self) -> None:
        now = self._clock()
        if not self._due or now < self._next or self._study is None:
            return
        with contextlib.suppress(OSError):  # reported when the sweep ends and writes it again
            write_leaderboard(self._study(), self._paths)
        self._due = False
        took = self._clock() - now
        self._next = now + max(INTERVAL_S, SHARE * took)
