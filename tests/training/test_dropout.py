"""The cheaper dropout keeps Dropout's promises: the rate, the mean, independence, the seed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from besom.training.dropout import cheap_dropout

pytestmark = pytest.mark.tensorflow

N = 400_000


def dropped(
    rate: float, shape: tuple[int, ...] = (N,), seed: int = 1, dtype: str = "float32"
) -> Any:
    keras.utils.set_random_seed(seed)
    layer = keras.layers.Dropout(rate, dtype=dtype)
    model = keras.Sequential([keras.Input(shape[1:]), layer]) if len(shape) > 1 else None
    holder = model or keras.Sequential([keras.Input((1,)), layer])
    with cheap_dropout(holder):
        return np.asarray(layer(tf.ones(shape, dtype), training=True))


@pytest.mark.parametrize("rate", [0.001, 0.2, 0.25, 0.5, 0.93])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate: float) -> None:
    y = dropped(rate)
    sigma = np.sqrt(rate * (1 - rate) / N)
    assert abs((y == 0).mean() - rate) < 5 * sigma
    assert y.mean() == pytest.approx(1, abs=5 * sigma / (1 - rate))
    np.testing.assert_allclose(y[y > 0], 1 / (1 - rate), rtol=2e-5 / (1 - rate))


def test_neighbours_are_dropped_independently() -> None:
    zero = dropped(0.5) == 0
    for lag in (1, 2, 3, 4, 512):
        both = (zero[:-lag] & zero[lag:]).mean()
        assert both == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / N))


@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (3, 4, 5, 2)])
def test_any_shape_is_kept_odd_sizes_included(shape: tuple[int, ...]) -> None:
    assert dropped(0.4, shape).shape == shape


def test_bfloat16_stays_bfloat16() -> None:
    assert dropped(0.2, dtype="bfloat16").dtype == "bfloat16"


def test_a_seed_fixes_every_mask_and_each_call_draws_another() -> None:
    assert list(dropped(0.5, seed=4)) == list(dropped(0.5, seed=4))
    assert list(dropped(0.5, seed=4)) != list(dropped(0.5, seed=5))
    layer = keras.layers.Dropout(0.5, seed=1)
    with cheap_dropout(keras.Sequential([keras.Input((64,)), layer])):
        x = tf.ones((1, 64))
        first, second = layer(x, training=True), layer(x, training=True)
    assert first.numpy().tolist() != second.numpy().tolist()


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
