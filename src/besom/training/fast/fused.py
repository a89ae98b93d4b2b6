"""TensorFlow's fused optimizer kernels in place of Keras's update, where the numbers are the same.

Keras writes an optimizer's update as a dozen operations a variable, each a pass over memory;
TensorFlow has kernels that do it in one. Only the update itself is swapped: clipping, weight decay,
moving averages, constraints, schedules and the step count stay Keras's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

#: ``update(gradients, variables, learning_rate)``, called while the step is traced.
Update = Callable[[Sequence[Any], Sequence[Any], Any], None]

_HOOK = "_backend_update_step"


@contextmanager
def fused_update(optimizer: Any) -> Iterator[set[str]]:
    """While open, ``optimizer.apply`` traces the fused kernel, where one fits.

    The optimizer must be built. A gradient that is not a dense float32 tensor (an embedding's)
    sends the whole update back to Keras.

    Yields:
        A set that will hold the name of the kernel once it is in a graph.
    """
    traced: set[str] = set()
    chosen = _choose(optimizer) if hasattr(optimizer, _HOOK) else None
    if chosen is None:
        yield traced
        return
    name, update = chosen
    keras_update = getattr(optimizer, _HOOK)

    def update_step(gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        if all(_is_plain(g, v) for g, v in zip(gradients, variables, strict=True)):
            update(gradients, variables, rate)
            traced.add(name)
        else:
            keras_update(gradients, variables, rate)

    # Past Keras's attribute tracking: this is no part of the optimizer's state.
    object.__setattr__(optimizer, _HOOK, update_step)
    try:
        yield traced
    finally:
        object.__delattr__(optimizer, _HOOK)


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
            index = optimizer._get_variable_index(variable)
            slots = {
                "var": _handle(variable),
                "m": _handle(optimizer._momentums[index]),
                "v": _handle(optimizer._velocities[index]),
                "grad": gradient,
            }
            if optimizer.amsgrad:
                vhat = _handle(optimizer._velocity_hats[index])
                tf.raw_ops.ResourceApplyAdamWithAmsgrad(vhat=vhat, **slots, **common)
            else:
                tf.raw_ops.ResourceApplyAdam(**slots, **common)

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
            index = optimizer._get_variable_index(variable)
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=_handle(variable),
                accum=_handle(optimizer.momentums[index]),
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
        else [tf.Variable(tf.zeros_like(v)) for v in optimizer._velocities]
    )

    def update(gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        common = {
            "lr": tf.cast(rate, tf.float32),
            "rho": tf.constant(optimizer.rho, tf.float32),
            "momentum": tf.constant(optimizer.momentum, tf.float32),
            "epsilon": tf.constant(optimizer.epsilon, tf.float32),
        }
        for gradient, variable in zip(gradients, variables, strict=True):
            index = optimizer._get_variable_index(variable)
            momentum = (
                stand_ins[index].handle if stand_ins else _handle(optimizer._momentums[index])
            )
            slots = {
                "var": _handle(variable),
                "ms": _handle(optimizer._velocities[index]),
                "mom": momentum,
                "grad": gradient,
            }
            if optimizer.centered:
                mg = _handle(optimizer._average_gradients[index])
                tf.raw_ops.ResourceApplyCenteredRMSProp(mg=mg, **slots, **common)
            else:
                tf.raw_ops.ResourceApplyRMSProp(**slots, **common)

    return update
