"""Every use of Keras's private names, in one place, with the two of TensorFlow's that belong to it.

What besom does faster than ``model.fit`` needs parts that Keras keeps to itself: what a test step
computes, the optimizer's state, the update that a fused kernel replaces. An update of Keras may
rename what is used here: ``tests/training/test_keras_private.py`` checks each name.

TensorFlow's registry of gradients is the business of ``besom.training.fast.custom_gradients``.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

from besom.training.data.nests import leaves

#: The version of Keras whose private names these are.
CHECKED_WITH = "3.15.1"

#: ``update(gradients, variables, learning_rate)``, called while the step is traced.
Update = Callable[[Any, Any, Any], None]

_UPDATE = "_backend_update_step"


@contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """While open, a model, layer or optimizer has these attributes in place of its class's.

    Keras's tracking of attributes is passed by: they are no part of the owner's state.
    """
    for name, value in attributes.items():
        object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        for name in attributes:
            object.__delattr__(owner, name)


def all_layers(model: Any) -> list[Any]:
    """The model and all of its layers, also those inside others."""
    layers: list[Any] = model._flatten_layers()
    return layers


def producer(tensor: Any) -> Any:
    """The layer or model that a symbolic tensor is the output of."""
    return tensor._keras_history.operation


@contextmanager
def uses_forgotten(tensor: Any) -> Iterator[None]:
    """While open, models may be built on a symbolic tensor; its layer does not keep them alive."""
    nodes = producer(tensor)._outbound_nodes
    before = list(nodes)
    try:
        yield
    finally:
        nodes[:] = before


def test_step(model: Any, x: Any, y: Any, weight: Any = None) -> Any:  # noqa: PT028
    """What ``keras.Model.test_step`` computes; returns the predictions, which Keras's drops."""
    predictions = model(x, training=False) if model._call_has_training_arg else model(x)
    loss = model._compute_loss(x=x, y=y, y_pred=predictions, sample_weight=weight, training=False)
    model._loss_tracker.update_state(loss, sample_weight=tf.shape(leaves(x)[0])[0])
    model.compute_metrics(x, y, predictions, sample_weight=weight)
    return predictions


def update_of(optimizer: Any) -> Update | None:
    """Keras's own update of all variables; None for an optimizer that has none to replace."""
    update: Update | None = getattr(optimizer, _UPDATE, None)
    return update


@contextmanager
def update_replaced(optimizer: Any, update: Update) -> Iterator[None]:
    """While open, ``optimizer.apply`` calls ``update`` in place of Keras's own."""
    with replaced(optimizer, **{_UPDATE: update}):
        yield


def slots(
    optimizer: Any,
    name: Literal["momentums", "velocities", "velocity_hats", "average_gradients"],
) -> list[Any]:
    """The optimizer's state of this name, one variable for each that it trains."""
    public = isinstance(optimizer, keras.optimizers.SGD)
    found: list[Any] = getattr(optimizer, name if public else f"_{name}")
    return found


def slot_index(optimizer: Any, variable: Any) -> int:
    """The position in ``slots`` of what belongs to a trained variable."""
    index: int = optimizer._get_variable_index(variable)
    return index


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put back what Keras and TensorFlow draw random numbers from, and count names by."""
    from tensorflow.python.eager import context

    tracker, eager = global_state.GLOBAL_STATE_TRACKER, context.context()
    of_keras = {name: copy.copy(value) for name, value in vars(tracker).items()}
    of_tensorflow = {name: vars(eager)[name] for name in ("_seed", "_rng") if name in vars(eager)}
    try:
        yield
    finally:
        vars(tracker).clear()
        vars(tracker).update(of_keras)
        vars(eager).update(of_tensorflow)


class CompiledMetric(NamedTuple):
    """A metric of a compiled model: its name in the history, and which output it judges."""

    name: str
    metric: Any
    output: int
    weighted: bool


def compiled_metrics(model: Any) -> list[CompiledMetric]:
    """The metrics that were named in ``compile``, with the names that their results have.

    None before the model's first step, when Keras makes them.
    """
    compiled = model._compile_metrics
    if compiled is None or not compiled.built:
        return []
    found: list[CompiledMetric] = []
    for weighted, group in (
        (False, compiled._flat_metrics),
        (True, compiled._flat_weighted_metrics),
    ):
        for output, metrics in enumerate(group):
            before = f"{metrics.output_name}_" if metrics and metrics.output_name else ""
            for metric in metrics.metrics if metrics else ():
                found.append(CompiledMetric(before + metric.name, metric, output, weighted))
    names = [metric.name for metric in found]
    # Keras numbers the second of a name; which one is meant is then not told from here.
    return [metric for metric in found if names.count(metric.name) == 1]


def flat_outputs(model: Any, y: Any) -> list[Any]:
    """Labels, or predictions, by the position of the output that ``CompiledMetric`` names."""
    flat: list[Any] = model._compile_metrics._flatten_y(y)
    return flat


class LossCall(NamedTuple):
    """One loss of a compiled model, and what Keras calls it with.

    Attributes:
        name: of the output, where there are several.
        loss: a ``keras.losses.Loss``.
        factor: ``loss_weights`` of it.
        y, predictions, weight: a batch of them.
    """

    name: str
    loss: Any
    factor: Any
    y: Any
    predictions: Any
    weight: Any


def loss_calls(model: Any, y: Any, predictions: Any, weight: Any) -> list[LossCall]:
    """What each of the losses named in ``compile`` is called with: Keras decides which output."""
    compiled = model._compile_loss
    if compiled is None or not compiled.built:
        return []
    calls: list[LossCall] = []

    def noted(named: Any) -> Any:
        def note(y: Any, predictions: Any, weight: Any) -> float:
            calls.append(
                LossCall(named.name, named.loss, named.loss_weights, y, predictions, weight)
            )
            return 0.0

        return named._replace(loss=note)

    losses, metrics = compiled._flat_losses, compiled._metrics
    compiled._flat_losses = [noted(named) for named in losses]
    compiled._metrics = [None] * len(losses)  # they would count these examples once more
    try:
        compiled(y, predictions, weight)
    finally:
        compiled._flat_losses, compiled._metrics = losses, metrics
    return calls


def mean_of(metric: Any) -> Any | None:
    """The function whose mean over examples a metric is; None where it is anything else."""
    wrapper = keras.metrics.MeanMetricWrapper
    for method in ("update_state", "result", "reset_state"):
        if getattr(type(metric), method) is not getattr(wrapper, method):
            return None
    return functools.partial(metric._fn, **metric._fn_kwargs)


def mask_of(predictions: Any) -> Any | None:
    """Which of the predictions count, where padded steps of sequences do not; None: all."""
    return getattr(predictions, "_keras_mask", None)
