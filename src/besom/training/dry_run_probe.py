"""A dry run's side of the seam: a short trial on few examples, and what one step takes.

What a trial costs beyond its epochs (building, tracing, saving) and an epoch beyond its steps
(validation, what is kept of each example) is measured by running it: ``trial.train`` is what a
sweep's workers call. Few training examples are enough for that, and a step is timed by itself.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import TrialDiverged
from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime, trial
from besom.training.settings import TrainerSettings

#: What is timed is a call with about this many examples, in at most this many steps: fewer would
#: measure the call itself, more would take a convolutional network seconds.
N_EXAMPLES, MOST_STEPS = 512, 16

#: Calls after one that warms up, whose median counts: until so many seconds or calls are over.
ENOUGH_SECONDS, MOST_CALLS = 0.2, 9

#: The short trial's epochs, of which the first compiles, and at most so many validation examples.
N_EPOCHS, N_VALIDATION = 3, 2000

#: After so many seconds of the processor's, no further epoch of a ``trainer.fit`` is timed.
LONGEST_OWN_S = 10.0

#: Workers prepare as for any trial.
prepare, prepare_another = trial.prepare, trial.prepare_another


def probe(config: TrialConfig, report: Report) -> TrialResult:  # noqa: ARG001
    """Try a step of ``config``, and measure what a trial takes on the engine it would have.

    Returns:
        A result whose ``numbers`` are n_params, model_bytes (float32 weights), seconds_per_step
        (one batch, forward and backward), steps_per_epoch, seconds_beside_steps (of each epoch),
        seconds_beside_epochs (of each trial) and memory_bytes (resident, the whole process). Its
        ``environment`` has ``engine``, ``engine_reason``, and ``unsavable`` where the model cannot
        be saved.

    Raises:
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    runtime.start()
    from besom.training.rehearsal import rehearse

    data = runtime.training_data(config)
    settings = TrainerSettings.from_config(config.get("trainer", {}))
    try:
        tried = rehearse(config, data)
    finally:
        runtime.free_models()
    few = _Few.of(data, settings)
    short = _short_trial(config, settings, few, tried)
    seconds_per_step = short.seconds_per_step or short.seconds_per_epoch / few.n_steps
    beside = max(0.0, short.seconds_per_epoch - few.n_steps * seconds_per_step)
    return TrialResult(
        numbers={
            "n_params": tried.n_params,
            "model_bytes": 4 * tried.n_params,
            "seconds_per_step": seconds_per_step,
            "steps_per_epoch": _steps_per_epoch(settings, data),
            "seconds_beside_steps": beside / few.share_of_validation,
            "seconds_beside_epochs": short.seconds_beside_epochs,
            "memory_bytes": _resident_bytes(),
        },
        environment={
            "engine": tried.engine,
            "engine_reason": tried.engine_reason,
            **({"unsavable": tried.unsavable} if tried.unsavable else {}),
        },
    )


