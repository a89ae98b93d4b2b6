"""The compiled engine: a whole epoch of ``model.train_step`` as one TensorFlow function.

``model.fit`` goes back to Python for every batch. Here the data lies in memory as tensors, and
the loop over batches, the gathering and scaling of each, the step and the metrics are one graph;
so is the loop over a ``tf.data`` iterator, where the data is a stream.
What a step computes is Keras's own ``train_step``; only the optimizer's update and the dropout
masks may come from cheaper kernels (the modules ``fused`` and ``dropout``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import BesomError
from besom.training.data.examples import Examples, Stream
from besom.training.epochs.batches import (
    Passes,
    cached,
    evaluation_batches,
    in_memory,
    stream_problems,
    tensors_of,
    training_passes,
)
from besom.training.epochs.job import EpochsRun, Job
from besom.training.epochs.recompiling import recompiling_noticed
from besom.training.epochs.rows import Kept, Rows
from besom.training.epochs.weights import averages_in
from besom.training.fast import graph_optimizers
from besom.training.fast.dropout import cheap_dropout
from besom.training.fast.fused import fused_update
from besom.training.fast.keras_private import test_step
from besom.training.fast.tensors import Tensors
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
        compiled.begin(done + 1)
        for epoch in range(done + 1, settings.epochs + 1):
            callbacks.on_epoch_begin(epoch - 1)
            if recompiled.since_last():
                with tracing():
                    compiled = _Compiled(job)
                compiled.begin(epoch)
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
        if job.save_to is not None and compiled.can_go_on and not recompiled.ever:
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
        can_go_on: whether a later run can take up the examples where this one ends.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        model, size, train = job.model, job.settings.batch_size, job.data.train
        brief = train.n is not None and graph_optimizers.is_brief(model.count_params(), train.n)
        self.can_go_on = not isinstance(train, Stream)
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

    def begin(self, epoch: int) -> None:
        """Take the examples from ``epoch`` (from 1) on."""
        if epoch > 1 and isinstance(self._training, CompiledStream):
            self._training.passes = self._passes(epoch)

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train an epoch, and return its metrics."""
        if isinstance(self._training, CompiledStream):
            return self._training.epoch(epoch)
        return self._training.epoch(self._job.order(epoch))

    @property
    def rows(self) -> Kept | None:
        """What is kept of each validation example of the last pass."""
        return self.judges["val_"].rows if "val_" in self.judges else None


class _StepsInCalls:
    """Runs a graph of many steps, a few of a second each at a time.

    TensorFlow cannot be interrupted within a call, and Ctrl-C must not wait for minutes. Where an
    epoch is cut does not change what it computes.
    """

    def __init__(self, n_steps: int, brief: bool) -> None:
        self.n_steps, self._brief = n_steps, brief
        self._steps_a_call = FIRST_CALL_STEPS

    def _all_steps(self, run: Callable[[Any, Any], dict[str, Any]]) -> dict[str, Any]:
        """Call ``run(start, stop)`` until all steps have run; returns what the last call did."""
        stop = 0
        results: dict[str, Any] = {}
        while stop < self.n_steps:
            start, stop = stop, min(stop + self._steps_a_call, self.n_steps)
            began = time.perf_counter()
            with graph_optimizers.left_out(self._brief):
                results = run(tf.constant(start), tf.constant(stop))
            seconds_a_step = (time.perf_counter() - began) / (stop - start)
            self._steps_a_call = max(int(CALL_SECONDS / seconds_a_step), 1)
        return _plain(results)


