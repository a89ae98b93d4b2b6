"""A sampler that takes its time, for sweeps that name it in their config."""

from __future__ import annotations

import threading
import time
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial


class SlowSampler(RandomSampler):
    """Random, after ``seconds``.

    Attributes:
        threads: those that have asked, by name, of all instances since it was last emptied.
    """

    threads: list[str] = []  # noqa: RUF012 (read by tests)

    def __init__(self, seconds: float = 0.03, breaks_at: int = -1, seed: int | None = None) -> None:
        super().__init__(seed)
        self._seconds, self._breaks_at = seconds, breaks_at

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        if trial.number == self._breaks_at:
            raise ValueError("no more ideas")
        self.threads.append(threading.current_thread().name)
        time.sleep(self._seconds)
        return super().infer_relative_search_space(study, trial)

    def sample_relative(self, *what: Any) -> dict[str, Any]:
        return {}
