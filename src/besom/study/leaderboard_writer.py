"""Rewrites the leaderboard of a running sweep as its trials finish."""

# ruff: noqa: D102  (the methods are documented in the base class)

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from besom.report.leaderboard import write_leaderboard
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.study.watcher import Watcher

#: The leaderboard is rewritten at most this often, and never takes more than 1/SHARE of the time:
#: its cost grows with the study.
INTERVAL_S = 2.0
SHARE = 100


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
