"""A trial between ask and tell, and the trials whose config is given rather than sampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from optuna.trial import Trial

from besom.seam import TrialConfig
from besom.store.records import Origin, Outcome


@dataclass
class RunningTrial:
    """A trial that was asked for and not yet told.

    Attributes:
        trial: Optuna's trial, running.
        params: the sampled parameters, by dotted config path.
        config: the resolved config, seed included.
        origin: where the config comes from.
        continues: the trial whose weights it goes on from; None: from scratch.
        history: metric name to its value after each epoch so far.
        deaths: how often a worker died under it.
        stopped: why it was told to stop; None if it was not.
        reason: one line for the leaderboard, where it is stopped or failed.
        interrupted: told to stop because the sweep stops; it stays running in the storage.
        told: it was told to stop by that; False where it ended before it could be.
        audited_at: the epoch at which it would have been pruned, had it not been picked to run on.
    """

    trial: Trial
    params: dict[str, Any]
    config: TrialConfig
    origin: Origin = Origin.SAMPLED
    continues: int | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    deaths: int = 0
    stopped: Outcome | None = None
    reason: str = ""
    interrupted: bool = False
    told: bool = False
    audited_at: int | None = None

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    @property
    def n_epochs(self) -> int:
        """How many epochs it is to run; 0 where its config does not say."""
        return int(self.config["trainer"].get("epochs") or 0)

    def hear(self, epoch: int, metrics: dict[str, float]) -> None:
        """Take an epoch's metrics; epoch 1 begins the history anew."""
        for name, value in metrics.items():
            values = self.history.setdefault(name, [])
            del values[epoch - 1 :]
            values.append(value)
