"""One training run: a Keras model from a config, trained and judged on data, epoch by epoch.

Shared by a sweep's trials and by ``besom train``. Separates *what* a run is (model, seeds, history,
the epoch that counts) from *how* an epoch is run: the compiled engine or ``model.fit``.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from besom.errors import ConfigError, did_you_mean
from besom.training import checkpoint, keras_engine
from besom.training.build import build_callbacks, build_model, seed_everything
from besom.training.engine import CompiledEvaluation, CompiledTraining, Images
from besom.training.orders import epoch_order
from besom.training.settings import TrainerSettings
from besom.training.watch import OnEpoch, Watch

#: Called with the built and compiled model, before its first step.
OnBuilt = Callable[[Any], None]

log = logging.getLogger("besom")

#: Images judged at once when ``trainer.evaluation_batch_size`` is null.
EVALUATION_BATCH_SIZE = 500


@dataclass
class Fitted:
    """A trained model and how it got there.

    Attributes:
        model: the compiled Keras model, with the weights that count.
        history: metric name to its value after each epoch run.
        best_epoch: the epoch (from 1) whose weights the model holds.
        stopped_early: whether the run's own patience ended it.
        correct: whether the validation images were classified right by the weights that count,
            bool, shape (n_validation,); None without validation images, or for no classifier.
        epoch_seconds: wall-clock seconds of each epoch, its validation included.
        engine: ``compiled`` or ``keras``, and why.
        kernel: the fused optimizer kernel, None where Keras's own update ran.
    """

    model: Any
    history: dict[str, list[float]]
    best_epoch: int
    stopped_early: bool = False
    correct: np.ndarray[Any, Any] | None = None
    epoch_seconds: list[float] = field(default_factory=list)
    engine: str = ""
    engine_reason: str = ""
    kernel: str | None = None

    @property
    def seconds_per_epoch(self) -> float:
        """The median over the epochs: the first one's start-up does not count; 0.0 if none ran."""
        return statistics.median(self.epoch_seconds) if self.epoch_seconds else 0.0


def fit(
    config: Mapping[str, Any],
    data: Any,
    *,
    on_epoch: OnEpoch,
    test: Any | None = None,
    on_built: OnBuilt | None = None,
    resume_from: Path | None = None,
    save_to: Path | None = None,
) -> Fitted:
    """Train the config's model on ``data`` and return it with its history.

    The same config, seed and number of threads give the same history, bit for bit.

    Args:
        config: ``model``, ``optimizer``, ``trainer`` and ``seed``, resolved, plain.
        data: a ``besom.training.data.TrainingData``.
        on_epoch: called after each epoch (from 1) with its metrics; True ends the run.
        test: a ``besom.training.data.Dataset`` measured after each epoch as ``test_...``.
        on_built: called with the model before it is trained; what it raises ends the run.
        resume_from: a checkpoint to go on from; where the file is missing, or the engine is
            ``keras``, the run begins at the beginning.
        save_to: where the state after the last epoch is left; not with the engine ``keras``.

    Raises:
        ConfigError: the config cannot be trained.
        TrialDiverged: a metric became NaN or infinite.
    """
    settings = TrainerSettings.from_config(config.get("trainer", {}))
    seed_everything(config.get("seed", 0))
    model = build_model(config, settings, data)
    if on_built is not None:
        on_built(model)
    callbacks = build_callbacks(settings)
    engine, reason = keras_engine.choose(settings, model, callbacks)
    log.info("engine=%s: %s", engine, reason)
    run = _Run(config, settings, model, data, test, callbacks, Watch(settings, model, on_epoch))
    if engine == "keras":
        return run.keras(reason)
    return run.compiled(reason, resume_from, save_to)


def evaluate(
    model: Any, x: Any, y: Any, scale: float, batch_size: int | None = None
) -> dict[str, float]:
    """Measure a compiled Keras model on images.

    Args:
        model: a compiled ``keras.Model``.
        x: uint8 or float32, shape (n, *input_shape).
        y: int64, shape (n,).
        scale: the factor the model's input is multiplied by.
        batch_size: images judged at once, None: chosen here.

    Returns:
        ``loss`` and each metric, by name.
    """
    size = batch_size or EVALUATION_BATCH_SIZE
    model.reset_metrics()
    if keras_engine.obstacle(model, []) is not None:
        scaled = np.asarray(x, np.float32) * np.float32(scale)
        measured = model.evaluate(scaled, y, batch_size=size, verbose=0, return_dict=True)
    else:
        measured = CompiledEvaluation(model, Images(x, y, scale), size).measure()
    return {name: float(value) for name, value in measured.items()}


