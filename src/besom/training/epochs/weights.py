"""The weights that are measured are the weights that are kept, tested, exported and confirmed.

Keras hands an epoch's results *to* ``on_epoch_end``, and callbacks may change the weights there, in
``on_train_end``, and around validation; an optimizer may in ``finalize_variable_values``. So the
weights are taken within validation, and what is changed later is not kept. Where nothing can change
them, nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

#: A model's weights, in the order of ``model.weights``.
Weights = list[np.ndarray[Any, Any]]

#: Shown once where something has changed the weights after they were measured.
CHANGED_LATER = (
    "A callback, or the optimizer, changes the weights after the validation that measured them "
    "(in on_epoch_end or on_train_end). The weights that were measured are kept, without that "
    "change. To keep those of the best epoch: sweep.objective.epoch=best in a sweep, "
    "trainer.restore_best=true otherwise."
)


def may_change_later(model: Any, callbacks: Sequence[Any]) -> bool:
    """Whether the weights that an epoch is measured by may not be in the model at the run's end.

    Args:
        model: a compiled ``keras.Model``.
        callbacks: the user's Keras callbacks.
    """
    kind, optimizer = type(model), type(model.optimizer)
    plain = keras.optimizers.Optimizer
    return (
        bool(callbacks)
        or keeps_averages(model)
        or optimizer.finalize_variable_values is not plain.finalize_variable_values
        or kind.fit is not keras.Model.fit
        or kind.evaluate is not keras.Model.evaluate
    )


def keeps_averages(model: Any) -> bool:
    """Whether the optimizer keeps averages of the weights, which are the model then (use_ema)."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return any(
        getattr(each, "use_ema", False) for each in getattr(optimizer, "optimizers", [optimizer])
    )


def trainable(model: Any) -> Weights:
    """A copy of what is trained."""
    return [variable.numpy() for variable in model.trainable_variables]


@contextmanager
def averages_in(model: Any) -> Iterator[None]:
    """While open, the model holds its optimizer's averages, if there are any; then goes on.

    Not Keras's ``SwapEMAWeights``: that swaps by adding and subtracting, so training would go on
    from slightly other weights for having been measured.
    """
    if not keeps_averages(model):
        yield
        return
    raw = trainable(model)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, raw, strict=True):
            variable.assign(value)


@contextmanager
def held(model: Any, weights: Weights | None) -> Iterator[None]:
    """While open, the model has these weights; None: those it has."""
    if weights is None:
        yield
        return
    before = model.get_weights()
    model.set_weights(weights)
    try:
        yield
    finally:
        model.set_weights(before)


def alike(some: Weights, others: Weights) -> bool:
    """Whether two sets of weights are the same but for rounding."""
    return all(
        np.array_equal(a, b) or np.allclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)
        for a, b in zip(some, others, strict=True)
    )
