"""Keeps what stands under ``results/<name>/`` up to date, all of it made from the study alone."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from besom.report.costs import write_costs
from besom.report.export import write_best
from besom.store.paths import StudyPaths
from besom.report.leaderboard import write_leaderboard
from besom.store.records import StudyRecord, TrialRecord
from besom.statistics import Claim, claim
from besom.study.watcher import Watcher

log = logging.getLogger("besom")

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
        with contextlib.suppress(OSError):  # it is said when the sweep ends and writes it again
            write_leaderboard(self._study(), self._paths)
        self._due = False
        took = self._clock() - now
        self._next = now + max(INTERVAL_S, SHARE * took)


def write_tables(study: StudyRecord, paths: StudyPaths, claimed: Claim) -> None:
    """Write the leaderboard, what each trial cost, and the best config: a few milliseconds."""
    write_leaderboard(study, paths, claimed)
    write_costs(study, paths)
    write_best(study, paths)


def write_outputs(
    study: StudyRecord, paths: StudyPaths, claimed: Claim | None = None
) -> list[Path]:
    """Write leaderboard, ledger, best config and plots.

    Args:
        study: the study.
        paths: where they land.
        claimed: what may be claimed of it, where that has been computed already.

    Returns:
        The plots; what cannot be drawn is logged.
    """
    write_tables(study, paths, claimed or claim(study))
    from besom.plots import not_drawn, write_plots  # matplotlib: not for who only wants a table

    problems: dict[str, str] = {}
    written = write_plots(study, paths.plots, problems)
    for line in not_drawn(problems):
        log.warning(line)
    return written
