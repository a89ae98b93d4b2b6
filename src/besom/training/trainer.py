"""One training run: a Keras model from a config, trained and judged on data, epoch by epoch.

Shared by a sweep's trials and by ``besom train``. Separates *what* a run is (model, seeds, history,
the epoch that counts) from *how* its epochs are run, which is up to an engine.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import ConfigError, did_you_mean
from besom.training.build import build_callbacks, build_model, resolved_precision, seed_everything
from besom.training.compiling import has_logits, kinds_of
from besom.training.data.examples import Examples, Stream
from besom.training.epochs import keras_engine, measuring, own_fit
from besom.training.epochs.batches import cached
from besom.training.epochs.engine_choice import choose_engine, untraceable
from besom.training.epochs.job import EVALUATION_BATCH_SIZE, EpochsRun, Job
from besom.training.epochs.per_example import PerExample
from besom.training.epochs.rows import CORRECT, Kept, Rows
from besom.training.epochs.watch import OnEpoch, Watch
from besom.training.epochs.weights import CHANGED_LATER
from besom.training.fast import engine
from besom.training.fast.evaluation_loop import compiled_evaluation
from besom.training.fast.tensors import scales_of
from besom.training.matching import matched, part_matched
from besom.training.outputs import Outputs
from besom.training.settings import TrainerSettings

#: Called with the built and compiled model, before its first step.
OnBuilt = Callable[[Any], None]

log = logging.getLogger("besom")


@dataclass
class Fitted:
    """A trained model and how it got there.

    Attributes:
        model: the compiled Keras model, with the weights that count, as they were measured.
        history: metric name to its value after each epoch run.
        best_epoch: the epoch (from 1) whose weights the model holds.
        stopped_early: whether the run's own patience ended it.
        rows: what is kept of each validation example by the weights that count; None without such.
        rows_by_epoch: the numbers among them after each epoch, if they are known of every one.
        keeping: says what is kept of examples.
        data: what it was trained on, matched to the model.
        monitor: the metric that judges epochs, and whether it is maximized.
        correct_by_epoch: the same after each epoch, as packed bits; None also where the engine does
            not know it.
        epoch_seconds: wall-clock seconds of each epoch, its validation included.
        engine: ``compiled`` or ``keras``; ``engine_reason`` says why.
        kernel: the fused optimizer kernel, None where Keras's own update ran.
        precision: ``float32`` or ``bfloat16``: what ``auto`` came to.
        remarks: what the user should know about the run, by subject.
        compiled_later: whether the model was compiled anew after the epoch that counts.
    """

    model: Any
    history: dict[str, list[float]]
    best_epoch: int
    stopped_early: bool = False
    rows: Kept | None = None
    rows_by_epoch: list[Kept] = field(default_factory=list)
    keeping: Rows | None = None
    data: Any = None
    monitor: tuple[str, bool] = ("", True)
    correct_by_epoch: list[bytes] | None = None
    epoch_seconds: list[float] = field(default_factory=list)
    engine: str = ""
    engine_reason: str = ""
    kernel: str | None = None
    precision: str = "float32"
    remarks: dict[str, str] = field(default_factory=dict)
    compiled_later: bool = False

    @property
    def correct(self) -> np.ndarray[Any, Any] | None:
        """Whether each validation example is classified right by the weights that count, bool,
        shape (n_validation,); None without such examples, or for no classifier."""
        return (self.rows or {}).get(CORRECT)

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
    keep: Collection[str] = (),
    resume_from: Path | None = None,
    save_to: Path | None = None,
) -> Fitted:
    """Train the config's model on ``data`` and return it with its history.

    The same config, seed and number of threads give the same history, bit for bit.

    Args:
        config: ``model``, ``optimizer``, ``trainer`` and ``seed``, resolved, plain.
        data: a ``besom.training.data.TrainingData``.
        on_epoch: called after each epoch (from 1) with its metrics; True ends the run.
        test: a ``besom.training.data.Dataset``, loaded, measured after each epoch as ``test_...``.
        on_built: called with the model before it is trained; what it raises ends the run.
        keep: metrics, as Keras names them without ``val_``, of which each validation example's part
            is kept.
        resume_from: a checkpoint to go on from; where the file is missing, or the engine is
            ``keras``, the run begins at the beginning, and a remark says so.
        save_to: where the state after the last epoch is left; not with the engine ``keras``.

    Raises:
        ConfigError: the config cannot be trained.
        TrialDiverged: a metric became NaN or infinite.
    """
    settings = TrainerSettings.from_config(config.get("trainer", {}))
    seed_everything(config.get("seed", 0))
    remarks: dict[str, str] = {}
    model = build_model(config, settings, data, remarks)
    if on_built is not None:
        on_built(model)
    data = matched(model, data, settings)
    job = Job(
        model,
        data,
        settings,
        config.get("seed", 0),
        build_callbacks(settings, data),
        Watch(settings, model, on_epoch, data.task.default_objective[0]),
        rows_of(model, settings, data, keep),
        None if test is None else part_matched(model, cached(test.examples)),
        resume_from,
        save_to,
    )
    chosen, reason = _engine_for(job)
    log.info("engine=%s: %s", chosen, reason)
    try:
        run = _run(job, chosen, config)
    except engine.Untraceable as failed:
        reason = untraceable(failed.__cause__ or failed)
        if settings.engine == "compiled":
            raise ConfigError(f"trainer.engine=compiled: {reason}.") from failed.__cause__
        with_keras = {**config, "trainer": {**config.get("trainer", {}), "engine": "keras"}}
        options: Any = {"on_epoch": on_epoch, "test": test, "on_built": on_built, "keep": keep}
        return replace(fit(with_keras, data, **options), engine_reason=reason)
    return _fitted(job, run, chosen, reason, remarks)


def _engine_for(job: Job) -> tuple[str, str]:
    """Which engine runs the job, and why."""
    settings = job.settings
    if settings.fit is not None:
        return "keras", own_fit.reason(settings)
    return choose_engine(
        settings.engine, job.model, job.callbacks, job.data.train, *job.judged.values()
    )


def _run(job: Job, chosen: str, config: Mapping[str, Any]) -> EpochsRun:
    """Run the job's epochs."""
    if job.settings.fit is not None:
        return own_fit.fit(job, config)
    return engine.fit(job) if chosen == "compiled" else keras_engine.fit(job)


