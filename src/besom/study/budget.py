"""When a sweep ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from besom.config.schema import SweepNode
from besom.statistics import N_MORE, prospect_of
from besom.store.records import Objective, Outcome, TrialRecord
from besom.text.numbers import difference


class Budget:
    """Counts finished trials against the limits of the node ``sweep``.

    Args:
        sweep: its n_trials, timeout_s, target, patience, stop_when_noise and max_failures are the
            limits.
        objective: the first objective; target, patience and noise are measured on it.
        finished: the trials that finished in earlier runs of the same study.
        clock: seconds, monotonic.
        reserved_s: so many of ``timeout_s`` are not the search's.
    """

    def __init__(
        self,
        sweep: SweepNode,
        objective: Objective,
        finished: Iterable[TrialRecord] = (),
        clock: Callable[[], float] = time.monotonic,
        reserved_s: float = 0.0,
    ) -> None:
        self._sweep, self._objective, self._clock = sweep, objective, clock
        self._reserved_s = reserved_s
        self._began = clock()
        self.n_finished = 0
        self.n_extra = 0  # trials on top of n_trials: screened ones that are continued
        self.n_failed_first = 0
        self._any_succeeded = False
        self._best: float | None = None
        self._since_gain = 0
        self._ended: list[TrialRecord] = []  # for stop_when_noise
        self._only_noise: str | None = None
        self._is_judged = True
        for trial in finished:
            self.count(trial)
        self.n_failed_first = 0  # after a resume, a config that was repaired has its chance

    def count(self, trial: TrialRecord) -> None:
        """Count a finished trial; those of a warm start do not count."""
        if trial.outcome is Outcome.WARM_START:
            return
        self.n_finished += 1
        if self._sweep.stop_when_noise:
            self._ended.append(trial)
            self._is_judged = False
        if trial.outcome.failed:
            self.n_failed_first += 1
            return
        # (A duplicate only repeats how its original ended.)
        self._any_succeeded |= trial.outcome is not Outcome.DUPLICATE
        if trial.outcome is not Outcome.COMPLETE or trial.value is None:
            return
        score = self._objective.sign * trial.value
        if self._best is None or score > self._best:
            self._best, self._since_gain = score, 0
        else:
            self._since_gain += 1

    @property
    def remaining_trials(self) -> int:
        """How many more trials may finish."""
        return max(0, self._sweep.n_trials + self.n_extra - self.n_finished)

    @property
    def remaining_s(self) -> float:
        """Seconds of the clock that are left."""
        limit = self._sweep.timeout_s
        if limit is None:
            return math.inf
        return float(limit) - self._reserved_s - (self._clock() - self._began)

    @property
    def broken(self) -> bool:
        """Whether every trial so far failed, often enough that the config must be wrong."""
        return not self._any_succeeded and self.n_failed_first >= self._sweep.max_failures

    def spent(self) -> str | None:
        """Why the sweep should end before n_trials, or None."""
        sweep = self._sweep
        if self.remaining_s <= 0:
            kept = (
                f", {self._reserved_s:g} s of it kept for replicates," if self._reserved_s else ""
            )
            return f"the time limit of {sweep.timeout_s:g} s{kept} is reached"
        if self._best is None:
            return None
        target = sweep.target
        if target is not None and self._best >= self._objective.sign * target:
            return f"{self._objective.metric} has reached the target of {target:g}"
        if sweep.patience is not None and self._since_gain >= sweep.patience:
            return f"the last {self._since_gain} completed trials brought no improvement"
        if not self._is_judged:  # once after each trial: it unpacks predictions
            self._only_noise, self._is_judged = self._judge_noise(), True
        return self._only_noise

    def _judge_noise(self) -> str | None:
        """Why more trials would only add noise, or None."""
        found = prospect_of(self._ended, self._objective)
        if found is None or found.above_noise is not False:
            return None
        gain, noise = (
            difference(value, self._objective.is_share)
            for value in (found.expected_gain, found.noise)
        )
        return (
            f"{N_MORE} more trials are expected to gain {gain}, less than one standard error "
            f"({noise})"
        )
