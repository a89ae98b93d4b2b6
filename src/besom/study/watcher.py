"""How a sweep notifies its observers: the live view, the leaderboard's writer, a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from besom.store.records import StudyRecord, TrialRecord


class Watcher:
    """Is notified of what happens in a sweep. Override the methods you need."""

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        """The study is open; ``study()`` is its current record, earlier runs included."""

    def started(self, trial: int, worker: int) -> None:
        """A worker began a trial."""

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
        self._all = watchers

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        for watcher in self._all:
            watcher.began(study, n_trials, n_workers)

    def started(self, trial: int, worker: int) -> None:
        for watcher in self._all:
            watcher.started(trial, worker)

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        for watcher in self._all:
            watcher.epoch(trial, worker, epoch, metrics)

    def finished(self, trial: TrialRecord) -> None:
        for watcher in self._all:
            watcher.finished(trial)

    def retried(self, trial: int, reason: str) -> None:
        for watcher in self._all:
            watcher.retried(trial, reason)

    def kept(self, trial: int) -> None:
        for watcher in self._all:
            watcher.kept(trial)

    def extended(self, n_trials: int) -> None:
        for watcher in self._all:
            watcher.extended(n_trials)

    def stopping(self, reason: str) -> None:
        for watcher in self._all:
            watcher.stopping(reason)

    def remarked(self, text: str) -> None:
        for watcher in self._all:
            watcher.remarked(text)

    def idle(self) -> None:
        for watcher in self._all:
            watcher.idle()
