"""Takes down which validation images ``model.fit`` gets right, in the pass that measures them.

Keras hands out an epoch's metrics, not what the model said. A second pass would cost as much as the
first; instead the test step that Keras compiles also writes the answers into a variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from besom.training.fast.keras_private import replaced
from besom.training.job import classified_right


class Recorder:
    """What the model's test step has seen since it was last told to forget.

    Args:
        n_images: the validation images, in their order.
    """

    def __init__(self, n_images: int) -> None:
        self._n_images = n_images
        # Floats: every device can write single ones of them.
        self._right = tf.Variable(tf.zeros([n_images]), trainable=False)
        self._n_seen = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._testing = False

    def forget(self) -> None:
        """Begin anew: what is seen from now on is the validation images, from the first."""
        self._n_seen.assign(0)

    def taken(self) -> np.ndarray[Any, Any] | None:
        """Return whether each image was right, bool.

        None if not each was seen once, as where the model's own test step tells nothing.
        """
        whole = int(self._n_seen.numpy()) == self._n_images
        return self._right.numpy() > 0.5 if whole else None

    @contextmanager
    def listening(self, model: Any) -> Iterator[None]:
        """While open, the model's test step is listened to; its training step is not."""
        test_step, compute_metrics = model.test_step, model.compute_metrics

        def step(*args: Any, **kwargs: Any) -> Any:
            self._testing = True
            try:
                return test_step(*args, **kwargs)
            finally:
                self._testing = False

        def metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if self._testing:
                self._note(y, y_pred)
            return compute_metrics(x, y, y_pred, sample_weight)

        try:
            with replaced(model, test_step=step, compute_metrics=metrics):
                yield
        finally:
            model.test_function = None  # it was compiled with what has just been taken away

    def _note(self, y: Any, predictions: Any) -> None:
        if not (tf.is_tensor(y) and tf.is_tensor(predictions)):
            return
        right = classified_right(predictions, y, tf.experimental.numpy)
        if right is None:
            return
        n = tf.shape(right)[0]
        # Wrapped around: what is not the validation images must not fail, and is not taken.
        places = (self._n_seen + tf.range(n)) % self._n_images
        self._right.scatter_nd_update(places[:, None], tf.cast(right, tf.float32))
        self._n_seen.assign_add(n)
