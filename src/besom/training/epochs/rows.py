"""What is kept of each validation example, computed in the graph where it is measured.

Both engines collect it in the pass that measures an epoch: a second pass would cost as much.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from besom.training.epochs.per_example import PerExample

#: The row that says of each example whether it is classified right.
CORRECT = "correct"

#: Row name to its value for each example, (n,): bool for ``CORRECT``, else float32.
Kept = dict[str, np.ndarray[Any, Any]]


class Rows:
    """Says what is kept of the examples of a batch.

    Args:
        kind: the task, one of ``besom.training.data.task.KINDS``; anything else: nothing is known
            to be right.
        threshold: from where a lone output says yes.
        per_example: the metrics of which each example's part is kept too, by their names.

    Attributes:
        threshold: as given.
        dtypes: the rows that there may be, and their dtypes.
    """

    def __init__(
        self, kind: Any, threshold: float = 0.5, per_example: PerExample | None = None
    ) -> None:
        self._kind, self.threshold, self.per_example = kind, threshold, per_example
        self.dtypes: dict[str, Any] = {CORRECT: tf.bool}
        if per_example is not None:
            self.dtypes |= dict.fromkeys(sorted(per_example.names - {CORRECT}), tf.float32)

    def of(self, y: Any, predictions: Any, weight: Any = None) -> dict[str, Any]:
        """Return the rows of a batch as tensors (batch,); those that cannot be had are left out.

        Args:
            y, predictions, weight: tensors, or nests of them by output; weight may be None.
        """
        rows: dict[str, Any] = {}
        if self.per_example is not None and y is not None:
            rows |= self.per_example.values(y, predictions, weight)
        if not (tf.is_tensor(y) and tf.is_tensor(predictions)):
            return rows
        right = classified_right(predictions, y, tf.experimental.numpy, self._kind, self.threshold)
        return rows if right is None else {**rows, CORRECT: right}


def classified_right(
    predictions: Any, y: Any, xp: Any, kind: Any = "classification", threshold: float = 0.5
) -> Any | None:
    """Return whether each prediction names its label; None if they are no class scores.

    Args:
        predictions: scores (n, n_classes), or of the second class (n, 1) or (n,).
        y: class numbers, shape (n,) or (n, 1); one-hot rows (n, n_classes).
        xp: what computes: ``numpy``, or ``tensorflow.experimental.numpy``.
        kind: what the labels are.
        threshold: from where a score of the second class alone names it.
    """
    if len(predictions.shape) == 1 and kind == "binary":
        predictions = predictions[:, None]
    if len(predictions.shape) != 2 or kind not in ("classification", "one-hot", "binary"):
        return None
    if kind == "one-hot":
        if len(y.shape) != 2 or y.shape[1] != predictions.shape[1]:
            return None
        return xp.equal(xp.argmax(predictions, 1), xp.argmax(y, 1))
    if len(y.shape) == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if len(y.shape) != 1:
        return None
    if predictions.shape[1] == 1:
        return (predictions[:, 0] > threshold) == (y > 0)
    return xp.equal(xp.argmax(predictions, 1), y if kind == "classification" else y > 0)
