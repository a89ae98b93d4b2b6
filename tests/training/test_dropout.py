"""The cheaper dropout keeps Dropout's promises: the rate, the mean, independence, the seed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from besom.training.fast.dropout import cheap_dropout

pytestmark = pytest.mark.tensorflow

N_STEPS, N = 400, 1000


def steps(rate: float, n_steps: int = N_STEPS, shape: tuple[int, ...] = (N,), seed: int = 1) -> Any:
    """What the layer makes of ones in each of ``n_steps`` steps."""
    keras.utils.set_random_seed(seed)
    layer = keras.layers.Dropout(rate)
    with cheap_dropout(keras.Sequential([keras.Input(shape[1:] or (1,)), layer])):
        dropped = tf.function(lambda: layer(tf.ones(shape), training=True))
        return np.stack([dropped().numpy() for _ in range(n_steps)])


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.2, 0.25, 0.5, 0.87, 0.99])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate: float) -> None:
    y = steps(rate)
    sigma = np.sqrt(rate * (1 - rate) / y.size)
    # Rounding each step's rate to a 256th spreads it a little more.
    spread = np.hypot(sigma, 0.5 / 256 / np.sqrt(N_STEPS))
    assert abs((y == 0).mean() - rate) < 5 * spread
    assert y.mean() == pytest.approx(1, abs=5 * sigma / (1 - rate))


def test_each_steps_rate_is_one_of_two_neighbours_and_its_scale_fits_it() -> None:
    y = steps(0.2)
    scales = {float(step.max()) for step in y}
    assert sorted(scales) == pytest.approx([256 / 205, 256 / 204])
    for scale in scales:
        dropped = (y[y.max(axis=1) == np.float32(scale)] == 0).mean()
        assert dropped == pytest.approx(1 - 1 / scale, abs=0.01)
    assert len({float(step.max()) for step in steps(0.5)}) == 1


def test_neighbours_in_a_step_are_dropped_independently() -> None:
    zero = steps(0.5, n_steps=1, shape=(400_000,))[0] == 0
    for lag in (1, 2, 3, 4, 512):
        both = (zero[:-lag] & zero[lag:]).mean()
        assert both == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / zero.size))


@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (3, 4, 5, 2)])
def test_any_shape_is_kept_odd_sizes_included(shape: tuple[int, ...]) -> None:
    assert steps(0.4, n_steps=1, shape=shape)[0].shape == shape


def test_bfloat16_stays_bfloat16() -> None:
    layer = keras.layers.Dropout(0.2, dtype="bfloat16")
    with cheap_dropout(keras.Sequential([keras.Input((8,)), layer])):
        assert layer(tf.ones((2, 8), "bfloat16"), training=True).dtype == "bfloat16"


def test_a_seed_fixes_every_mask_and_each_call_draws_another() -> None:
    first = steps(0.4, n_steps=3, seed=4)
    np.testing.assert_array_equal(first, steps(0.4, n_steps=3, seed=4))
    assert (first != steps(0.4, n_steps=3, seed=5)).any()
    assert (first[0] != first[1]).any()


def test_nothing_is_dropped_when_not_training() -> None:
    layer = keras.layers.Dropout(0.5)
    with cheap_dropout(keras.Sequential([keras.Input((8,)), layer])):
        assert layer(tf.ones((2, 8)), training=False).numpy().all()


def test_only_plain_dropout_layers_are_touched_and_only_while_open() -> None:
    class OwnDropout(keras.layers.Dropout):
        """A user's."""

    plain, own = keras.layers.Dropout(0.5), OwnDropout(0.5)
    shaped, never = keras.layers.Dropout(0.5, noise_shape=(None, 1)), keras.layers.Dropout(0.0)
    spatial = keras.layers.SpatialDropout1D(0.5)
    layers = [plain, own, shaped, never, spatial]
    model = keras.Sequential([keras.Input((4, 2)), *layers])
    with cheap_dropout(model):
        assert ["call" in vars(layer) for layer in layers] == [True] + 4 * [False]
    assert not any("call" in vars(layer) for layer in layers)


def test_layers_of_nested_models_count_too() -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
    with cheap_dropout(keras.Sequential([keras.Input((4,)), inner])):
        assert "call" in vars(inner.layers[0])
