"""Loading a dataset: its arrays, the fingerprint, the sealed test part, a user's own function."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from besom.errors import BesomError, DataError
from besom.training.data import Dataset, NoTestImages, load_test, load_training
from besom.training.data.dataset import Split

CONF = Path(__file__).parents[2] / "conf" / "data"

BLOBS = Dataset(
    x=np.arange(80, dtype=np.float32).reshape(20, 4),
    y=np.repeat(np.arange(2), 10),
    num_classes=2,
    scale=1.0,
    name="blobs",
)
asked_for: list[Split] = []


def blobs(split: Split, shift: float = 0.0) -> Dataset:
    asked_for.append(split)
    return replace(BLOBS, x=BLOBS.x + np.float32(shift))


def made(split: Split, **changes: object) -> Dataset:
    return replace(BLOBS, **changes)  # type: ignore[arg-type]


def without_test(split: Split) -> Dataset:
    if split == "test":
        raise NoTestImages("all of it is for training")
    return BLOBS


def a_tuple(split: Split) -> object:
    return BLOBS.x, BLOBS.y


def an_array(split: Split) -> object:
    return BLOBS.x


def without_parameters() -> Dataset:
    return BLOBS


def one_part(split: Split, train: dict[str, object], test: dict[str, object]) -> Dataset:
    return replace(BLOBS, **(train if split == "train" else test))  # type: ignore[arg-type]


NOT_A_FUNCTION = 3


def own(function: str = "blobs", **parameters: object) -> dict[str, object]:
    return {"_target_": f"{__name__}.{function}", **parameters}


DIGITS = {"_target_": "besom.training.data.digits", "validation_split": 0.2, "split_seed": 0}


# --- what loading gives ---------------------------------------------------------------------------


def test_digits_are_bytes_with_every_class_in_every_part() -> None:
    training, test = load_training(DIGITS), load_test(DIGITS)
    assert training.x_train.dtype == training.x_validation.dtype == test.x.dtype == np.uint8
    assert training.y_train.dtype == training.y_validation.dtype == test.y.dtype == np.int64
    assert (len(training.x_train), len(training.x_validation), len(test.x)) == (1150, 287, 360)
    assert training.input_shape == test.input_shape == (8, 8)
    assert training.num_classes == test.num_classes == 10
    assert training.x_train.max() * training.scale == 1.0
    for y in (training.y_train, training.y_validation, test.y):
        assert set(y) == set(range(10))


def test_the_three_parts_of_digits_are_the_whole_of_them() -> None:
    from sklearn.datasets import load_digits

    training, test = load_training(DIGITS), load_test(DIGITS)
    parts = np.concatenate([training.x_train, training.x_validation, test.x])
    together = sorted(image.tobytes() for image in parts)
    assert together == sorted(image.tobytes() for image in load_digits().images.astype(np.uint8))


def test_the_test_images_of_digits_do_not_depend_on_the_split_seed() -> None:
    first, second = load_test(DIGITS), load_test(DIGITS | {"split_seed": 7})
    np.testing.assert_array_equal(first.x, second.x)


def test_loading_twice_gives_the_same_arrays_and_fingerprint() -> None:
    first, second = load_training(DIGITS), load_training(DIGITS)
    np.testing.assert_array_equal(first.x_train, second.x_train)
    np.testing.assert_array_equal(first.x_validation, second.x_validation)
    np.testing.assert_array_equal(first.y_train, second.y_train)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 16


def test_the_fingerprint_of_digits_is_the_same_on_every_machine() -> None:
    assert load_training(DIGITS).fingerprint == "a92720314f247da8"


def test_images_stay_with_their_labels() -> None:
    training = load_training(own("made", y=np.arange(20) % 2, validation_split=0.3))
    for x, y in [
        (training.x_train, training.y_train),
        (training.x_validation, training.y_validation),
    ]:
        np.testing.assert_array_equal((x[:, 0] / 4).astype(int) % 2, y)


def test_no_validation_split_gives_an_empty_part_and_no_copy_of_the_images() -> None:
    training = load_training(own("made", validation_split=0))
    assert len(training.x_train) == 20
    assert training.x_validation.shape == (0, 4)
    assert training.y_validation.shape == (0,)
    assert np.shares_memory(training.x_train, BLOBS.x)


def test_a_tenth_is_held_out_where_the_config_does_not_say() -> None:
    assert len(load_training(own()).x_validation) == 2


@pytest.mark.parametrize("count", [6, 6.0])
def test_a_whole_number_is_a_number_of_images(count: float) -> None:
    training = load_training(own(validation_split=count))
    assert (len(training.x_train), len(training.x_validation)) == (14, 6)


@pytest.mark.parametrize(
    "change",
    [
        {"split_seed": 1},
        {"validation_split": 0.3},
        {"validation_split": 0},
        {"shift": 1.0},
    ],
)
def test_the_fingerprint_changes_with_the_split_and_the_images(change: dict[str, float]) -> None:
    config = own(validation_split=0.2, split_seed=0)
    assert load_training(config).fingerprint != load_training(config | change).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"y": np.arange(20) % 2},
        {"x": BLOBS.x.reshape(20, 2, 2)},
        {"x": BLOBS.x.astype(np.uint8)},
        {"scale": 0.5},
        {"num_classes": 3},
    ],
)
def test_the_fingerprint_changes_with_labels_shape_dtype_and_scale(
    change: dict[str, object],
) -> None:
    original = load_training(own("made", validation_split=0)).fingerprint
    assert load_training(own("made", validation_split=0, **change)).fingerprint != original


@pytest.mark.parametrize(
    ("given", "kept_as"),
    [
        (np.int64, np.uint8),
        (np.uint16, np.uint8),
        (np.float64, np.float32),
        (np.float16, np.float32),
        (">f4", np.float32),
        (np.uint8, np.uint8),
    ],
)
def test_images_become_bytes_or_float32(given: str, kept_as: type) -> None:
    training = load_training(own("made", x=BLOBS.x.astype(given), validation_split=0))
    assert training.x_train.dtype == kept_as
    np.testing.assert_array_equal(training.x_train, BLOBS.x)


def test_integers_beyond_a_byte_become_float32() -> None:
    x = BLOBS.x.astype(np.int32) * 100 - 7
    training = load_training(own("made", x=x, validation_split=0))
    assert training.x_train.dtype == np.float32
    np.testing.assert_array_equal(training.x_train, x)


def test_black_and_white_images_become_bytes() -> None:
    training = load_training(own("made", x=BLOBS.x > 40, validation_split=0))
    assert training.x_train.dtype == np.uint8
    assert set(training.x_train.ravel()) == {0, 1}


@pytest.mark.parametrize("y", [BLOBS.y[:, None], BLOBS.y.astype(float), BLOBS.y > 0])
def test_labels_may_be_a_column_floats_or_booleans(y: np.ndarray) -> None:
    training = load_training(own("made", y=y, validation_split=0))
    assert training.y_train.dtype == np.int64
    np.testing.assert_array_equal(training.y_train, BLOBS.y)


# --- the sealed test part -------------------------------------------------------------------------


def test_loading_for_training_never_asks_for_the_test_part() -> None:
    asked_for.clear()
    load_training(own())
    assert asked_for == ["train"]
    load_test(own())
    assert asked_for == ["train", "test"]


@pytest.mark.parametrize(
    ("test_part", "message"),
    [
        ({"y": np.arange(20) % 3, "num_classes": 3}, "label 2 at position 2, .*has 2 classes"),
        ({"x": BLOBS.x.reshape(20, 2, 2)}, r"shape \(2, 2\), but those trained on have \(4,\)"),
        ({"scale": 0.5}, "scale 0.5, but training used 1.0"),
    ],
)
def test_a_test_part_that_does_not_fit_the_training_part_is_refused(
    test_part: dict[str, object], message: str
) -> None:
    config = own("one_part", train={}, test=test_part)
    training = load_training(config)
    with pytest.raises(DataError, match=message):
        load_test(config, training)


def test_test_labels_beyond_the_declared_classes_are_refused() -> None:
    config = own("one_part", train={}, test={"y": np.arange(20)})
    with pytest.raises(DataError, match=r"blobs \(test\): label 19 at position 19.*0 to 1"):
        load_test(config)


# --- arrays that cannot be trained on -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.where(BLOBS.x == 9, np.nan, BLOBS.x)}, "1 of 20 examples hold NaN.*example 2"),
        ({"x": np.where(BLOBS.x > 71, np.inf, BLOBS.x)}, "2 of 20 examples hold NaN.*example 18"),
        ({"x": BLOBS.x.astype(float) * 1e300}, "20 of 20 examples|19 of 20 examples"),
        ({"x": BLOBS.x.astype(complex)}, "dtype complex128, expected integers or floats"),
        ({"x": BLOBS.x.astype(str), "scale": 0.5}, "scale=0.5 for text, expected none"),
        ({"x": BLOBS.x.astype(object)}, "dtype object and hold float, expected integers or floats"),
        ({"x": np.array([["a", None]] * 20, object)}, "dtype object and hold NoneType and str"),
        ({"x": [[1, 2], [3]]}, "examples have different lengths.*pad_sequences.*tf.RaggedTensor"),
        ({"x": BLOBS.x[:, 0]}, r"shape \(20,\), expected \(n, features\)"),
        ({"x": BLOBS.x[:0], "y": BLOBS.y[:0]}, "no examples"),
        ({"x": BLOBS.x[:, :0]}, r"no examples in an array of shape \(20, 0\)"),
        ({"x": BLOBS.x[:19]}, "19 examples but 20 labels"),
        ({"y": BLOBS.y[:0]}, "no labels"),
        ({"y": BLOBS.y - 1}, "integers from 0, but -1 is at position 0"),
        ({"y": BLOBS.y + 0.5}, "20 of 20 are not, for example 0.5 at position 0"),
        ({"y": np.where(BLOBS.y, np.nan, 0)}, "10 of 20 are not, for example nan at position 10"),
        ({"y": BLOBS.y.astype(str)}, "labels have dtype <U.*expected integers"),
        ({"y": BLOBS.y * 10**6}, "largest of 20 labels is 1000000"),
        ({"y": np.zeros(20)}, "all 20 labels are 0"),
        ({"y": BLOBS.y + 1}, r"label 2 at position 10, .*2 classes, 0 to 1"),
        ({"scale": float("nan")}, "scale=nan, expected a finite number"),
        ({"num_classes": "2"}, "num_classes='2', expected an integer"),
    ],
)
def test_arrays_that_cannot_be_trained_on_are_refused(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        load_training(own("made", **change))
    assert str(refused.value).startswith("blobs (train): ")


# --- a user's own function ------------------------------------------------------------------------


def test_a_users_function_gets_its_parameters() -> None:
    training = load_training(own(shift=2.0, validation_split=0))
    np.testing.assert_array_equal(training.x_train, BLOBS.x + 2)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "Expected a mapping with a _target_"),
        ({"_target_": "no_such_package.digits"}, "no module 'no_such_package'"),
        ({"_target_": "besom.training.data.digit"}, "did you mean 'besom.training.data.digits'"),
        (own("NOT_A_FUNCTION"), "is a int, not callable"),
        (own("an_array"), r"returned ndarray, expected besom\.training\.data\.Dataset, or \(x, y"),
        (own("without_parameters"), "too many positional arguments"),
        (own("blobs", shfit=1), "no argument 'shfit'. Did you mean 'shift'"),
        ({"_target_": "besom.training.data.npz"}, "missing a required argument: 'path'"),
    ],
)
def test_a_target_that_cannot_be_used_is_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(BesomError, match=message):
        load_training(config)


def test_a_users_function_may_return_the_arrays_alone() -> None:
    training, told = load_training(own("a_tuple")), load_training(own("blobs"))
    np.testing.assert_array_equal(training.x_train, told.x_train)
    assert (training.name, training.num_classes) == ("a_tuple", 2)
    assert training.fingerprint == told.fingerprint


def test_a_users_function_may_say_that_it_has_no_test_part() -> None:
    load_training(own("without_test"))
    with pytest.raises(NoTestImages, match="all of it is for training"):
        load_test(own("without_test"))


# --- the packaged options -------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_option_names_a_dataset_function_and_its_split(file: Path) -> None:
    config = yaml.safe_load(file.read_text())
    assert config["_target_"] == f"besom.training.data.{file.stem}"
    assert 0 < config["validation_split"] < 1
    assert config["split_seed"] == 0


def test_importing_the_loaders_imports_no_tensorflow_keras_or_sklearn() -> None:
    code = (
        "import sys, besom.training.data\n"
        "print([m for m in ('tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
