"""The runs that a stored trial, or a confirmation's run of it, consists of: folds and repeats."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from besom.executors.base import Failed, Finished, Usage
from besom.runs import RunOf
from besom.store.records import Objective
from besom.study.pooling import RunOf as EndedRun
from besom.study.pooling import pooled


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
        self, run: RunOf, event: Finished | Failed, *, is_last: bool = False
    ) -> Finished | Failed | None:
        """Take note of how one ended.

        Args:
            run: which.
            event: how.
            is_last: whether it ends the others too, though it has a result.

        Returns:
            How they end as one; None if they have not, or had before.
        """
        if self.over:
            return None
        if isinstance(event, Failed):
            self.over = True
            return event
        self._ended.append((run, event))
        self.over = is_last or len(self._ended) == self._n
        return self._pooled(event) if self.over else None

    def _pooled(self, last: Finished) -> Finished:
        if self._n == 1:
            return last
        ended = [
            (EndedRun(run.repeat, run.fold, run.seed(self._seed), of.usage.seconds), of.result)
            for run, of in self._ended
        ]
        usages = [of.usage for _, of in self._ended]
        usage = Usage(
            sum(usage.seconds for usage in usages),
            sum(usage.cpu_seconds for usage in usages),
            max(usage.memory_bytes for usage in usages),
        )
        return replace(last, result=pooled(ended, self._objectives), usage=usage)
