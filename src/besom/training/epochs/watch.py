"""Watches a training run from epoch to epoch: history, divergence, early stopping, best weights.

It is called at the end of each epoch by either engine and knows nothing of how an epoch is run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from besom.errors import ConfigError, TrialDiverged, did_you_mean
from besom.metrics import usual_direction
from besom.training.epochs.rows import CORRECT, Kept
from besom.training.epochs.weights import Weights, alike
from besom.training.settings import TrainerSettings

#: Numbers of so many bytes are kept of the epochs that do not count.
MOST_ROW_BYTES = 2**26

#: ``on_epoch(epoch, metrics) -> stop``: after each epoch (from 1); True means stop now.
OnEpoch = Callable[[int, Mapping[str, float]], bool]


class Watch:
    """Keeps the history of a run and decides when it ends and which epoch's weights count.

    Attributes:
        history: metric name to its value after each epoch run.
        best_epoch: the best epoch so far by the monitored metric, None if no epoch is judged.
        best, best_weights: its value, negated where less is better, and its weights if they
            are to be restored.
        measured: the weights that the last epoch was measured by; None if they are the model's.
        rows: what is kept of each validation example, by the weights that count.
        changed_later: whether something has changed the weights after the last epoch was measured;
            known at the end.
        stopped_early: whether the run's own patience ended it.
        ended: whether the run is over, for whatever reason, before its last epoch.
        rows_by_epoch: the numbers among them after each epoch; empty where they are too many.
        correct_by_epoch: which validation examples were right after each epoch of the history
            (``numpy.packbits``); None where that is not known of every one.
    """

    def __init__(
        self,
        settings: TrainerSettings,
        model: Any,
        on_epoch: OnEpoch,
        default_monitor: str = "val_accuracy",
    ) -> None:
        self._default_monitor = default_monitor
        self.history: dict[str, list[float]] = {}
        self.best_epoch: int | None = None
        self.stopped_early = self.ended = False
        self._settings, self._model, self._on_epoch = settings, model, on_epoch
        self.best = -math.inf
        self.best_weights: Weights | None = None
        self.measured: Weights | None = None
        self.rows: Kept | None = None
        self.changed_later = False
        self._last_gain, self._gained_to = 0, -math.inf  # the epoch patience counts from
        self.correct_by_epoch: list[bytes] | None = []
        self.rows_by_epoch: list[Kept] = []
        self._n_kept = 0

    def epoch_ended(
        self,
        epoch: int,
        metrics: Mapping[str, Any],
        rows: Kept | None = None,
        weights: Weights | None = None,
    ) -> None:
        """Take in how ``epoch`` (from 1) went; sets ``model.stop_training`` to end the run.

        Args:
            epoch: its number.
            metrics: name to value.
            rows: what is kept of each validation example; None if not known.
            weights: what was measured; None: the model's, which nothing changes until the next
                epoch or the end.

        Raises:
            TrialDiverged: a metric is NaN or infinite; ``on_epoch`` has not seen it then.
            ConfigError: a metric is not a single number, or the monitored one is not there.
        """
        values = {name: _as_number(name, value) for name, value in metrics.items()}
        self._check_same_names(epoch, values)
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrialDiverged(epoch, name, value)
            self.history.setdefault(name, []).append(value)
        right = (rows or {}).get(CORRECT)
        if right is None or self.correct_by_epoch is None:
            self.correct_by_epoch = None
        else:
            self.correct_by_epoch.append(np.packbits(right).tobytes())
        self._keep(rows or {})
        self.measured = weights
        if self._settings.judges_epochs:
            self._judge(epoch, values)
        if self.counted_epoch == epoch:
            self.rows = rows
        if self._on_epoch(epoch, values):
            self.stopped_early = False
            self.ended = self._model.stop_training = True

    def _keep(self, rows: Kept) -> None:
        """Keep an epoch's numbers; those of no epoch where they would take too much memory."""
        numbers = {name: row for name, row in rows.items() if row.dtype != np.bool_}
        self._n_kept += sum(row.nbytes for row in numbers.values())
        self.rows_by_epoch.append(numbers)
        if self._n_kept > MOST_ROW_BYTES:
            self.rows_by_epoch = []

    def _check_same_names(self, epoch: int, values: Mapping[str, float]) -> None:
        """Refuse a metric that some epochs have and others have not: no curve could be drawn."""
        if self.history and (odd := set(self.history) ^ set(values)):
            first = min(odd)
            when = f"only from epoch {epoch} on" if first in values else f"not in epoch {epoch}"
            raise ConfigError(
                f"The metric {first!r} is measured {when}, expected in every epoch: "
                + (
                    "trainer.fit must compile the model with the same metrics for all its phases."
                    if self._settings.fit is not None
                    else "a callback must put the same metrics into the logs of each."
                )
            )

    def _judge(self, epoch: int, values: Mapping[str, float]) -> None:
        settings, monitor = self._settings, self.monitor
        if monitor not in values:
            raise ConfigError(
                f"trainer.monitor is {monitor!r}, which this run does not measure."
                + did_you_mean(monitor, values)
            )
        value = values[monitor] if self.maximize else -values[monitor]
        if self.best_epoch is None or value > self.best:
            self.best, self.best_epoch = value, epoch
            if settings.restore_best:
                self.best_weights = self.measured or self._model.get_weights()
        if self._gains(epoch, value):
            return
        if settings.patience is not None and epoch - self._last_gain >= settings.patience:
            self.stopped_early = epoch < settings.epochs
            self.ended = self._model.stop_training = True

    def _gains(self, epoch: int, value: float) -> bool:
        """Whether an epoch is better by ``min_delta``: patience's measure, not the best one's."""
        if self._last_gain and value <= self._gained_to + self._settings.min_delta:
            return False
        self._last_gain, self._gained_to = epoch, value
        return True

    @property
    def monitor(self) -> str:
        """The metric that judges epochs: as set, else the task's, else the validation loss."""
        return monitored(self._settings, self._default_monitor, self.history)

    @property
    def maximize(self) -> bool:
        """Whether a larger value of ``monitor`` is better."""
        if self._settings.mode != "auto":
            return self._settings.mode == "max"
        return usual_direction(self.monitor) == "maximize"

    @property
    def counted_epoch(self) -> int:
        """The epoch (from 1) whose weights count; 0 before the first."""
        n_epochs = len(next(iter(self.history.values()), ()))
        return self.best_epoch or n_epochs if self._settings.restore_best else n_epochs

    def restore(self) -> None:
        """Put the weights that count into the model, as they were measured."""
        self.changed_later = self.measured is not None and not alike(
            self.measured, self._model.get_weights()
        )
        if (weights := self.kept_weights) is not None:
            self._model.set_weights(weights)

    @property
    def kept_weights(self) -> Weights | None:
        """The weights that count; None if they are the model's."""
        return self.measured if self.best_weights is None else self.best_weights

    def resume(
        self,
        history: Mapping[str, list[float]],
        best_epoch: int | None,
        best: float,
        kept_weights: Weights | None,
        correct_by_epoch: list[bytes] | None,
    ) -> int:
        """Go on from what an earlier part of this run knew; returns the epochs it ran."""
        self.history = {name: list(values) for name, values in history.items()}
        self.best_epoch, self.best = best_epoch, best
        if self._settings.restore_best:
            self.best_weights = kept_weights
        else:
            self.measured = kept_weights
        self.correct_by_epoch = correct_by_epoch
        for epoch, value in enumerate(self.history.get(self.monitor, ()), start=1):
            self._gains(epoch, value if self.maximize else -value)
        return len(next(iter(self.history.values()), ()))


def monitored(settings: TrainerSettings, default: str, names: Collection[str]) -> str:
    """The metric that judges epochs.

    Args:
        settings: may name it.
        default: the task's.
        names: what is measured; a model with a loss of its own may not measure the default.
    """
    if settings.monitor is not None:
        return settings.monitor
    measured = default in names or default.removeprefix("val_") in names
    return default if measured or "val_loss" not in names else "val_loss"


def _as_number(name: str, value: Any) -> float:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"The metric {name!r} gives {value!r:.80}, expected one number.")
    if array.size != 1:
        raise ConfigError(
            f"The metric {name!r} gives {array.size} values per epoch, expected one number: "
            "use a metric that averages them, as F1Score does with average: macro."
        )
    return float(array.reshape(()))