@dataclass(frozen=True)
class _Few:
    """A few training examples and as many validation examples as can be measured in no time.

    Attributes:
        data: a ``besom.training.data.TrainingData``.
        n_steps: an epoch over them has so many.
        n_train: of how many examples they are; None where that is not known.
        share_of_validation: how much of the validation examples is there, above 0.
    """

    data: Any
    n_steps: int = 1
    n_train: int | None = None
    share_of_validation: float = 1.0

    @classmethod
    def of(cls, data: Any, settings: TrainerSettings) -> _Few:
        from besom.training.epochs.batches import first_of

        train, validation, units = data.train, data.validation, data.units
        n_steps, share = 1, 1.0
        if hasattr(train, "take"):
            # The last batch is as small as a whole epoch's: Keras traces a step for each size.
            rest = train.n % settings.batch_size
            n = min(_n_steps(settings) * settings.batch_size + rest, train.n)
            train, n_steps = train.take(np.arange(n)), -(-n // settings.batch_size)
        else:
            train = first_of(train)
        if hasattr(validation, "take"):
            kept = np.arange(min(validation.n, N_VALIDATION))
            share = len(kept) / max(validation.n, 1)
            validation = validation.take(kept)
            units = units if units is None else units[kept]
        elif validation is not None:
            share = 1.0 / (validation.n_batches or 1)
            validation = first_of(validation)
        few = replace(data, train=train, validation=validation, units=units)
        return cls(few, n_steps, data.train.n, share or 1.0)


@dataclass
class _Short:
    """How a short trial went.

    Attributes:
        seconds: from its begin to its end.
        reports: when each epoch ended, counted from its begin.
        seconds_per_step: measured by itself; None where the trial had no end, or its own loop.
    """

    seconds: float = 0.0
    reports: list[float] = field(default_factory=list)
    seconds_per_step: float | None = None

    @property
    def seconds_per_epoch(self) -> float:
        """Of the quickest after the first, which compiles."""
        return min((later - at for at, later in pairwise(self.reports)), default=0.0)

    @property
    def seconds_beside_epochs(self) -> float:
        """Of the whole trial."""
        return max(0.0, self.seconds - len(self.reports) * self.seconds_per_epoch)


def _short_trial(config: TrialConfig, settings: TrainerSettings, few: _Few, tried: Any) -> _Short:
    """Run a trial as a worker would, with its model saved and its callbacks never called."""
    short, spent = _Short(), 0.0
    trainer = {**config.get("trainer", {}), "callbacks": [], "steps_per_epoch": None}
    if settings.fit is None:
        trainer |= {"engine": tried.engine, "epochs": N_EPOCHS, "patience": None}

    def report(epoch: int, metrics: Any) -> bool:  # noqa: ARG001
        short.reports.append(time.perf_counter() - began)
        too_long = time.process_time() - began_cpu > LONGEST_OWN_S
        return settings.fit is not None and (too_long or len(short.reports) == N_EPOCHS)

    def measure(fitted: Any) -> dict[str, float]:
        nonlocal spent
        at = time.perf_counter()
        if settings.fit is None:
            short.seconds_per_step = _seconds_per_step(fitted, settings, few)
        spent = time.perf_counter() - at
        return {}

    with tempfile.TemporaryDirectory(prefix="besom-") as folder:
        orders = {
            "save_model": {"path": str(Path(folder) / "model.keras")},
            "per_example": [tried.monitor],
        }
        began, began_cpu = time.perf_counter(), time.process_time()
        with suppress(TrialDiverged):  # at an end of the space; the trial itself will say so
            short_config = {**config, "trainer": trainer, "orders": orders}
            trial.train(short_config, report, measure, few.data)
        short.seconds = time.perf_counter() - began - spent
    return short


def _seconds_per_step(fitted: Any, settings: TrainerSettings, few: _Few) -> float:
    """The seconds of one step of a trained model, by the engine that trained it."""
    if fitted.engine == "compiled":
        n_steps, call = _compiled_steps(fitted.model, settings, fitted.data.train, few.n_train)
    else:
        n_steps, call = _keras_steps(fitted.model, settings, fitted.data.train)
    call()
    seconds: list[float] = []
    while sum(seconds) < ENOUGH_SECONDS and len(seconds) < MOST_CALLS:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) / n_steps


def _n_steps(settings: TrainerSettings) -> int:
    """How many steps are timed at once."""
    return min(max(N_EXAMPLES // settings.batch_size, 1), MOST_STEPS)


def _steps_per_epoch(settings: TrainerSettings, data: Any) -> int:
    from besom.training.data.examples import Stream

    if settings.steps_per_epoch is not None:
        return settings.steps_per_epoch
    if isinstance(data.train, Stream):
        return int(data.train.n_batches or 1)
    return int(-(-data.train.n // settings.batch_size))


def _compiled_steps(
    model: Any, settings: TrainerSettings, train: Any, n_of_all: int | None
) -> tuple[int, Callable[[], object]]:
    """An epoch of the compiled engine over few examples, as prepared as one over them all."""
    from besom.training.epochs.batches import in_memory, tensors_of, training_passes
    from besom.training.fast import graph_optimizers, training_loop

    brief = graph_optimizers.is_brief(model.count_params(), n_of_all or N_EXAMPLES)
    n = min(_n_steps(settings) * settings.batch_size, train.n or N_EXAMPLES)
    order = np.arange(n, dtype=np.int32)
    if in_memory(train):
        tensors = tensors_of(train.take(order))
        training = training_loop.CompiledTraining(model, tensors, settings.batch_size, brief)
        return training.n_steps, lambda: training.epoch(order)
    passes = training_passes(train, settings.batch_size, None, lambda _: order)
    streaming = training_loop.CompiledStream(model, passes, brief)
    return streaming.n_steps, lambda: streaming.epoch(1)


def _keras_steps(
    model: Any, settings: TrainerSettings, train: Any
) -> tuple[int, Callable[[], object]]:
    """One of Keras's own steps, which take as long in ``model.fit``."""
    import keras
    import tensorflow as tf

    from besom.training.epochs.batches import first_batch

    batch = keras.utils.pack_x_y_sample_weight(*first_batch(train, settings.batch_size))
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return 1, lambda: model.train_function(batches)


def _resident_bytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import psutil

        return float(psutil.Process().memory_info().rss)
    import resource

    return float(pages * resource.getpagesize())
