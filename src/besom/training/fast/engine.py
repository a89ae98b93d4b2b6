"""The compiled engine: a whole epoch of ``model.train_step`` as one TensorFlow function.

``model.fit`` goes back to Python for every batch. Here the data lies in memory as tensors, and
the loop over batches, the gathering and scaling of each, the step and the metrics are one graph;
so is the loop over a ``tf.data`` iterator, where the data is a stream.
What a step computes is Keras's own ``train_step``; only the optimizer's update and the dropout
masks may come from cheaper kernels (the modules ``fused`` and ``dropout``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from besom.errors import BesomError
from besom.training.data.examples import Stream
from besom.training.epochs.batches import (
    Passes,
    in_memory,
    tensors_of,
    training_passes,
)
from besom.training.epochs.job import EpochsRun, Job
from besom.training.epochs.recompiling import recompiling_noticed
from besom.training.epochs.rows import Kept
from besom.training.epochs.weights import averages_in
from besom.training.fast import graph_optimizers
from besom.training.fast.evaluation_loop import (
    CompiledEvaluation,
    StreamEvaluation,
    compiled_evaluation,
)
from besom.training.fast.training_loop import CompiledStream, CompiledTraining
from besom.training.saving import restore_state, save_state


class Untraceable(Exception):
    """The run cannot be made one graph, for the reason it is raised from; nothing has run yet."""


@contextmanager
def tracing() -> Iterator[None]:
    """While open, an error of TensorFlow or the model while tracing becomes ``Untraceable``.

    Raises:
        Untraceable: from what was raised; not from a lack of memory, or what a user can fix.
    """
    try:
        yield
    except (BesomError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        raise Untraceable from error


def fit(job: Job) -> EpochsRun:
    """Run the job's epochs, with its callbacks; the metrics of each go to ``job.watch``."""
    model, settings = job.model, job.settings
    with tracing():
        compiled = _Compiled(job)
    logs: dict[str, Any] = {}

    class Last(keras.callbacks.Callback):  # type: ignore[misc]
        """Called after the user's, which may have added to the logs."""

        def on_epoch_end(self, epoch: int, seen: Any = None) -> None:  # noqa: ARG002
            logs.update(seen)

    callbacks = keras.callbacks.CallbackList(
        [*job.callbacks, Last()] if job.callbacks else [],
        model=model,
        epochs=settings.epochs,
        steps=compiled.n_steps,
        verbose=0,
    )
    run = EpochsRun(kernel=compiled.kernel)
    may_change = job.weights_may_change
    model.stop_training = False
    model.reset_metrics()
    with recompiling_noticed(model) as recompiled:
        callbacks.on_train_begin()
        done = restore_state(job.resume_from, model, job.watch) if job.resume_from else 0
        if done < settings.epochs:
            compiled.begin(done + 1)
        for epoch in range(done + 1, settings.epochs + 1):
            callbacks.on_epoch_begin(epoch - 1)
            if recompiled.since_last():
                earlier = compiled
                with tracing():
                    compiled = _Compiled(job)
                compiled.begin(epoch, earlier)
                run.kernel = compiled.kernel
            began = time.perf_counter()
            logs = compiled.epoch(epoch)
            with averages_in(model):
                for prefix, judge in compiled.judges.items():
                    logs |= {prefix + name: value for name, value in judge.measure().items()}
                measured = model.get_weights() if may_change else None
            run.seconds.append(time.perf_counter() - began)
            rows = compiled.rows
            callbacks.on_epoch_end(epoch - 1, dict(logs))
            job.watch.epoch_ended(epoch, logs, rows, measured)
            if model.stop_training:
                break
        if job.save_to is not None and not recompiled.ever:
            save_state(job.save_to, model, job.watch)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        callbacks.on_train_end(logs)
    job.watch.restore()
    run.rows = job.watch.rows
    if (
        "val_" in compiled.judges and run.rows is None and done
    ):  # the epoch that counts came before the resume
        compiled.judges["val_"].measure()
        run.rows = compiled.rows
    return run


class _Compiled:
    """A job's training and its evaluations as graphs, for the model as it is compiled now.

    Attributes:
        judges: what measures each part, by the prefix of its metrics' names.
        n_steps: steps per epoch.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        model, size, train = job.model, job.settings.batch_size, job.data.train
        brief = train.n is not None and graph_optimizers.is_brief(model.count_params(), train.n)
        self._training: CompiledTraining | CompiledStream
        if in_memory(train):
            n = len(job.order(1))
            self._training = CompiledTraining(model, tensors_of(train), size, brief, n)
        else:
            self._training = CompiledStream(model, self._passes(1), brief)
        self.judges: dict[str, CompiledEvaluation | StreamEvaluation] = {}
        for prefix, part in job.judged.items():
            rows = job.rows if prefix == "val_" else None
            self.judges[prefix] = compiled_evaluation(
                model, part, job.evaluation_batch_size, brief, rows
            )
        self.n_steps, self.kernel = self._training.n_steps, self._training.kernel

    def _passes(self, epoch: int) -> Passes:
        job, settings = self._job, self._job.settings
        return training_passes(
            job.data.train, settings.batch_size, settings.steps_per_epoch, job.order, epoch
        )

    def begin(self, epoch: int, earlier: _Compiled | None = None) -> None:
        """Take the examples from ``epoch`` (from 1) on, where ``earlier`` was if it is given."""
        training = self._training
        if epoch == 1 or not isinstance(training, CompiledStream):
            return
        if earlier is not None and isinstance(earlier._training, CompiledStream):
            training.take_over(earlier._training)
        elif isinstance(self._job.data.train, Stream):
            training.read_on(epoch - 1)
        else:
            training.passes = self._passes(epoch)

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train an epoch, and return its metrics."""
        if isinstance(self._training, CompiledStream):
            return self._training.epoch(epoch)
        return self._training.epoch(self._job.order(epoch))

    @property
    def rows(self) -> Kept | None:
        """What is kept of each validation example of the last pass."""
        return self.judges["val_"].rows if "val_" in self.judges else None
