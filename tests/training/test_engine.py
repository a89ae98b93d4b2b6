"""The compiled epoch computes what ``model.fit`` computes; every image is seen once.

Dropout is off throughout: its masks are random in both, and drawn differently.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_world import (
    BATCH,
    N_TRAIN,
    Seen,
    Steps,
    TimesSeen,
    config,
    onward,
    tiny_data,
    tiny_test,
)

from besom.training.build import build_model, seed_everything
from besom.training.epochs.job import epoch_order
from besom.training.fast import graph_optimizers, training_loop
from besom.training.fast.evaluation_loop import CompiledEvaluation
from besom.training.fast.tensors import Tensors
from besom.training.fast.training_loop import CompiledTraining
from besom.training.settings import TrainerSettings
from besom.training.trainer import evaluate, fit
from user_project import some_long

pytestmark = pytest.mark.tensorflow

K = "keras.optimizers."
DECAY = {
    "_target_": "keras.optimizers.schedules.ExponentialDecay",
    "initial_learning_rate": 0.02,
    "decay_steps": 5,
    "decay_rate": 0.9,
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"_target_": K + "Adam", "learning_rate": 0.01},
    "adam-amsgrad": {"_target_": K + "Adam", "learning_rate": 0.01, "amsgrad": True},
    "adam-decay": {"_target_": K + "Adam", "learning_rate": 0.01, "weight_decay": 0.1},
    "adam-clipnorm": {"_target_": K + "Adam", "clipnorm": 0.05},
    "adam-ema": {"_target_": K + "Adam", "use_ema": True, "ema_overwrite_frequency": 7},
    "adam-accumulated": {"_target_": K + "Adam", "gradient_accumulation_steps": 3},
    "adam-scaled": {"_target_": K + "Adam", "loss_scale_factor": 64.0},
    "adamw": {"_target_": K + "AdamW", "learning_rate": 0.01, "weight_decay": 0.05},
    "sgd": {"_target_": K + "SGD", "learning_rate": 0.05},
    "sgd-clipvalue": {"_target_": K + "SGD", "learning_rate": 0.5, "clipvalue": 0.01},
    "sgd-global-clipnorm": {"_target_": K + "SGD", "learning_rate": 0.5, "global_clipnorm": 0.1},
    "sgd-momentum": {"_target_": K + "SGD", "learning_rate": 0.02, "momentum": 0.9},
    "sgd-nesterov": {
        "_target_": K + "SGD",
        "learning_rate": DECAY,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.01,
    },
    "rmsprop": {"_target_": K + "RMSprop", "learning_rate": 0.005},
    "rmsprop-centered": {
        "_target_": K + "RMSprop",
        "learning_rate": 0.005,
        "centered": True,
        "momentum": 0.5,
    },
    "nadam": {"_target_": K + "Nadam", "learning_rate": 0.01},
    "nadam-clipnorm": {"_target_": K + "Nadam", "learning_rate": DECAY, "clipnorm": 0.05},
    "lion": {"_target_": K + "Lion", "learning_rate": 0.001},
    "a user's": {"_target_": "training_world.OwnAdam", "learning_rate": 0.001},
}
MODELS = {
    name: {"_target_": f"training_world.{name}"}
    for name in (
        "regularized",
        "constrained",
        "normalized",
        "embedded",
        "partly_frozen",
        "with_own_loss",
    )
} | {"cnn": {"_target_": "besom.training.models.cnn", "filters": [4], "dropout": 0.0}}


def assert_same_as_keras(precision: str = "float32", **nodes: Any) -> None:
    """Train 5 epochs of 10 steps, the last of each a short one, both ways; compare all there is."""
    data, settings = tiny_data(), TrainerSettings(precision=precision)
    order = epoch_order(1, 1, N_TRAIN)
    built = []
    for _ in range(2):
        seed_everything(1)
        built.append(build_model(config(**nodes), settings, data))
    theirs, ours = built
    x = data.x_train[order].astype(np.float32) * np.float32(data.scale)
    told = theirs.fit(
        x, data.y_train[order], batch_size=BATCH, epochs=5, shuffle=False, verbose=0
    ).history
    training = CompiledTraining(ours, Tensors(data.x_train, data.y_train, data.scale), BATCH)
    history = [training.epoch(order) for _ in range(5)]
    ours.optimizer.finalize_variable_values(ours.trainable_variables)

    assert int(ours.optimizer.iterations) == int(theirs.optimizer.iterations) > 0
    np.testing.assert_allclose([h["loss"] for h in history], told["loss"], rtol=1e-4)
    np.testing.assert_allclose([h["accuracy"] for h in history], told["accuracy"], atol=1e-6)
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=2e-5, err_msg=a.path)
    for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=2e-5, err_msg=a.path)


QUICK = "adam-ema sgd-nesterov rmsprop-centered lion"


@pytest.mark.parametrize("name", some_long(OPTIMIZERS, QUICK))
def test_fifty_steps_give_the_weights_that_keras_gives_for_each_optimizer(name: str) -> None:
    assert_same_as_keras(optimizer=OPTIMIZERS[name])


@pytest.mark.parametrize("name", some_long(MODELS, "regularized normalized embedded"))
def test_fifty_steps_give_the_weights_that_keras_gives_for_each_kind_of_layer(name: str) -> None:
    # Not Adam: it divides by the gradient's size, and so makes much of rounding where that is zero.
    rate = {"learning_rate": 0.05, "momentum": 0.5}
    assert_same_as_keras(model=MODELS[name], optimizer={"_target_": "keras.optimizers.SGD", **rate})


def test_every_image_is_seen_exactly_once_an_epoch_and_the_last_batch_is_short() -> None:
    n = N_TRAIN
    seed_everything(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(n, activation="softmax")])
    metrics = [TimesSeen(n), Seen(n, "seen"), Steps()]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics)
    images = Tensors(np.zeros((n, 1), np.float32), np.arange(n), 1.0)
    training = CompiledTraining(model, images, batch_size=BATCH)
    assert training.n_steps == 10
    for epoch in (1, 2):
        results = training.epoch(epoch_order(0, epoch, n))
        assert (results["uneven"], results["seen"], results["steps"]) == (0, n, 10)
    for batch_size, steps in ((7, 11), (n, 1), (1000, 1)):
        results = CompiledEvaluation(model, images, batch_size).measure()
        assert (results["uneven"], results["seen"], results["steps"]) == (0, n, steps)


def test_the_order_is_a_permutation_that_epoch_and_seed_alone_decide() -> None:
    assert sorted(epoch_order(4, 2, 50)) == list(range(50))
    assert list(epoch_order(4, 2, 50)) == list(epoch_order(4, 2, 50))
    assert list(epoch_order(4, 2, 50)) != list(epoch_order(4, 3, 50))
    assert list(epoch_order(4, 2, 50)) != list(epoch_order(5, 2, 50))


@pytest.mark.parametrize("size", some_long([7, 30, 500], [7]))
def test_accuracy_is_exactly_what_model_evaluate_says(size: int) -> None:
    data, test = tiny_data(), tiny_test()
    metrics = ["accuracy", "sparse_top_k_categorical_accuracy"]
    wanted = config(trainer={"evaluation_batch_size": size, "metrics": metrics})
    fitted = fit(wanted, data, on_epoch=onward, test=test)
    for prefix, (x, y) in {
        "val_": (data.x_validation, data.y_validation),
        "test_": (test.x, test.y),
    }.items():
        theirs = fitted.model.evaluate(
            x.astype(np.float32) / np.float32(255), y, verbose=0, return_dict=True
        )
        ours = evaluate(fitted.model, x, y, 1 / 255, size)
        assert set(theirs) == set(ours)
        for name, value in ours.items():
            assert fitted.history[prefix + name][-1] == value
            if name != "loss":
                assert value == theirs[name]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    assert fitted.correct is not None
    assert fitted.correct.mean() == pytest.approx(fitted.history["val_accuracy"][-1], abs=1e-7)


def test_both_engines_tell_the_same_history_and_keep_the_same_images_right() -> None:
    data, test = tiny_data(), tiny_test()
    ours = fit(config(trainer={"engine": "compiled"}), data, on_epoch=onward, test=test)
    theirs = fit(config(trainer={"engine": "keras"}), data, on_epoch=onward, test=test)
    assert (ours.engine, theirs.engine) == ("compiled", "keras")
    assert set(ours.history) == set(theirs.history)
    for name, values in ours.history.items():
        np.testing.assert_allclose(values, theirs.history[name], rtol=1e-4, err_msg=name)
    assert ours.correct is not None
    assert theirs.correct is not None
    assert list(ours.correct) == list(theirs.correct)


def test_images_are_scaled_in_the_graph_and_stay_bytes_in_memory() -> None:
    images = Tensors(np.full((3, 2), 51, np.uint8), np.arange(3), 1 / 255)
    x, y = images.gather([2, 0])
    np.testing.assert_allclose(x, np.full((2, 2), 0.2), rtol=1e-6)
    assert list(y.numpy()) == [2, 0]
    assert images._x.dtype == "uint8"


def trained(brief: bool = False) -> tuple[list[dict[str, Any]], list[Any]]:
    """Three epochs of a network with dropout."""
    data = tiny_data()
    seed_everything(2)
    model = {"_target_": "besom.training.models.mlp", "hidden_units": [16], "dropout": 0.3}
    built = build_model(config(model=model), TrainerSettings(), data)
    training = CompiledTraining(
        built, Tensors(data.x_train, data.y_train, data.scale), BATCH, brief=brief
    )
    history = [training.epoch(epoch_order(0, epoch, N_TRAIN)) for epoch in (1, 2, 3)]
    return history, built.get_weights()


def test_where_an_epoch_is_cut_into_calls_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, weights = trained()
    monkeypatch.setattr(training_loop, "FIRST_CALL_STEPS", 3)
    monkeypatch.setattr(training_loop, "CALL_SECONDS", 1e-9)  # then one step a call
    cut, weights_of_cut = trained()
    assert cut == whole
    for a, b in zip(weights, weights_of_cut, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_tensorflows_graph_optimizers_the_numbers_stay_and_the_setting_goes_back() -> None:
    before = tf.config.optimizer.get_experimental_options()
    plain, _ = trained()
    brief, _ = trained(brief=True)
    for a, b in zip(plain, brief, strict=True):
        assert b == pytest.approx(a, rel=1e-5)
    assert tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer") in (
        None,
        before.get("disable_meta_optimizer", False),
    )


def test_short_epochs_alone_leave_the_graph_optimizers_out() -> None:
    assert graph_optimizers.is_brief(n_params=170_000, n_images=1_300)
    assert not graph_optimizers.is_brief(n_params=535_818, n_images=60_000)
