"""A trial between ask and tell, and whether it stops after an epoch or after some of its runs."""

from __future__ import annotations

import copy
import math
import random
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import Trial

from besom.runs import RunOf
from besom.seam import TrialConfig
from besom.store.optuna_private import as_stored, storage_of, store_intermediate_value
from besom.store.records import Origin, Outcome
from besom.store.storage import OwnTrialsStudy
from besom.study.objective import last_value
from besom.study.plan import SweepPlan


@dataclass
class RunningTrial:
    """A trial between Optuna's ask and tell; or one of its runs, where it has several.

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
        run: which of the trial's runs this is.
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
    run: RunOf = field(default_factory=RunOf)

    def of_run(self, run: RunOf) -> RunningTrial:
        """One of its runs, at its beginning."""
        return replace(self, run=run, history={}, stopped=None, reason="")

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


class EarlyStopping:
    """Decides after each epoch of a trial whether it stops.

    Of a trial of several runs, the pruner sees the epochs of the first run, then the mean of the
    first two runs, the first three and so on, as if each were one epoch more.

    Args:
        plan: the sweep.
        study: with its pruner; asked only where there is one objective.
    """

    def __init__(self, plan: SweepPlan, study: optuna.Study) -> None:
        self._plan, self._pruner = plan, study.pruner
        # Knowledge from another study has no epochs to be compared with.
        self._study = (
            OwnTrialsStudy(plan.name, storage_of(study)) if plan.sweep.warm_start else study
        )
        self._prunes = len(plan.objectives) == 1 and not isinstance(
            study.pruner, optuna.pruners.NopPruner
        )

    def stops(self, running: RunningTrial, epoch: int) -> bool:
        """Whether the trial stops after this epoch; notes in it why."""
        objective = self._plan.objectives[0]
        value = last_value(objective, running.history)
        if value is None:
            return False
        if running.stopped is Outcome.DIVERGED:
            return True  # decided while the database was away and the trial had its answer
        if not math.isfinite(value):
            running.stopped = Outcome.DIVERGED
            running.reason = f"{objective.metric} is {value} at epoch {epoch}"
            return True
        by_epoch = self._prunes and running.run.index == 0
        if by_epoch and self._pruner_stops(running, epoch, value):
            running.stopped = Outcome.PRUNED
            running.reason = f"stopped at epoch {epoch} with {objective.metric} {value:.4g}"
            return True
        return False

    def stops_after_runs(self, running: RunningTrial, n_runs: int, value: float) -> bool:
        """Whether a trial stops after its first runs, which are worth ``value`` together."""
        last_epoch = self._plan.most_epochs or running.n_epochs
        means = range(last_epoch + 2, last_epoch + n_runs + 1)
        if not self._prunes or not self._pruner_stops(running, means[-1], value, means[0]):
            return False
        running.stopped = Outcome.PRUNED
        running.reason = (
            f"stopped after {n_runs} of {len(self._plan.runs)} runs with "
            f"{self._plan.objectives[0].metric} {value:.4g}"
        )
        return True

    def _pruner_stops(
        self, running: RunningTrial, epoch: int, value: float, since: int = 1
    ) -> bool:
        """Whether the pruner stops it, by its values from the epoch ``since`` on."""
        trial = running.trial
        # Not trial.report: it ignores an epoch that an earlier, lost attempt has reported.
        store_intermediate_value(trial, epoch, value)
        if running.audited_at is not None:
            return False
        if epoch == running.n_epochs and running.run.is_only:
            return False  # after the last epoch nothing is spared: the trial is complete
        if running.stopped is Outcome.PRUNED:
            return True
        frozen = copy.copy(as_stored(trial))
        # An earlier, lost attempt may have come further: this one is judged by what it has done.
        seen = frozen.intermediate_values.items()
        frozen.intermediate_values = {step: v for step, v in seen if since <= step <= epoch}
        with warnings.catch_warnings():
            # Where trials differ in length, it compares the epochs that both have, as it should.
            warnings.filterwarnings("ignore", message=".*WilcoxonPruner")
            if not self._pruner.prune(self._study, frozen):
                return False
        share = self._plan.sweep.audit
        if (
            share
            and random.Random(f"{self._plan.config['seed']}:{running.number}").random() < share
        ):
            running.audited_at = min(epoch, running.n_epochs or epoch)
            return False
        return True
