"""TensorFlow's fused optimizer kernels in place of Keras's update, where the numbers are the same.

Keras writes an optimizer's update as a dozen operations per variable, each a pass over memory;
TensorFlow has kernels that do it in one. Only the update itself is swapped: clipping, weight decay,
moving averages, constraints, schedules and the step count stay Keras's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from besom.training.fast.keras_private import (
    Update,
    slot_index,
    slots,
    update_of,
    update_replaced,
)


@contextmanager
def fused_update(optimizer: Any) -> Iterator[set[str]]:
    """While open, ``optimizer.apply`` traces the fused kernel, where one fits.

    The optimizer must be built. A gradient that is not a dense float32 tensor (an embedding's)
    sends the whole update back to Keras.

    Yields:
        A set that will hold the name of the kernel once it is in a graph.
    """
    traced: set[str] = set()
    keras_update = update_of(optimizer)
    chosen = _choose(optimizer)
    if keras_update is None or chosen is None:
        yield traced
        return
    name, fused = chosen

    def update(gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        if all(_is_plain(g, v) for g, v in zip(gradients, variables, strict=True)):
            fused(gradients, variables, rate)
            traced.add(name)
        else:
            keras_update(gradients, variables, rate)

    with update_replaced(optimizer, update):
        yield traced


def _is_plain(gradient: Any, variable: Any) -> bool:
    return isinstance(gradient, tf.Tensor) and gradient.dtype == tf.float32 == variable.value.dtype


def _choose(optimizer: Any) -> tuple[str, Update] | None:
    """The kernel for this very class (a subclass may update differently) and these settings."""
    kind = type(optimizer)
    if kind in (keras.optimizers.Adam, keras.optimizers.AdamW):
        name = "ResourceApplyAdamWithAmsgrad" if optimizer.amsgrad else "ResourceApplyAdam"
        return name, _adam(optimizer)
    if kind is keras.optimizers.SGD:
        name = (
            "ResourceApplyKerasMomentum" if optimizer.momentum else "ResourceApplyGradientDescent"
        )
        return name, _sgd(optimizer)
    if kind is keras.optimizers.RMSprop:
        name = "ResourceApplyCenteredRMSProp" if optimizer.centered else "ResourceApplyRMSProp"
        return name, _rmsprop(optimizer)
    return None


def _handle(variable: Any) -> Any:
    return variable.value.handle


def _adam(optimizer: Any) -> Update:
    def update(gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        step = tf.cast(optimizer.iterations + 1, tf.float32)
        common = {
            "beta1_power": tf.pow(tf.constant(optimizer.beta_1, tf.float32), step),
            "beta2_power": tf.pow(tf.constant(optimizer.beta_2, tf.float32), step),
            "lr": tf.cast(rate, tf.float32),
            "beta1": tf.constant(optimizer.beta_1, tf.float32),
            "beta2": tf.constant(optimizer.beta_2, tf.float32),
            "epsilon": tf.constant(optimizer.epsilon, tf.float32),
        }
        for gradient, variable in zip(gradients, variables, strict=True):
            index = slot_index(optimizer, variable)
            inputs = {
                "var": _handle(variable),
                "m": _handle(slots(optimizer, "momentums")[index]),
                "v": _handle(slots(optimizer, "velocities")[index]),
                "grad": gradient,
            }
            if optimizer.amsgrad:
                vhat = _handle(slots(optimizer, "velocity_hats")[index])
                tf.raw_ops.ResourceApplyAdamWithAmsgrad(vhat=vhat, **inputs, **common)
            else:
                tf.raw_ops.ResourceApplyAdam(**inputs, **common)

    return update


def _sgd(optimizer: Any) -> Update:
    def update(gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        rate = tf.cast(rate, tf.float32)
        for gradient, variable in zip(gradients, variables, strict=True):
            if optimizer.momentum == 0:
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=_handle(variable), alpha=rate, delta=gradient
                )
                continue
            index = slot_index(optimizer, variable)
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=_handle(variable),
                accum=_handle(slots(optimizer, "momentums")[index]),
                lr=rate,
                grad=gradient,
                momentum=tf.constant(optimizer.momentum, tf.float32),
                use_nesterov=optimizer.nesterov,
            )

    return update


def _rmsprop(optimizer: Any) -> Update:
    # The kernel always keeps a momentum; Keras has none where it is 0, so one of ours stands in.
    stand_ins = (
        []
        if optimizer.momentum > 0
        else [tf.Variable(tf.zeros_like(v)) for v in slots(optimizer, "velocities")]
    )

    def update(gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        common = {
            "lr": tf.cast(rate, tf.float32),
            "rho": tf.constant(optimizer.rho, tf.float32),
            "momentum": tf.constant(optimizer.momentum, tf.float32),
            "epsilon": tf.constant(optimizer.epsilon, tf.float32),
        }
        for gradient, variable in zip(gradients, variables, strict=True):
            index = slot_index(optimizer, variable)
            momentums = stand_ins or [v.value for v in slots(optimizer, "momentums")]
            inputs = {
                "var": _handle(variable),
                "ms": _handle(slots(optimizer, "velocities")[index]),
                "mom": momentums[index].handle,
                "grad": gradient,
            }
            if optimizer.centered:
                mg = _handle(slots(optimizer, "average_gradients")[index])
                tf.raw_ops.ResourceApplyCenteredRMSProp(mg=mg, **inputs, **common)
            else:
                tf.raw_ops.ResourceApplyRMSProp(**inputs, **common)

    return update
