"""Runs that end as one: folds and repeats of a trial, or of one that is run again; on disk too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

from besom.executors.base import Failed, Finished, Usage
from besom.runs import RunOf
from besom.seam import TrialResult
from besom.store.records import Objective
from besom.store.run_files import RunFiles
from besom.study.pooling import EndedRun, pooled


class Parts:
    """Runs that end as one: as the first that fails, else with the result of all of them pooled.

    Args:
        runs: in the order in which they run.
        seed: the one of the config; each repeat has its own.
        objectives: what their results are pooled for.

    Attributes:
        waiting: those that have not been started.
        over: whether they have ended as one, so that what still runs is of no use.
    """

    def __init__(self, runs: Iterable[RunOf], seed: int, objectives: Sequence[Objective]) -> None:
        self.waiting = deque(runs)
        self.over = False
        self._n, self._seed, self._objectives = len(self.waiting), seed, objectives
        self._ended: list[tuple[RunOf, Finished]] = []

    def end(
        self, run: RunOf, event: Finished | Failed, *, diverged: bool = False
    ) -> Finished | Failed | None:
        """Take note of how one ended.

        Args:
            run: which.
            event: how.
            diverged: whether what it measured is not finite, so that it fails.

        Returns:
            How they end as one; None if they have not, or had before.
        """
        if self.over:
            return None
        if isinstance(event, Failed) or diverged:
            self.over = True
            if isinstance(event, Failed) and not run.is_only:
                return replace(event, reason=f"{run}: {event.reason}")
            return event
        self._ended.append((run, event))
        self.over = len(self._ended) == self._n
        if not self.over:
            return None
        if self._n == 1:
            return event
        usage = Usage.of_all(of.usage for _, of in self._ended)
        return replace(event, result=self.so_far(), usage=usage)

    def so_far(self, n: int | None = None) -> TrialResult:
        """The results of the first ``n`` that have ended pooled; None: of all of them."""
        ended = [
            (EndedRun(run.repeat, run.fold, run.seed(self._seed), of.usage.seconds), of.result)
            for run, of in self._ended[:n]
        ]
        return pooled(ended, self._objectives) if ended else TrialResult()

    @property
    def n_ended(self) -> int:
        """How many have ended with a result."""
        return len(self._ended)


def write_down(files: RunFiles, trial: int, run: int, key: str, event: Finished) -> None:
    """Write down how a run ended, so that a resume need not run it; see ``RunFiles.keep``.

    Raises:
        OSError: the file cannot be written.
    """
    files.keep(trial, run, key, event.result, {**asdict(event.usage), "worker": event.worker})


def read_back(files: RunFiles, trial: int, run: int, key: str) -> Finished | None:
    """How a run ended before this process began; None where it has to run."""
    if (kept := files.read(trial, run, key)) is None:
        return None
    result, cost = kept
    return Finished(trial, int(cost.pop("worker")), result, Usage(**cost))
