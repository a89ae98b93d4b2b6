"""Which optimizers get a fused kernel, and that nothing of it stays behind."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_world import OwnAdam

from besom.training.fast.fused import fused_update

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("optimizer", "kernel"),
    [
        (keras.optimizers.Adam(), "ResourceApplyAdam"),
        (keras.optimizers.Adam(clipnorm=1.0, use_ema=True), "ResourceApplyAdam"),
        (keras.optimizers.Adam(amsgrad=True), "ResourceApplyAdamWithAmsgrad"),
        (keras.optimizers.AdamW(), "ResourceApplyAdam"),
        (keras.optimizers.SGD(), "ResourceApplyGradientDescent"),
        (keras.optimizers.SGD(momentum=0.9), "ResourceApplyKerasMomentum"),
        (keras.optimizers.RMSprop(), "ResourceApplyRMSProp"),
        (keras.optimizers.RMSprop(centered=True), "ResourceApplyCenteredRMSProp"),
        (keras.optimizers.Nadam(), None),
        (keras.optimizers.Lion(), None),
        (keras.optimizers.Adamax(), None),
        (OwnAdam(), None),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_kernel_is_used_only_for_the_very_class_it_matches(
    optimizer: Any, kernel: str | None
) -> None:
    weights = keras.Variable([1.0, 2.0])
    optimizer.build([weights])

    def step(gradient: Any) -> None:
        optimizer.apply([gradient], [weights])

    with fused_update(optimizer) as kernels:
        graph = tf.function(step).get_concrete_function(tf.TensorSpec([2])).graph
    in_graph = {op.type for op in graph.get_operations() if op.type.startswith("ResourceApply")}
    assert kernels == in_graph == ({kernel} if kernel else set())
    assert "_backend_update_step" not in vars(optimizer)


def test_the_hook_is_gone_when_tracing_fails() -> None:
    optimizer = keras.optimizers.Adam()
    optimizer.build([keras.Variable([1.0, 2.0])])
    with pytest.raises(RuntimeError, match="tracing"), fused_update(optimizer):
        raise RuntimeError("tracing")
    assert "_backend_update_step" not in vars(optimizer)


def test_sparse_gradients_stay_with_keras() -> None:
    table = keras.Variable(np.ones((5, 2), np.float32))
    optimizer = keras.optimizers.Adam()
    optimizer.build([table])

    def step(rows: Any) -> None:
        optimizer.apply([tf.IndexedSlices(tf.ones((2, 2)), rows, [5, 2])], [table])

    with fused_update(optimizer) as kernels:
        tf.function(step).get_concrete_function(tf.TensorSpec([2], tf.int32))
    assert kernels == set()


def test_an_optimizer_without_keras_hook_is_left_alone() -> None:
    class Foreign:
        """As a later Keras might have it."""

    with fused_update(Foreign()) as kernels:
        assert kernels == set()
