"""A trial between ask and tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import Trial

from besom.seam import TrialConfig
from besom.store.records import Origin, Outcome


@dataclass
class RunningTrial:
    """A trial between Optuna's ask and tell.

    Attributes:
        trial: Optuna's trial, running.
        params: the sampled parameters, by dotted config path.
        config: the resolved config, seed included.
        origin: where the config comes from.
        continues: the trial whose weights it goes on from; None: from scratch.
        history: metric name to its value after each epoch so far.
        stopped: why early stopping ends it; None if it does not.
        reason: one line for the leaderboard, where it is stopped or failed.
        audited_at: the epoch at which it would have been pruned, had it not been picked to run on.
    """

    trial: Trial
    params: dict[str, Any]
    config: TrialConfig
    origin: Origin = Origin.SAMPLED
    continues: int | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    stopped: Outcome | None = None
    reason: str = ""
    audited_at: int | None = None

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    @property
    def n_epochs(self) -> int:
        """How many epochs it is to run; 0 where its config does not say."""
        return int(self.config["trainer"].get("epochs") or 0)

    def add_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take an epoch's metrics; epoch 1 begins the history anew."""
        for name, value in metrics.items():
            values = self.history.setdefault(name, [])
            del values[epoch - 1 :]
            values.append(float(value))

    def start_over(self) -> None:
        """Forget what it has done: it runs again from its beginning."""
        self.history.clear()
        self.stopped, self.reason = None, ""
