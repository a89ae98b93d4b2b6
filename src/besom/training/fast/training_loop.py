"""Epochs of training as graphs: over examples in memory, or over a stream's batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from besom.training.epochs.batches import Passes, stream_problems
from besom.training.fast import graph_optimizers
from besom.training.fast.dropout import cheap_dropout
from besom.training.fast.fused import fused_update
from besom.training.fast.results import plain, results_then_reset
from besom.training.fast.tensors import Tensors

#: A call of the training function should take about this long: what Ctrl-C waits for at most.
CALL_SECONDS = 1.0
#: The steps of the first call, whose speed tells how many the next one may take.
FIRST_CALL_STEPS = 100


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
        return plain(results)


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
        return results_then_reset(model, at_end=tf.equal(stop, self.n_steps))


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

    def take_over(self, other: CompiledStream) -> None:
        """Go on with the batches where another has come to."""
        self.passes, self._iterator = other.passes, other._iterator

    def read_on(self, n_epochs: int) -> None:
        """Read what so many epochs were trained on, and drop it: what follows is as it would be.

        A stream that shuffles or augments has then drawn as often as in a run from the beginning.
        """
        source = self.passes.source
        with stream_problems(self.passes, lambda: 1):
            if self.passes.goes_on:
                self._iterator = iter(source.skip(n_epochs * self.n_steps))
                return
            for _ in range(n_epochs):
                source.reduce(np.int64(0), lambda n, *_: n + 1)

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
        return results_then_reset(model, at_end=tf.equal(stop, self.n_steps))


def _traced(model: Any, steps: Any, *signature: Any) -> tuple[Any, str | None]:
    """The steps as a graph, and the fused kernel that its optimizer uses, if any."""
    model.optimizer.build(model.trainable_variables)
    function = tf.function(steps, autograph=False)
    with fused_update(model.optimizer) as kernels, cheap_dropout(model):
        traced = function.get_concrete_function(*signature)
    return traced, next(iter(kernels), None)
