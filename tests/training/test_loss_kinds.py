"""What ``trainer.loss`` says of the labels outranks what they look like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from besom.errors import BesomError, ConfigError, DataError
from besom.training import runtime
from besom.training.data import load_test, load_training
from besom.training.data.dataset import Dataset
from besom.training.data.task import infer_task
from besom.training.loss_kinds import suggested_task

COUNTS = np.arange(60) % 7
FLAGS = COUNTS % 2
SIGNED = COUNTS - 3
MANY = np.arange(1001)
X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
MINE = "test_loss_kinds"


def labelled(split: str, labels: str = "COUNTS") -> Dataset:
    return Dataset(x=X, y=globals()[labels], name="mine")


def node(labels: str) -> dict[str, Any]:
    return {"_target_": f"{MINE}.labelled", "labels": labels}


@pytest.mark.parametrize(
    ("loss", "y", "kind"),
    [
        ("mse", COUNTS, "regression"),
        ("poisson", SIGNED, "regression"),
        ({"_target_": "keras.losses.Huber", "delta": 2.0}, MANY, "regression"),
        ("mae", FLAGS, "regression"),
        ("mse", np.eye(3)[COUNTS % 3], "one-hot"),
        ("binary_crossentropy", FLAGS, "binary"),
        ({"_target_": "keras.losses.BinaryCrossentropy", "from_logits": True}, FLAGS, "binary"),
        ("binary_crossentropy", np.array([0.25, 1.0]), "regression"),
        ("sparse_categorical_crossentropy", COUNTS.astype(float), "classification"),
        ("sparse_categorical_crossentropy", MANY, "classification"),
        ("kl_divergence", COUNTS, "classification"),
        (None, COUNTS, "classification"),
    ],
)
def test_the_loss_says_what_whole_labels_are(loss: Any, y: Any, kind: str) -> None:
    assert infer_task(y, "mine", suggested=suggested_task(loss)).kind == kind


def test_the_task_that_is_said_outranks_the_loss() -> None:
    assert infer_task(COUNTS, "mine", "classification", suggested="regression").num_classes == 7


def test_each_outputs_loss_says_what_its_labels_are() -> None:
    y = {"grade": COUNTS, "sold": FLAGS, "kind": COUNTS}
    losses = {"grade": "mae", "sold": "binary_crossentropy", "kind": None}
    found = infer_task(y, "mine", suggested=suggested_task(losses)).kind
    assert found == {"grade": "regression", "sold": "binary", "kind": "classification"}
    both = infer_task((COUNTS, COUNTS), "mine", suggested=suggested_task(["mse", None])).kind
    assert both == ["regression", "classification"]


def test_quantities_are_split_at_random_and_judged_by_their_loss() -> None:
    data = load_training(node("SIGNED"), "regression")
    assert (data.split, data.task.default_objective[0]) == ("random", "val_loss")
    assert data.y_train.dtype == np.float32
    assert load_training(node("COUNTS")).split == "stratified by class"
    assert load_training(node("FLAGS"), "binary").split == "stratified by class"


def test_a_test_part_set_aside_is_of_the_same_task() -> None:
    data = load_training({**node("SIGNED"), "test_split": 0.2}, "regression")
    test = load_test({**node("SIGNED"), "test_split": 0.2}, data)
    assert (data.n_train + data.n_validation, len(test.y)) == (48, 12)
    assert "set aside random" in data.split


def test_binary_crossentropy_wants_labels_of_0_and_1() -> None:
    with pytest.raises(DataError, match=r"expects labels of 0 and 1, but they go from 0 to 6\."):
        load_training(node("COUNTS"), "binary")


# --- with TensorFlow ------------------------------------------------------------------------------


def pinball(y: Any, predictions: Any) -> Any:
    import keras

    error = y - predictions
    return keras.ops.mean(keras.ops.maximum(0.9 * error, -0.1 * error), axis=-1)


def focal(y: Any, predictions: Any) -> Any:
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, predictions) ** 2


def model(input_shape: Any, units: int, compiled: str | None = None) -> Any:
    import keras

    made = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(units, "softmax")])
    if compiled:
        made.compile("adam", compiled)
    return made


def config(loss: Any, labels: str = "COUNTS", units: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "data": node(labels),
        "model": {"_target_": f"{MINE}.model", "units": units, **more},
        "optimizer": {"_target_": "keras.optimizers.Adam"},
        "trainer": {"epochs": 1, "loss": loss},
        "seed": 1,
    }


OWN = {"_target_": f"{MINE}.pinball", "_partial_": True}
OWN_OF_CLASSES = {"_target_": f"{MINE}.focal", "_partial_": True}


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Data that this process has loaded for another test, or would keep for the next."""
    runtime._loaded.cache_clear()
    yield
    runtime._loaded.cache_clear()


@pytest.mark.tensorflow
def test_a_loss_of_ones_own_is_one_of_quantities_if_it_is_least_at_the_label() -> None:
    assert suggested_task(OWN) == "regression"
    assert suggested_task(OWN_OF_CLASSES) is None
    assert suggested_task({"_target_": f"{MINE}.not_there"}) is None


@pytest.mark.tensorflow
def test_losses_of_one_kind_share_the_data_and_others_are_not_compared(forgotten: None) -> None:
    data = runtime.training_data(config("mse"))
    assert runtime.training_data(config(OWN)) is data
    with pytest.raises(ConfigError, match=r"could not be compared\. Set data\.task\."):
        runtime.training_data(config(None))
    classes = runtime.training_data(config(None, "FLAGS"))
    assert runtime.training_data(config(OWN_OF_CLASSES, "FLAGS")) is classes


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (config("categorical_crossentropy"), "expects one-hot labels, .* Use sparse_categorical"),
        (
            config(None, compiled="mse"),
            r"comes compiled with the loss mse, .* data\.task=regression",
        ),
        (config("mse", units=3), r"labels of one number and outputs of shape \(3,\)"),
    ],
)
def test_a_loss_that_does_not_fit_whole_labels_is_one_sentence(
    asked: dict[str, Any], message: str, forgotten: None
) -> None:
    from besom.training.rehearsal import rehearse

    with pytest.raises(BesomError, match=message) as refused:
        rehearse(asked, runtime.training_data(asked))
    assert "\n" not in str(refused.value)


@pytest.mark.tensorflow
def test_an_own_loss_of_quantities_is_swept_by_the_loss(forgotten: None) -> None:
    from besom.training.rehearsal import rehearse

    asked = config(OWN, "SIGNED")
    tried = rehearse(asked, runtime.training_data(asked))
    assert tried.monitor == "val_loss"
    assert "val_mae" in tried.metrics
