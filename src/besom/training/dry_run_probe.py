"""A dry run's side of the seam: builds a model and measures a few steps, without training it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime, trial
from besom.training.settings import TrainerSettings

#: What is timed is a call with about this many examples, in at most this many steps: fewer would
#: measure the call itself, more would take a convolutional network seconds.
N_EXAMPLES, MOST_STEPS = 512, 16

#: Calls after one that warms up, whose median counts: until so many seconds or calls are over.
ENOUGH_SECONDS, MOST_CALLS = 0.2, 9

#: Workers prepare as for any trial.
prepare, prepare_another = trial.prepare, trial.prepare_another


def probe(config: TrialConfig, report: Report) -> TrialResult:  # noqa: ARG001
    """Try a step of ``config``, and measure what one takes on the engine it would have.

    Returns:
        A result whose ``numbers`` are n_params, model_bytes (float32 weights), seconds_to_begin
        (building the model, compiling its first step), seconds_per_step (one batch, forward and
        backward), steps_per_epoch and memory_bytes (resident, the whole process). Its
        ``environment`` has ``engine``, ``engine_reason``, and ``unsavable`` where the model cannot
        be saved.

    Raises:
        ConfigError: the config cannot be trained.
        DataError: the data cannot be loaded.
    """
    runtime.start()
    from besom.training.build import build_model, seed_everything
    from besom.training.matching import matched
    from besom.training.rehearsal import rehearse

    data = runtime.training_data(config)
    settings = TrainerSettings.from_config(config.get("trainer", {}))
    model: Any = None
    try:
        tried = rehearse(config, data)
        began = time.perf_counter()
        seed_everything(config.get("seed", 0))
        model = build_model(config, settings, data)
        data = matched(model, data, settings)
        ready = _compiled_steps if tried.engine == "compiled" else _keras_steps
        n_steps, call = ready(model, settings, data)
        call()
        seconds_to_begin = time.perf_counter() - began
        return TrialResult(
            numbers={
                **trial.model_numbers(model),
                "seconds_to_begin": seconds_to_begin,
                "seconds_per_step": _seconds(n_steps, call),
                "steps_per_epoch": _steps_per_epoch(settings, data),
                "memory_bytes": _resident_bytes(),
            },
            environment={
                "engine": tried.engine,
                "engine_reason": tried.engine_reason,
                **({"unsavable": tried.unsavable} if tried.unsavable else {}),
            },
        )
    finally:
        model = None
        runtime.free_models()


def _seconds(n_steps: int, call: Callable[[], object]) -> float:
    """The seconds of one of the ``n_steps`` steps that a call takes, once it is compiled."""
    seconds: list[float] = []
    while sum(seconds) < ENOUGH_SECONDS and len(seconds) < MOST_CALLS:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) / n_steps


def _steps_per_epoch(settings: TrainerSettings, data: Any) -> int:
    from besom.training.data.examples import Stream

    if settings.steps_per_epoch is not None:
        return settings.steps_per_epoch
    if isinstance(data.train, Stream):
        return int(data.train.n_batches or 1)
    return int(-(-data.train.n // settings.batch_size))


def _compiled_steps(
    model: Any, settings: TrainerSettings, data: Any
) -> tuple[int, Callable[[], object]]:
    """An epoch of the compiled engine over the first examples, as prepared as one over them all."""
    from besom.training.epochs.batches import first_of, in_memory, tensors_of, training_passes
    from besom.training.fast import graph_optimizers, training_loop

    train = data.train
    n_train = train.n or N_EXAMPLES
    brief = graph_optimizers.is_brief(model.count_params(), n_train)
    wanted = min(max(N_EXAMPLES // settings.batch_size, 1), MOST_STEPS)
    n = min(wanted * settings.batch_size, n_train)
    order = np.arange(n, dtype=np.int32)
    if in_memory(train):
        tensors = tensors_of(train.take(order))
        training = training_loop.CompiledTraining(model, tensors, settings.batch_size, brief)
        return training.n_steps, lambda: training.epoch(order)
    few = train if hasattr(train, "take") else first_of(train)
    passes = training_passes(few, settings.batch_size, None, lambda _: order)
    streaming = training_loop.CompiledStream(model, passes, brief)
    return streaming.n_steps, lambda: streaming.epoch(1)


def _keras_steps(
    model: Any, settings: TrainerSettings, data: Any
) -> tuple[int, Callable[[], object]]:
    """One of Keras's own steps, which take as long in ``model.fit``."""
    import keras
    import tensorflow as tf

    from besom.training.epochs.batches import first_batch

    batch = keras.utils.pack_x_y_sample_weight(*first_batch(data.train, settings.batch_size))
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
