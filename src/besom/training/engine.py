"""The compiled engine: a whole epoch of ``model.train_step`` as one TensorFlow function.

``model.fit`` goes back to Python for every batch. Here the data lies in memory as tensors, and
the loop over batches, the gathering and scaling of each, the step and the metrics are one graph.
What a step computes is Keras's own ``train_step`` and ``test_step``; only the optimizer's update
may be a fused kernel (``besom.training.fused``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from besom.training.dropout import cheap_dropout
from besom.training.fused import fused_update


class Images:
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
        """Return the images ``indices``, ready for the model, and their labels."""
        return self._scaled(tf.gather(self._x, indices)), tf.gather(self._y, indices)

    def slice(self, start: Any, stop: Any) -> tuple[Any, Any]:
        """Return the images from ``start`` to before ``stop``, and their labels."""
        return self._scaled(self._x[start:stop]), self._y[start:stop]

    def _scaled(self, x: Any) -> Any:
        x = tf.cast(x, tf.float32)
        return x if self._scale == 1.0 else x * tf.constant(self._scale, tf.float32)


class CompiledTraining:
    """Trains a compiled Keras model, one call an epoch.

    Args:
        model: a built and compiled ``keras.Model`` with Keras's own train and test steps.
        images: what it learns from.
        batch_size: images a step; the last batch of an epoch may be shorter.

    Attributes:
        kernel: the fused optimizer kernel in use, None: Keras's own update.
    """

    def __init__(self, model: Any, images: Images, batch_size: int) -> None:
        self._model, self._images, self._batch_size = model, images, batch_size
        model.optimizer.build(model.trainable_variables)
        epoch = tf.function(self._epoch, autograph=False)
        with fused_update(model.optimizer) as self.kernel, cheap_dropout(model):
            self._run = epoch.get_concrete_function(tf.TensorSpec([images.n], tf.int32))

    def epoch(self, order: np.ndarray[Any, Any]) -> dict[str, Any]:
        """Train on each image once, in this order; return the training metrics.

        Args:
            order: a permutation of the images' indices, int32, shape (n,).
        """
        results = self._run(tf.constant(order, tf.int32))
        return {name: value.numpy() for name, value in results.items()}

    def _epoch(self, order: Any) -> dict[str, Any]:
        model, images, size = self._model, self._images, self._batch_size

        def step(start: Any) -> tuple[Any]:
            model.train_step(images.gather(order[start : start + size]))
            return (start + size,)

        tf.while_loop(lambda start: start < images.n, step, [0], parallel_iterations=1)
        return _results_and_reset(model)


class CompiledEvaluation:
    """Measures a compiled Keras model on fixed images, one call a pass.

    Attributes:
        correct: after a pass, whether each image was classified right, bool, shape (n,).
    """

    def __init__(self, model: Any, images: Images, batch_size: int) -> None:
        self._model, self._images, self._batch_size = model, images, batch_size
        self.correct: np.ndarray[Any, Any] = np.zeros(images.n, bool)
        self._run = tf.function(self._pass, autograph=False).get_concrete_function()

    def measure(self) -> dict[str, Any]:
        """Return the loss and metrics over all the images."""
        results, correct = self._run()
        self.correct = correct.numpy()
        return {name: value.numpy() for name, value in results.items()}

    def _pass(self) -> tuple[dict[str, Any], Any]:
        model, images, size = self._model, self._images, self._batch_size

        def step(start: Any, correct: Any) -> tuple[Any, Any]:
            x, y = images.slice(start, start + size)
            predictions: list[Any] = []
            _test_step(model, x, y, predictions)
            right = tf.equal(tf.argmax(predictions[0], -1, output_type=y.dtype), y)
            return start + size, correct.write(start // size, right)

        n_batches = -(-images.n // size)
        correct = tf.TensorArray(
            tf.bool, n_batches, infer_shape=False, element_shape=[None], clear_after_read=True
        )
        _, correct = tf.while_loop(
            lambda start, _: start < images.n, step, [0, correct], parallel_iterations=1
        )
        return _results_and_reset(model), correct.concat()


def _test_step(model: Any, x: Any, y: Any, predictions: list[Any]) -> None:
    """``model.test_step``, which does not hand out what the model said."""
    y_pred = model(x, training=False) if model._call_has_training_arg else model(x)
    loss = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=None, training=False)
    model._loss_tracker.update_state(loss, sample_weight=tf.shape(x)[0])
    model.compute_metrics(x, y, y_pred, sample_weight=None)
    predictions.append(y_pred)


def _results_and_reset(model: Any) -> dict[str, Any]:
    """The metrics of the batches just run; then reset (metrics are built with the first batch)."""
    results = {name: tf.identity(value) for name, value in model.get_metrics_result().items()}
    with tf.control_dependencies(list(results.values())):
        model.reset_metrics()
    return results
