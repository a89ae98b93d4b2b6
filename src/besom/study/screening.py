"""Screening: every trial gets one epoch, then the best few are trained to their end.

Published comparisons find that one epoch for everyone, then full training of the best K, matches
Hyperband-like schedulers at a fraction of the cost: Egele et al. 2023, "Is One Epoch All You Need
For Multi-Fidelity Hyperparameter Optimization?", arXiv 2307.15422; Egele et al. 2024, "The
Unreasonable Effectiveness Of Early Discarding After One Epoch In Neural Network Hyperparameter
Optimization", arXiv 2404.04111.

To Optuna it is a pruner. The best trials are continued as new trials, so that every trial has one
ending and the sampler learns from all of the screened ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from optuna.pruners import BasePruner

from besom.errors import ConfigError
from besom.store.records import Objective, Origin, Outcome, TrialRecord
from besom.store.stored_records import origin_of
from besom.text.values import given_text

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


class ScreeningPruner(BasePruner):
    """Stops every sampled trial after ``epochs`` epochs; ``keep`` of them are continued.

    Args:
        epochs: epochs that every trial runs.
        keep: how many of the best are trained to their end.

    Raises:
        ConfigError: either is less than 1.
    """

    def __init__(self, epochs: int = 1, keep: int = 10) -> None:
        for name, value in (("epochs", epochs), ("keep", keep)):
            if not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"sweep.pruner.{name} is {given_text(value)}, expected at least 1."
                )
        self.epochs, self.keep = epochs, keep

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:  # noqa: ARG002
        """Whether the trial has run its epochs; a baseline or continued trial goes on."""
        if origin_of(trial) in (Origin.BASELINE, Origin.CONTINUED):
            return False
        return trial.last_step is not None and trial.last_step >= self.epochs

    def kept(self, trials: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
        """The screened trials to train to their end, best first; of equal ones, the earlier."""
        screened = [
            t for t in trials if t.outcome is Outcome.PRUNED and t.history.get(objective.metric)
        ]
        screened.sort(key=lambda t: (-objective.sign * t.history[objective.metric][-1], t.number))
        return screened[: self.keep]

    def missing(
        self,
        trials: Sequence[TrialRecord],
        objective: Objective,
        continued: Collection[int | None] | None = None,
    ) -> list[TrialRecord]:
        """The kept trials that are not continued yet.

        Args:
            trials: those that have finished.
            objective: what screened trials are compared by.
            continued: the numbers of those that are continued; None: those of the finished trials.
        """
        if continued is None:
            continued = {t.continues for t in trials}
        return [t for t in self.kept(trials, objective) if t.number not in continued]


def seconds_to_finish(
    waiting: Sequence[TrialRecord], finished: Sequence[TrialRecord], n_workers: int
) -> float:
    """Wall-clock seconds to expect for training screened trials to their end.

    Each counts as if it started from scratch, plus one epoch for building its model.

    Args:
        waiting: the screened trials.
        finished: all finished trials; their epochs give the time per epoch.
        n_workers: how many run at once.
    """
    measured = [t for t in finished if t.epochs and t.seconds and t.continues is None]
    if not measured or not waiting:
        return 0.0
    seconds = sum(t.seconds for t in measured) / sum(t.epochs for t in measured)
    longest = max(int(t.config["trainer"].get("epochs") or 0) for t in waiting)
    return math.ceil(len(waiting) / n_workers) * (longest + 1) * seconds