class CompiledTraining(_StepsInCalls):
    """Trains a compiled Keras model on examples in memory, one call per epoch, or a few.

    Args:
        model: a built and compiled ``keras.Model`` with Keras's own train step.
        tensors: what it learns from.
        batch_size: examples per step; the last batch of an epoch may be shorter.
        brief: leave out TensorFlow's graph optimizers (``besom.training.fast.graph_optimizers``).
        n: how many examples an epoch takes; None: each once.

    Attributes:
        n_steps: steps per epoch.
        kernel: the fused optimizer kernel in use, None: Keras's own update.
    """

    def __init__(
        self,
        model: Any,
        tensors: Tensors,
        batch_size: int,
        brief: bool = False,
        n: int | None = None,
    ) -> None:
        self._model, self._tensors, self._batch_size = model, tensors, batch_size
        n = tensors.n if n is None else n
        super().__init__(-(-n // batch_size), brief)
        position = tf.TensorSpec([], tf.int32)
        self._run, self.kernel = _traced(
            model, self._steps, tf.TensorSpec([n], tf.int32), position, position
        )

    def epoch(self, order: np.ndarray[Any, Any]) -> dict[str, Any]:
        """Train on the examples in this order; return the training metrics.

        Args:
            order: indices of examples, int32, shape (n,).
        """
        indices = tf.constant(order, tf.int32)
        return self._all_steps(lambda start, stop: self._run(indices, start, stop))

    def _steps(self, order: Any, start: Any, stop: Any) -> dict[str, Any]:
        model, tensors, size = self._model, self._tensors, self._batch_size
        n = order.shape[0]

        def step(position: Any) -> tuple[Any]:
            begin = position * size
            model.train_step(tensors.gather(order[begin : tf.minimum(begin + size, n)]))
            return (position + 1,)

        tf.while_loop(lambda position: position < stop, step, [start], parallel_iterations=1)
        return _results_then_reset(model, at_end=tf.equal(stop, self.n_steps))


class CompiledStream(_StepsInCalls):
    """Trains a compiled Keras model on batches that come one after another.

    Args:
        model, brief: as for ``CompiledTraining``.
        passes: the batches, of a ``tf.data.Dataset``.

    Attributes:
        n_steps, kernel: as of ``CompiledTraining``.
    """

    def __init__(self, model: Any, passes: Passes, brief: bool = False) -> None:
        self._model, self.passes = model, passes
        super().__init__(passes.n_steps, brief)
        self._iterator: Any = None
        position = tf.TensorSpec([], tf.int32)
        spec = tf.data.IteratorSpec(passes.source.element_spec)
        self._run, self.kernel = _traced(model, self._steps, spec, position, position)

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train an epoch's steps; return the training metrics.

        Args:
            epoch: its number (from 1), for messages.

        Raises:
            DataError: the batches end before that, or cannot be made.
        """
        if self._iterator is None or not self.passes.goes_on:
            self._iterator = iter(self.passes.source)
        with stream_problems(self.passes, lambda: epoch):
            return self._all_steps(lambda start, stop: self._run(self._iterator, start, stop))

    def _steps(self, iterator: Any, start: Any, stop: Any) -> dict[str, Any]:
        model = self._model

        def step(position: Any) -> tuple[Any]:
            model.train_step(iterator.get_next())
            return (position + 1,)

        tf.while_loop(lambda position: position < stop, step, [start], parallel_iterations=1)
        return _results_then_reset(model, at_end=tf.equal(stop, self.n_steps))


def _traced(model: Any, steps: Any, *signature: Any) -> tuple[Any, str | None]:
    """The steps as a graph, and the fused kernel that its optimizer uses, if any."""
    model.optimizer.build(model.trainable_variables)
    function = tf.function(steps, autograph=False)
    with fused_update(model.optimizer) as kernels, cheap_dropout(model):
        traced = function.get_concrete_function(*signature)
    return traced, next(iter(kernels), None)


def compiled_evaluation(
    model: Any,
    part: Examples | Stream,
    batch_size: int,
    brief: bool = False,
    rows: Rows | None = None,
) -> CompiledEvaluation | StreamEvaluation:
    """What measures a model on a part of the data, as a graph."""
    part = cached(part)
    if isinstance(part, Examples) and in_memory(part):
        return CompiledEvaluation(model, tensors_of(part), batch_size, brief, rows)
    return StreamEvaluation(model, evaluation_batches(part, batch_size), brief, rows)


class _Evaluation:
    """Measures a compiled Keras model; see ``CompiledEvaluation``."""

    def __init__(self, model: Any, brief: bool, rows: Rows | None) -> None:
        self._model, self._brief = model, brief
        self._rows = rows or Rows(None)
        self.rows: Kept | None = None

    def _measured(self, run: Callable[[], Any]) -> dict[str, Any]:
        with graph_optimizers.left_out(self._brief):
            results, rows = run()
        self.rows = {name: row.numpy() for name, row in rows.items()} or None
        return _plain(results)

    def _judge(self, batch: Any) -> dict[str, Any]:
        """Measure the model on a batch; return what is kept of its examples."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        return self._rows.of(y, test_step(self._model, x, y, weight), weight)

    def _loop(self, n_batches: Any, batch: Callable[[Any], Any]) -> dict[str, Any]:
        """Judge ``batch(0)`` to before ``batch(n_batches)``, and collect what is kept of each."""
        dtypes = self._rows.dtypes
        collected = {
            name: tf.TensorArray(dtype, n_batches, infer_shape=False, element_shape=[None])
            for name, dtype in dtypes.items()
        }
        there: set[str] = set()

        def step(i: Any, collected: Any) -> tuple[Any, Any]:
            kept = self._judge(batch(i))
            there.update(kept)
            return i + 1, {
                name: array.write(i, kept[name]) if name in kept else array
                for name, array in collected.items()
            }

        _, collected = tf.while_loop(
            lambda i, _: i < n_batches, step, [0, collected], parallel_iterations=1
        )
        return {name: array.concat() for name, array in collected.items() if name in there}


class CompiledEvaluation(_Evaluation):
    """Measures a compiled Keras model on fixed examples, one call per pass.

    Args:
        model: a built and compiled ``keras.Model`` with Keras's own test step.
        tensors: what it is measured on.
        batch_size: examples judged at once.
        brief: as for ``CompiledTraining``.
        rows: what is kept of each example; None: nothing.

    Attributes:
        rows: after a pass, what is kept of each example; None if nothing is.
    """

    def __init__(
        self,
        model: Any,
        tensors: Tensors,
        batch_size: int,
        brief: bool = False,
        rows: Rows | None = None,
    ) -> None:
        super().__init__(model, brief, rows)
        self._tensors, self._batch_size = tensors, batch_size
        self._run = tf.function(self._pass, autograph=False).get_concrete_function()

    def measure(self) -> dict[str, Any]:
        """Return the loss and metrics over all the examples."""
        return self._measured(self._run)

    def _pass(self) -> tuple[dict[str, Any], dict[str, Any]]:
        tensors, size = self._tensors, self._batch_size
        if tensors.n <= size:  # no loop: a smaller graph, which a short trial feels
            kept = self._judge(tensors.slice(0, tensors.n))
            return _results_then_reset(self._model), kept
        n_batches = -(-tensors.n // size)
        kept = self._loop(n_batches, lambda i: tensors.slice(i * size, (i + 1) * size))
        return _results_then_reset(self._model), kept


class StreamEvaluation(_Evaluation):
    """Measures a compiled Keras model on a ``tf.data.Dataset`` of batches, one call per pass.

    Args:
        model, brief, rows: as for ``CompiledEvaluation``.
        dataset: it must end, and be the same each time.

    Attributes:
        rows: as of ``CompiledEvaluation``.
    """

    def __init__(
        self, model: Any, dataset: Any, brief: bool = False, rows: Rows | None = None
    ) -> None:
        super().__init__(model, brief, rows)
        self._dataset = dataset
        self._n_batches = int(dataset.cardinality())
        if self._n_batches < 0:
            self._n_batches = int(dataset.reduce(0, lambda n, *_: n + 1))
        spec = tf.data.IteratorSpec(dataset.element_spec)
        self._run = tf.function(self._pass, autograph=False).get_concrete_function(spec)

    def measure(self) -> dict[str, Any]:
        """Return the loss and metrics over all batches."""
        return self._measured(lambda: self._run(iter(self._dataset)))

    def _pass(self, iterator: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        kept = self._loop(self._n_batches, lambda _: iterator.get_next())
        return _results_then_reset(self._model), kept


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
