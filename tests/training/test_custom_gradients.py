"""Custom gradients end with their graphs, and not before."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from besom.training.fast import custom_gradients

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def tied() -> None:
    custom_gradients.tie()


def registered() -> set[str]:
    gc.collect()
    return {name for name in ops.gradient_registry.list() if name.startswith("CustomGradient-")}


@tf.custom_gradient
def tenfold(x: Any) -> Any:
    """What it says going forward, 10 going back, whatever the truth."""
    return x * x, lambda upstream: upstream * 10.0


def slope(function: Any) -> float:
    with tf.GradientTape() as tape:
        x = tf.Variable(2.0)
        y = function(x)
    return float(tape.gradient(y, x))


def test_a_graph_and_its_custom_gradients_end_together() -> None:
    before = registered()

    def trace() -> weakref.ref[Any]:
        function = tf.function(lambda x: tenfold(x) + tf.nn.silu(x))
        assert slope(function) > 10.0
        assert registered() > before
        return weakref.ref(function.get_concrete_function(tf.TensorSpec([])).graph)

    graph = trace()
    assert registered() == before
    assert graph() is None


def test_a_function_that_outlives_the_graph_it_was_first_used_in_keeps_its_gradient() -> None:
    """A user's own module may hold one; here it is first called while another graph is traced."""
    lasting = tf.function(tenfold)

    def trace() -> None:
        tf.function(lambda x: lasting(x)).get_concrete_function(tf.TensorSpec([]))

    trace()
    gc.collect()
    assert slope(tf.function(lambda x: lasting(x))) == 10.0
    assert slope(lasting) == 10.0


@pytest.mark.parametrize(
    "within",
    [
        lambda x: tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, tenfold(v)), [0, x])[1],
        lambda x: tf.cond(x > 0, lambda: tenfold(x) * 100.0, lambda: x),
        lambda x: tf.recompute_grad(lambda v: tenfold(v) * 100.0)(x) * 1.0,
    ],
    ids=["while", "cond", "recompute_grad"],
)
def test_gradients_within_loops_and_branches_are_found_after_a_collection(within: Any) -> None:
    function = tf.function(within)
    function.get_concrete_function(tf.TensorSpec([]))
    gc.collect()
    assert slope(function) == 1000.0
