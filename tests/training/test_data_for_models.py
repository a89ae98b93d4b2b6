"""Models that learn something of the data before they train: from the training part alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from besom.errors import ConfigError
from besom.training.data import Dataset, load_training
from besom.training.data import examples as examples_module
from besom.training.rehearsal import rehearse
from besom.training.trainer import fit

pytestmark = pytest.mark.tensorflow

N = 80
RNG = np.random.default_rng(0)
AREA = RNG.normal(50.0, 9.0, size=(N, 2)).astype(np.float32)
CITY = np.array(["Bern", "Rome", "Oslo", "Rome"] * (N // 4))
WORDS = np.array([" ".join(RNG.choice(["good", "bad", "film", "plot"], 5)) for _ in range(N)])


def areas(split: str) -> Any:
    return AREA, AREA[:, 0] * 2


def cities(split: str) -> Any:
    return Dataset(x={"area": AREA, "city": CITY}, y=(CITY == "Rome").astype(float), name="cities")


def words(split: str) -> Any:
    return WORDS, np.char.find(WORDS, "good") >= 0


def file(split: str, path: str) -> Any:
    x = np.load(path, mmap_mode="r")
    return x, x[:, 0] > 0


def normalizing(input_shape: Any, training_x: Any) -> Any:
    layer = keras.layers.Normalization()
    layer.adapt(training_x)
    return keras.Sequential([keras.Input(input_shape), layer, keras.layers.Dense(1)])


def looking_up(input_shape: Any, vocabulary: Any) -> Any:
    layers = keras.layers
    inputs = {
        "area": keras.Input(input_shape["area"], name="area"),
        "city": keras.Input((1,), name="city", dtype="string"),
    }
    lookup = layers.StringLookup(vocabulary=vocabulary["city"], output_mode="one_hot")
    joined = layers.Concatenate()([inputs["area"], lookup(inputs["city"])])
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(joined))


def reading(num_classes: int, training_x: Any) -> Any:
    layers = keras.layers
    vectors = layers.TextVectorization(output_sequence_length=6)
    vectors.adapt(training_x)
    inputs = keras.Input((), dtype="string")
    embedded = layers.GlobalAveragePooling1D()(layers.Embedding(10, 4)(vectors(inputs)))
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(embedded))


def config(data: str, model: str, **node: Any) -> dict[str, Any]:
    return {
        "data": {"_target_": f"{__name__}.{data}", "validation_split": 0.25, **node},
        "model": {"_target_": model if "." in model else f"{__name__}.{model}"},
        "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.05},
        "trainer": {"epochs": 3, "batch_size": 16},
        "seed": 0,
    }


def history(wanted: dict[str, Any]) -> dict[str, list[float]]:
    data = load_training(wanted["data"])
    measured = rehearse(wanted, data).metrics
    found = fit(wanted, data, on_epoch=lambda *_: False).history
    assert set(measured) == set(found)
    return found


def test_a_normalization_knows_the_training_examples_alone() -> None:
    wanted = config("areas", "normalizing")
    data = load_training(wanted["data"])
    kept: list[Any] = []
    fit(wanted, data, on_epoch=lambda *_: True, on_built=kept.append)
    mean = np.asarray(kept[0].layers[0].mean).ravel()
    np.testing.assert_allclose(mean, data.x_train.mean(axis=0), rtol=1e-5)
    assert not np.allclose(mean, AREA.mean(axis=0), rtol=1e-4)
    losses = history(wanted)["val_loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("data", "model"), [("cities", "looking_up"), ("words", "reading")])
def test_text_is_learned_from_as_it_is(data: str, model: str) -> None:
    found = history(config(data, model))
    assert set(found) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert found["loss"][-1] < found["loss"][0]


@pytest.mark.long
def test_a_file_too_large_to_copy_trains_as_its_copy_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", RNG.normal(size=(N, 5)))
    wanted = config("file", "besom.training.models.mlp", path=str(tmp_path / "x.npy"))
    copied = history(wanted)
    monkeypatch.setattr(examples_module, "LARGE_FILE_BYTES", 1000)
    assert not load_training(wanted["data"]).train.in_memory
    assert history(wanted) == copied


def of_any_length(split: str) -> Any:
    import tensorflow as tf

    return tf.ragged.constant([[0.5] * (2 + i % 3) for i in range(N)]), np.arange(N) % 2


def dense(input_shape: Any, num_classes: int) -> Any:
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(num_classes)])


@pytest.mark.parametrize("model", ["dense", "besom.training.models.mlp"])
def test_a_model_of_one_length_is_told_that_the_examples_have_several(model: str) -> None:
    asked = config("of_any_length", model)
    with pytest.raises(ConfigError, match=r"length.* [Pp]ad ") as refused:
        rehearse(asked, load_training(asked["data"]))
    assert "was refused: The model" not in str(refused.value)