class _Run:
    """What the two engines share while a run lasts."""

    def __init__(
        self,
        config: Mapping[str, Any],
        settings: TrainerSettings,
        model: Any,
        data: Any,
        test: Any | None,
        callbacks: list[Any],
        watch: Watch,
    ) -> None:
        self._seed, self._settings = config.get("seed", 0), settings
        self._model, self._data, self._test = model, data, test
        self._callbacks, self._watch = callbacks, watch
        self._judged_size = settings.evaluation_batch_size or EVALUATION_BATCH_SIZE

    def compiled(self, reason: str, resume_from: Path | None, save_to: Path | None) -> Fitted:
        settings, model, data = self._settings, self._model, self._data
        training = CompiledTraining(
            model, Images(data.x_train, data.y_train, data.scale), settings.batch_size
        )
        judges = {
            prefix: CompiledEvaluation(model, images, self._judged_size)
            for prefix, images in self._judged().items()
        }
        callbacks = keras.callbacks.CallbackList(
            self._callbacks, model=model, epochs=settings.epochs, steps=1, verbose=0
        )
        seconds: list[float] = []
        correct = None
        logs: dict[str, Any] = {}
        model.stop_training = False
        model.reset_metrics()
        callbacks.on_train_begin()
        done = checkpoint.restore(resume_from, model, self._watch) if resume_from else 0
        for epoch in range(done + 1, settings.epochs + 1):
            callbacks.on_epoch_begin(epoch - 1)
            began = time.perf_counter()
            logs = training.epoch(epoch_order(self._seed, epoch, len(data.x_train)))
            for prefix, judge in judges.items():
                logs |= {prefix + name: value for name, value in judge.measure().items()}
            seconds.append(time.perf_counter() - began)
            callbacks.on_epoch_end(epoch - 1, logs)
            self._watch.epoch_ended(epoch, logs)
            if "val_" in judges and self._watch.counted_epoch == epoch:
                correct = judges["val_"].correct
            if model.stop_training:
                break
        model.optimizer.finalize_variable_values(model.trainable_variables)
        if save_to is not None:
            checkpoint.save(save_to, model, self._watch)
        callbacks.on_train_end(logs)
        self._watch.restore()
        if correct is None and "val_" in judges:  # the epoch that counts was before the checkpoint
            judges["val_"].measure()
            correct = judges["val_"].correct
        return self._fitted(
            correct=correct,
            epoch_seconds=seconds,
            engine="compiled",
            engine_reason=reason,
            kernel=training.kernel,
        )

    def keras(self, reason: str) -> Fitted:
        seconds = keras_engine.fit(
            self._model,
            self._data,
            self._settings,
            self._seed,
            self._callbacks,
            self._watch,
            self._test,
            self._judged_size,
        )
        self._watch.restore()
        correct = keras_engine.correct(self._model, self._data, self._judged_size)
        return self._fitted(
            correct=correct, epoch_seconds=seconds, engine="keras", engine_reason=reason
        )

    def _judged(self) -> dict[str, Images]:
        data, test = self._data, self._test
        judged = {}
        if len(data.x_validation):
            judged["val_"] = Images(data.x_validation, data.y_validation, data.scale)
        if test is not None:
            judged["test_"] = Images(test.x, test.y, test.scale)
        return judged

    def _fitted(self, **how: Any) -> Fitted:
        watch = self._watch
        return Fitted(
            model=self._model,
            history=watch.history,
            best_epoch=watch.counted_epoch,
            stopped_early=watch.stopped_early,
            **how,
        )


def metric_names(model: Any, data: Any) -> list[str]:
    """Return every name the history of a run will have, by measuring one image."""
    x = np.asarray(data.x_train[:1], np.float32) * np.float32(data.scale)
    try:
        names = list(model.test_on_batch(x, data.y_train[:1], return_dict=True))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"The model, its loss and its metrics do not fit the data: {error}"
        ) from error
    model.reset_metrics()
    return names + [f"val_{name}" for name in names if len(data.x_validation)]


def check_monitor(settings: TrainerSettings, names: list[str]) -> None:
    """Refuse to watch what will not be there, before an epoch is spent on it.

    Raises:
        ConfigError: an epoch is to be judged by a metric that is not in ``names``.
    """
    if not settings.judges_epochs or settings.monitor in names:
        return
    if settings.monitor.removeprefix("val_") in names:
        raise ConfigError(
            f"trainer.monitor is {settings.monitor!r}, but there are no validation images "
            "(data.validation_split=0). Set trainer.monitor=accuracy, hold images back, or leave "
            "trainer.patience=null and trainer.restore_best=false."
        )
    raise ConfigError(
        f"trainer.monitor is {settings.monitor!r}, which this run does not measure."
        + did_you_mean(settings.monitor, names)
    )