def _fitted(
    job: Job, run: EpochsRun, chosen: str, reason: str, remarks: Mapping[str, str]
) -> Fitted:
    """What has come of a job."""
    watch, settings, found = job.watch, job.settings, dict(remarks)
    n_epochs = len(next(iter(watch.history.values()), ()))
    if job.resume_from is not None and len(run.seconds) == n_epochs:
        found["resumed"] = (
            "A trial that was stopped on the way is trained from its first epoch again, as it left "
            f"no state to go on from (engine={chosen}: {reason})."
        )
    if watch.changed_later:
        found["weights"] = CHANGED_LATER
    return Fitted(
        model=job.model,
        history=watch.history,
        best_epoch=watch.counted_epoch,
        stopped_early=watch.stopped_early,
        rows=run.rows,
        rows_by_epoch=watch.rows_by_epoch,
        data=job.data,
        keeping=job.rows,
        monitor=(watch.monitor, watch.maximize),
        correct_by_epoch=watch.correct_by_epoch,
        epoch_seconds=run.seconds,
        engine=chosen,
        engine_reason=reason,
        kernel=run.kernel,
        precision=resolved_precision(settings.precision, settings.batch_size),
        remarks=found | run.remarks,
        compiled_later=run.compiled_later,
    )


def rows_of(model: Any, settings: TrainerSettings, data: Any, keep: Collection[str] = ()) -> Rows:
    """What is kept of each validation example; see ``fit``."""
    outputs = Outputs.of(model, data.train) if settings.loss is None else None
    logits = outputs is not None and not outputs.are_several and has_logits(model, outputs)
    kind = kinds_of(settings, data.task, outputs)
    if kind in ("classification", "one-hot", "binary"):
        keep = set(keep) - {"accuracy", "acc"}  # it has its bits
    return Rows(kind, 0.0 if logits else 0.5, PerExample(model, keep) if keep else None)


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    scale: Any,
    batch_size: int | None = None,
    by: str | None = None,
    weight: Any = None,
) -> dict[str, float]:
    """Measure a compiled Keras model on examples.

    Args:
        model: a compiled ``keras.Model``.
        x: a nest of inputs, (n, ...) each; or a ``besom.training.data.examples.Stream``.
        y: a nest of labels; None: there are none, or the stream has them.
        scale: the factors that the inputs are multiplied by, or one for all.
        batch_size: examples judged at once, None: chosen here.
        by: the engine, ``Fitted.engine`` of the run that trained the model; None: chosen here.
        weight: sample weights, or None.

    Returns:
        ``loss`` and each metric, by name.
    """
    return judge(model, x, y, scale, batch_size, by, weight)[0]


def judge(
    model: Any,
    x: Any,
    y: Any,
    scale: Any,
    batch_size: int | None = None,
    by: str | None = None,
    weight: Any = None,
    rows: Rows | None = None,
) -> tuple[dict[str, float], Kept | None]:
    """Measure as ``evaluate`` does, and say what is kept of each example.

    Args:
        rows: what is to be kept; None: which examples are classified right, of class numbers.

    Returns:
        What ``evaluate`` returns; and each row, shape (n,), None if there is none.
    """
    size, rows = batch_size or EVALUATION_BATCH_SIZE, rows or Rows("classification")
    part = x if isinstance(x, Stream) else Examples(x, y, weight, scales_of(x, scale))
    part = part_matched(model, cached(part))
    model.reset_metrics()
    if (by or choose_engine("auto", model, [], part)[0]) == "compiled":
        evaluation = compiled_evaluation(model, part, size, rows=rows)
        measured, kept = evaluation.measure(), evaluation.rows
    else:
        measured = measuring.evaluate(model, part, size)
        kept = measuring.examined(model, part, size, rows)
    return {name: float(value) for name, value in measured.items()}, kept


def check_monitor(settings: TrainerSettings, names: list[str], monitor: str) -> None:
    """Refuse to monitor what is not measured, before an epoch is spent on it.

    Args:
        settings: whether epochs are judged at all.
        names: what is measured; with callbacks there may be more.
        monitor: what they are judged by.

    Raises:
        ConfigError: an epoch is to be judged by a metric that is not in ``names``.
    """
    if not settings.judges_epochs or monitor in names or settings.callbacks:
        return
    if monitor.removeprefix("val_") in names:
        raise ConfigError(
            f"trainer.monitor is {monitor!r}, but there are no validation examples "
            f"(data.validation_split=0). Set trainer.monitor={monitor.removeprefix('val_')}, hold "
            "out examples, or set trainer.patience=null and trainer.restore_best=false."
        )
    raise ConfigError(
        f"trainer.monitor is {monitor!r}, which this run does not measure."
        + did_you_mean(monitor, names)
    )
