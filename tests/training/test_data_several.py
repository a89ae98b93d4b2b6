"""Datasets beyond one array with labels: several inputs and outputs, weights, text, no labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from besom.errors import BesomError, DataError
from besom.training.data import Dataset, load_test, load_training
from besom.training.data import examples as examples_module
from besom.training.data.asked_for import model_arguments
from besom.training.data.examples import LazyRows

N = 20
RNG = np.random.default_rng(0)
PARTS = {
    "age": RNG.normal(size=N),
    "city": np.array(["Bern", "Rome", "Oslo", "Rome"] * 5),
    "photo": RNG.integers(0, 256, (N, 4, 4), dtype=np.uint8),
    "words": RNG.integers(0, 90, (N, 7)),
}
LABELS = {"sold": np.arange(N) % 2, "price": RNG.normal(size=N)}

#: What the function below returns as the next part.
WORLD: dict[str, Any] = {}


def given(split: str) -> Any:
    return WORLD.get(split, WORLD["train"])


def own(train: Any, **node: Any) -> dict[str, Any]:
    """A config whose training part (and test part, unless set after) is ``train``."""
    WORLD.clear()
    WORLD["train"] = train
    return {"_target_": f"{__name__}.given", **node}


MIXED = Dataset(x=PARTS, y=LABELS, name="houses")


def test_x_and_y_are_enough_and_the_rest_is_inferred() -> None:
    x, y = PARTS["photo"], np.arange(N) % 3
    training = load_training(own(Dataset(x=x, y=y)))
    assert (training.num_classes, training.scale, training.name) == (3, 1 / 255, "data")
    assert training.scaling == "x × 1/255"
    assert training.split == "stratified by class"
    assert str(training.task) == "classification, 3 classes"
    assert training.is_remarkable
    assert not load_training(own(Dataset(x=x, y=y, scale=1.0))).is_remarkable


def test_inputs_and_outputs_may_be_mappings_and_stay_together() -> None:
    training = load_training(own(MIXED, validation_split=0.25))
    assert (training.n_train, training.n_validation) == (15, 5)
    both = [training.train, training.validation]
    joined = np.concatenate([part.x["words"] for part in both])
    prices = np.concatenate([part.y["price"] for part in both])
    for words, price in zip(joined, prices, strict=True):
        row = int(np.flatnonzero((PARTS["words"] == words).all(axis=1))[0])
        assert np.float32(LABELS["price"][row]) == price
    assert training.input_shape == {"age": (), "city": (), "photo": (4, 4), "words": (7,)}
    assert training.num_classes == {"sold": 2, "price": None}
    assert str(training.task) == "sold: classification, 2 classes; price: regression"


def test_only_images_are_scaled_and_other_inputs_keep_their_type() -> None:
    train = load_training(own(MIXED)).train
    assert train.scales == {"age": 1.0, "city": 1.0, "photo": 1 / 255, "words": 1.0}
    assert train.x["age"].dtype == np.float32
    assert train.x["words"].dtype == np.int64
    assert train.x["city"].dtype.kind == "U"
    said = load_training(own(replace(MIXED, scale={"photo": 0.5})))
    assert (said.scale["photo"], said.scaling) == (0.5, "")


def test_a_tuple_of_inputs_stays_a_tuple() -> None:
    x = (PARTS["age"][:, None], PARTS["photo"])
    training = load_training(own(Dataset(x=x, y=LABELS["sold"])))
    assert isinstance(training.train.x, tuple)
    assert training.scaling == "[1] × 1/255"


def test_a_batch_is_packed_as_keras_packs_it() -> None:
    assert len(load_training(own(Dataset(x=PARTS["photo"]))).train.packed) == 1
    assert len(load_training(own(MIXED)).train.packed) == 2
    weighted = replace(MIXED, sample_weight=np.ones(N))
    training = load_training(own(weighted))
    assert len(training.train.packed) == 3
    assert training.fingerprint != load_training(own(MIXED)).fingerprint


def test_weights_may_be_those_of_one_output() -> None:
    weight = {"price": np.arange(N)}
    train = load_training(own(replace(MIXED, sample_weight=weight))).train
    assert train.weight["sold"] is None
    np.testing.assert_array_equal(np.sort(train.weight["price"]), train.weight["price"])
    assert len(train.weight["price"]) == train.n


def test_without_labels_or_with_the_inputs_as_labels_there_is_nothing_to_classify() -> None:
    photo = PARTS["photo"]
    alone, itself = (load_training(own(Dataset(x=photo, y=y))) for y in (None, photo))
    assert alone.task == itself.task
    assert (alone.train.y, str(alone.task), alone.split) == (None, "no labels", "random")
    assert alone.fingerprint == itself.fingerprint


def test_each_value_of_each_array_is_in_the_fingerprint() -> None:
    prints = {load_training(own(MIXED)).fingerprint}
    for name, values in PARTS.items():
        changed = values.copy()
        changed[3] = changed[0] if values.dtype.kind == "U" else changed[3] + 1
        prints.add(load_training(own(replace(MIXED, x=PARTS | {name: changed}))).fingerprint)
    prints.add(load_training(own(replace(MIXED, y={"sold": LABELS["sold"]}))).fingerprint)
    prints.add(load_training(own(MIXED, task={"sold": "regression"})).fingerprint)
    assert len(prints) == len(PARTS) + 3


def test_a_given_validation_set_is_used_and_said() -> None:
    held = {name: values[:4] for name, values in PARTS.items()}
    y_held = {name: values[:4] for name, values in LABELS.items()}
    whole = replace(MIXED, x_validation=held, y_validation=y_held)
    training = load_training(own(whole))
    assert (training.n_train, training.n_validation) == (N, 4)
    assert training.split == "given validation set"
    said = load_training(own(whole, validation_split=0.1))
    assert said.split == "given validation set (data.validation_split not used)"
    second = replace(MIXED, x_validation=Dataset(x=held, y=y_held))
    assert load_training(own(second)).fingerprint == training.fingerprint


def test_a_validation_set_that_would_be_scaled_otherwise_is_refused() -> None:
    photo, y = PARTS["photo"], LABELS["sold"]
    scaled = Dataset(x=photo, y=y, x_validation=photo / 255, y_validation=y)
    with pytest.raises(DataError, match=r"\(validation\): scale 1.0, but training used 0.0039"):
        load_training(own(scaled))
    bytes_as_floats = replace(scaled, scale=1 / 255, x_validation=photo.astype(float))
    assert load_training(own(bytes_as_floats)).n_validation == N


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": PARTS | {"age": PARTS["age"][:19]}}, "input age has 19 examples, but input city ha"),
        (
            {"y": LABELS | {"price": LABELS["price"][:19]}},
            "20 examples but 19 labels of output",
        ),
        ({"sample_weight": np.ones(19)}, "input age has 20 examples but 19 sample weights"),
        ({"sample_weight": -np.ones(N)}, "sample weight at position 0 is -1.0, expected a finite"),
        ({"sample_weight": {"sol": np.ones(N)}}, "sample_weight names an output 'sol', which is"),
        ({"x": {}}, "x is empty, expected arrays"),
        ({"y": {}}, "y is empty, expected arrays"),
        ({"x": PARTS | {"age": np.full(N, np.nan)}}, "input age: 20 of 20 examples hold NaN"),
        (
            {"x": PARTS | {"city": ["a", 1.5] * 10, "age": [[1], [2, 3]] * 10}},
            "input age: .*length",
        ),
        ({"scale": 0.5}, "scale=0.5, but there are several inputs: give a mapping of them"),
        (
            {"scale": {"foto": 0.5}},
            "scale names the input 'foto', which is not there. Did you",
        ),
        ({"y": LABELS | {"sold": np.ones(N, int)}}, "output 'sold': all 20 labels are 1"),
        ({"num_classes": {"solt": 3}}, "num_classes names an output 'solt', which is not there"),
    ],
)
def test_parts_that_do_not_fit_together_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        load_training(own(replace(MIXED, **change)))
    assert str(refused.value).startswith("houses (train)")


def test_a_test_part_must_have_the_inputs_and_outputs_of_the_training_part() -> None:
    config = own(MIXED)
    training = load_training(config)
    WORLD["test"] = replace(MIXED, x={k: v for k, v in PARTS.items() if k != "age"})
    with pytest.raises(DataError, match=r"\(test\): .*input 'age' is missing"):
        load_test(config, training)
    WORLD["test"] = replace(MIXED, y=LABELS["sold"])
    with pytest.raises(DataError, match=r"\(test\): labels of one output, but .* outputs price,"):
        load_test(config, training)
    WORLD["test"] = replace(MIXED, x=PARTS | {"age": np.arange(N)})
    assert load_test(config, training).x["age"].dtype == np.float32


# --- large files ----------------------------------------------------------------------------------


def test_a_large_memmap_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples_module, "LARGE_FILE_BYTES", 1000)
    file = tmp_path / "x.npy"
    np.save(file, RNG.normal(size=(N, 30)))
    y = np.arange(N) % 2
    training = load_training(own(Dataset(x=np.load(file, mmap_mode="r"), y=y)))
    assert isinstance(training.train.x, LazyRows)
    assert not training.train.in_memory
    x, labels = training.train.gather(np.array([3, 0]))
    row = int(np.flatnonzero((np.load(file).astype(np.float32) == x[0]).all(axis=1))[0])
    assert (x.dtype, labels[0]) == (np.float32, y[row])
    assert load_training(own(Dataset(x=np.load(file, mmap_mode="r"), y=y))).fingerprint == (
        training.fingerprint
    )
    np.save(file, RNG.normal(size=(N, 30)))
    changed = load_training(own(Dataset(x=np.load(file, mmap_mode="r"), y=y)))
    assert changed.fingerprint != training.fingerprint


# --- what a model function asks for ---------------------------------------------------------------


def shape_alone(input_shape: Any) -> None: ...
def all_of_it(num_classes: int, output_shape: Any, training_x: Any, vocabulary: Any) -> None: ...
def whatever(**parameters: Any) -> None: ...


def arguments(function: str, training: Any, **config: Any) -> dict[str, Any]:
    return model_arguments({"_target_": f"{__name__}.{function}", **config}, training)


@pytest.mark.tensorflow
def test_a_keras_class_is_given_nothing_for_the_kwargs_it_passes_to_keras() -> None:
    import keras

    class Net(keras.Model):
        def __init__(self, units: int = 8, **kwargs: Any) -> None: ...

    class Shaped(Net):
        def __init__(self, input_shape: Any, **kwargs: Any) -> None: ...

    globals().update(Net=Net, Shaped=Shaped)
    training = load_training(own(MIXED))
    assert arguments("Net", training) == {}
    assert arguments("Shaped", training) == {"input_shape": training.input_shape}


def test_a_model_function_gets_what_its_signature_asks_for() -> None:
    training = load_training(own(MIXED))
    assert arguments("shape_alone", training) == {"input_shape": training.input_shape}
    assert set(arguments("whatever", training)) == {"input_shape", "num_classes"}
    asked = arguments("all_of_it", training)
    assert asked["num_classes"] == {"sold": 2, "price": None}
    assert asked["output_shape"] == {"sold": (2,), "price": (1,)}
    assert asked["vocabulary"]["city"] == ["Rome", "Bern", "Oslo"]
    assert asked["vocabulary"]["age"] is None
    assert arguments("all_of_it", training, vocabulary=5000).keys() == {
        *("num_classes", "output_shape", "training_x")
    }


def test_what_a_layer_adapts_to_is_the_training_part_alone_as_the_model_sees_it() -> None:
    training = load_training(own(MIXED, validation_split=0.25))
    seen = arguments("all_of_it", training)["training_x"]
    assert len(seen["age"]) == 15
    np.testing.assert_array_equal(seen["age"], training.train.x["age"])
    assert 0.9 < seen["photo"].max() <= 1.0
    assert seen["words"].dtype == np.int64


def test_an_options_name_goes_to_a_function_that_has_a_parameter_of_it() -> None:
    training = load_training({"_target_": f"{__name__}.with_a_task", "task": "spirals"})
    assert training.name == "spirals"
    with pytest.raises(BesomError, match=r"data\.task='spirals': expected one of"):
        load_training(own(MIXED, task="spirals"))


def with_a_task(split: str, task: str) -> Dataset:
    return Dataset(x=PARTS["photo"], y=LABELS["sold"], name=task)
