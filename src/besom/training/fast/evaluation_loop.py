"""Passes that measure a model as graphs: over examples in memory, or over a stream's batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from besom.training.data.examples import Examples, Stream
from besom.training.epochs.batches import cached, evaluation_batches, in_memory, tensors_of
from besom.training.epochs.rows import Kept, Rows
from besom.training.fast import graph_optimizers
from besom.training.fast.keras_private import test_step
from besom.training.fast.results import plain, results_then_reset
from besom.training.fast.tensors import Tensors


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
        return plain(results)

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
            return results_then_reset(self._model), kept
        n_batches = -(-tensors.n // size)
        kept = self._loop(n_batches, lambda i: tensors.slice(i * size, (i + 1) * size))
        return results_then_reset(self._model), kept


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
        return results_then_reset(self._model), kept
