"""The compiled engine: a whole epoch of ``model.train_step`` as one TensorFlow function.

``model.fit`` goes back to Python for every batch. Here the data lies in memory as tensors, and
the loop over batches, the gathering and scaling of each, the step and the metrics are one graph.
What a step computes is Keras's own ``train_step``; only the optimizer's update and the dropout
masks may come from cheaper kernels (the modules ``fused`` and ``dropout``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import BesomError
from besom.training.epochs.job import EpochsRun, Job, classified_right, epoch_order
from besom.training.epochs.weights import averages_in
from besom.training.fast import graph_optimizers
from besom.training.fast.dropout import cheap_dropout
from besom.training.fast.fused import fused_update
from besom.training.fast.keras_private import test_step
from besom.training.saving import restore_state, save_state

#: A call of the training function should take about this long: what Ctrl-C waits for at most.
CALL_SECONDS = 1.0
#: The steps of the first call, whose speed tells how many the next one may take.
FIRST_CALL_STEPS = 100


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
    model, data, settings = job.model, job.data, job.settings
    brief = graph_optimizers.is_brief(model.count_params(), len(data.x_train))
    examples = Examples(data.x_train, data.y_train, data.scale)
    with tracing():
        training = CompiledTraining(model, examples, settings.batch_size, brief)
        judges = {
            prefix: CompiledEvaluation(model, Examples(*judged), job.evaluation_batch_size, brief)
            for prefix, judged in job.judged.items()
        }
    callbacks = keras.callbacks.CallbackList(
        job.callbacks, model=model, epochs=settings.epochs, steps=training.n_steps, verbose=0
    )
    run = EpochsRun(kernel=training.kernel)
    may_change = job.weights_may_change
    logs: dict[str, Any] = {}
    model.stop_training = False
    model.reset_metrics()
    callbacks.on_train_begin()
    done = restore_state(job.resume_from, model, job.watch) if job.resume_from else 0
    for epoch in range(done + 1, settings.epochs + 1):
        callbacks.on_epoch_begin(epoch - 1)
        began = time.perf_counter()
        logs = training.epoch(epoch_order(job.seed, epoch, examples.n))
        with averages_in(model):
            for prefix, judge in judges.items():
                logs |= {prefix + name: value for name, value in judge.measure().items()}
            measured = model.get_weights() if may_change else None
        run.seconds.append(time.perf_counter() - began)
        callbacks.on_epoch_end(epoch - 1, logs)
        correct = judges["val_"].correct if "val_" in judges else None
        job.watch.epoch_ended(epoch, logs, correct, measured)
        if model.stop_training:
            break
    if job.save_to is not None:
        save_state(job.save_to, model, job.watch)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(logs)
    job.watch.restore()
    run.correct = job.watch.correct
    if (
        "val_" in judges and run.correct is None and done
    ):  # the epoch that counts came before the resume
        judges["val_"].measure()
        run.correct = judges["val_"].correct
    return run


class Examples:
    """Images and labels as tensors, kept as they were stored and scaled in the graph.

    Args:
        x: uint8 or float32, shape (n, *input_shape).
        y: int64 labels, shape (n,).
        scale: the factor the model's input is multiplied by.
    """

    def __init__(self, x: Any, y: Any, scale: float) -> None:
        self.n = len(x)
        self._x, self._y, self._scale = tf.convert_to_tensor(x), tf.convert_to_tensor(y), scale

    def gather(self, indices: Any) -> tuple[Any, Any]:
        """Return the examples ``indices``, ready for the model, and their labels."""
        return self._scaled(tf.gather(self._x, indices)), tf.gather(self._y, indices)

    def slice(self, start: Any, stop: Any) -> tuple[Any, Any]:
        """Return the examples from ``start`` to before ``stop``, and their labels."""
        return self._scaled(self._x[start:stop]), self._y[start:stop]

    def _scaled(self, x: Any) -> Any:
        x = tf.cast(x, tf.float32)
        return x if self._scale == 1.0 else x * tf.constant(self._scale, tf.float32)


class CompiledTraining:
    """Trains a compiled Keras model, one call per epoch, or a few of a second each if it is long.

    TensorFlow cannot be interrupted within a call, and Ctrl-C must not wait for minutes. Where an
    epoch is cut does not change what it computes.

    Args:
        model: a built and compiled ``keras.Model`` with Keras's own train step.
        examples: what it learns from.
        batch_size: examples per step; the last batch of an epoch may be shorter.
        brief: leave out TensorFlow's graph optimizers (``besom.training.fast.graph_optimizers``).

    Attributes:
        n_steps: steps per epoch.
        kernel: the fused optimizer kernel in use, None: Keras's own update.
    """

    def __init__(
        self, model: Any, examples: Examples, batch_size: int, brief: bool = False
    ) -> None:
        self._model, self._examples, self._batch_size = model, examples, batch_size
        self._brief = brief
        self._steps_a_call = FIRST_CALL_STEPS
        self.n_steps = -(-examples.n // batch_size)
        model.optimizer.build(model.trainable_variables)
        steps = tf.function(self._steps, autograph=False)
        position = tf.TensorSpec([], tf.int32)
        with fused_update(model.optimizer) as kernels, cheap_dropout(model):
            self._run = steps.get_concrete_function(
                tf.TensorSpec([examples.n], tf.int32), position, position
            )
        self.kernel = next(iter(kernels), None)

    def epoch(self, order: np.ndarray[Any, Any]) -> dict[str, Any]:
        """Train on each example once, in this order; return the training metrics.

        Args:
            order: a permutation of the examples' indices, int32, shape (n,).
        """
        indices, n, stop = tf.constant(order, tf.int32), self._examples.n, 0
        results: dict[str, Any] = {}
        while stop < n:
            start, stop = stop, min(stop + self._steps_a_call * self._batch_size, n)
            began = time.perf_counter()
            with graph_optimizers.left_out(self._brief):
                results = self._run(indices, tf.constant(start), tf.constant(stop))
            seconds_a_step = (time.perf_counter() - began) * self._batch_size / (stop - start)
            self._steps_a_call = max(int(CALL_SECONDS / seconds_a_step), 1)
        return _plain(results)

    def _steps(self, order: Any, start: Any, stop: Any) -> dict[str, Any]:
        model, examples, size = self._model, self._examples, self._batch_size

        def step(start: Any) -> tuple[Any]:
            model.train_step(examples.gather(order[start : tf.minimum(start + size, stop)]))
            return (start + size,)

        tf.while_loop(lambda start: start < stop, step, [start], parallel_iterations=1)
        return _results_then_reset(model, at_end=tf.equal(stop, examples.n))


class CompiledEvaluation:
    """Measures a compiled Keras model on fixed examples, one call per pass.

    Args:
        model: a built and compiled ``keras.Model`` with Keras's own test step.
        examples: what it is measured on.
        batch_size: examples judged at once.
        brief: as for ``CompiledTraining``.

    Attributes:
        correct: after a pass, whether each example was classified right, bool, shape (n,); None for
            a model that does not classify.
    """

    def __init__(
        self, model: Any, examples: Examples, batch_size: int, brief: bool = False
    ) -> None:
        self._model, self._examples, self._batch_size = model, examples, batch_size
        self._brief = brief
        self.correct: np.ndarray[Any, Any] | None = None
        self._run = tf.function(self._pass, autograph=False).get_concrete_function()

    def measure(self) -> dict[str, Any]:
        """Return the loss and metrics over all the examples."""
        with graph_optimizers.left_out(self._brief):
            results, correct = self._run()
        self.correct = None if correct is None else correct.numpy()
        return _plain(results)

    def _pass(self) -> tuple[dict[str, Any], Any]:
        examples, size = self._examples, self._batch_size
        if examples.n <= size:  # no loop: a smaller graph, which a short trial feels
            correct = self._judge(0, examples.n)
            return _results_then_reset(self._model), correct
        n_batches = -(-examples.n // size)
        collected = tf.TensorArray(tf.bool, n_batches, infer_shape=False, element_shape=[None])
        classifies = True

        def step(start: Any, collected: Any) -> tuple[Any, Any]:
            nonlocal classifies
            correct = self._judge(start, start + size)
            classifies = correct is not None
            return start + size, collected.write(
                start // size, correct
            ) if classifies else collected

        _, collected = tf.while_loop(
            lambda start, _: start < examples.n, step, [0, collected], parallel_iterations=1
        )
        return _results_then_reset(self._model), collected.concat() if classifies else None

    def _judge(self, start: Any, stop: Any) -> Any | None:
        """Measure the model on a slice; return which of it is classified right."""
        x, y = self._examples.slice(start, stop)
        return classified_right(test_step(self._model, x, y), y, tf.experimental.numpy)


def _results_then_reset(model: Any, at_end: Any = True) -> dict[str, Any]:
    """The metrics of the batches since the last reset, which is done after, not before: Keras's
    compiled metrics cannot be reset before they have seen their first batch."""
    results = {n: tf.identity(value) for n, value in _flat(model.get_metrics_result()).items()}
    with tf.control_dependencies(list(results.values())):
        if at_end is True:
            model.reset_metrics()
        else:
            tf.cond(at_end, model.reset_metrics, lambda: None)
    return results


def _flat(results: dict[str, Any]) -> dict[str, Any]:
    """A metric whose result is a mapping has a line of the history for each key, as in Keras."""
    flat: dict[str, Any] = {}
    for name, value in results.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def _plain(results: dict[str, Any]) -> dict[str, Any]:
    """Numbers as ``model.fit`` hands them to callbacks: Python's; a metric may also be an array."""
    arrays = {name: np.asarray(value) for name, value in results.items()}
    return {name: array if array.ndim else array.item() for name, array in arrays.items()}
