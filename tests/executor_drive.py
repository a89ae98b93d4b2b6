"""A small coordinator that drives an executor under test."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from besom.executors.base import Epoch, Event, Executor, Failed, Finished, Ready

E = TypeVar("E", bound=Event)


@dataclass
class Drive:
    """An executor under test with all it has said."""

    executor: Executor
    heard: list[Event] = field(default_factory=list)
    stop_at: Callable[[Epoch], bool] = lambda epoch: False
    patience_s: float = 90.0

    def listen(self, enough: Callable[[], bool], answer: bool = True) -> None:
        """Take events until it is enough; a test that waits too long has failed."""
        until = time.monotonic() + self.patience_s
        while not enough():
            assert time.monotonic() < until, f"waited too long; heard only {self.heard}"
            for event in self.executor.events(timeout_s=0.5):
                self.heard.append(event)
                if isinstance(event, Epoch) and answer:
                    self.executor.answer(event.trial, self.stop_at(event))

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.heard if isinstance(event, kind)]

    def warm_up(self) -> None:
        """Wait until every worker takes trials."""
        self.listen(lambda: self.executor.idle == self.executor.n_workers)

    def run(self, trials: Mapping[int, dict[str, Any]], timeout_s: float | None = None) -> None:
        """Run the trials, each as soon as a worker is free."""
        waiting = list(trials.items())

        def all_over() -> bool:
            while waiting and self.executor.idle:
                self.executor.submit(*waiting.pop(0), timeout_s)
            return {e.trial for e in self.of(Finished) + self.of(Failed)} >= set(trials)

        self.listen(all_over)

    def run_one(self, config: dict[str, Any] | None = None, **options: Any) -> Finished | Failed:
        """Run one trial; return how it ended."""
        number = len(self.of(Finished)) + len(self.of(Failed))
        self.run({number: config or {}}, **options)
        return next(e for e in self.heard if isinstance(e, Finished | Failed) and e.trial == number)

    def pids(self) -> list[int]:
        """The process of each worker, latest last."""
        return [ready.facts["pid"] for ready in self.of(Ready)]
