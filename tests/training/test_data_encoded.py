"""Tables as vectors, and folders of images and texts, by Keras."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from besom.errors import DataError
from besom.training.data import NoTestExamples, load_test, load_training
from besom.training.data.asked_for import model_arguments

pytestmark = pytest.mark.tensorflow


def node(path: Path, **options: Any) -> dict[str, Any]:
    """A table whose last rows have values that the others have not."""
    n = 50
    age = [*range(40), *range(1000, 1010)]
    city = ["Bonn", "Ulm"] * 20 + ["Paris"] * 10
    frame = pd.DataFrame({"age": age, "city": city, "price": np.arange(n) * 1.5})
    frame.to_csv(path / "t.csv", index=False)
    return {
        "_target_": "besom.training.data.csv",
        "path": str(path / "t.csv"),
        "target": "price",
        "order": True,
        "validation_split": 10,
        **options,
    }


def test_columns_are_encoded_as_the_training_part_alone_teaches(tmp_path: Path) -> None:
    data = load_training(node(tmp_path))
    assert data.input_shape == (4,)  # age; unknown, Bonn, Ulm
    assert abs(data.x_train[:, 0].mean()) < 1e-5
    assert abs(data.x_train[:, 0].std() - 1) < 1e-3
    assert data.x_validation[:, 0].min() > 50
    np.testing.assert_array_equal(data.x_validation[:, 1:], [[1, 0, 0]] * 10)
    assert data.scaling == "1 column normalised and 1 column one-hot"
    assert list(data.positions) == list(range(40, 50))


def model_with_space(feature_space: Any) -> None:
    """A user's model function."""


def test_a_model_may_get_the_columns_and_the_feature_space(tmp_path: Path) -> None:
    data = load_training(node(tmp_path, encode=False))
    assert data.input_shape == {"age": (), "city": ()}
    given = model_arguments({"_target_": f"{__name__}.model_with_space"}, data)
    assert tuple(given["feature_space"].get_encoded_features().shape) == (None, 4)


def test_a_test_part_is_set_aside_in_the_same_way_and_said(tmp_path: Path) -> None:
    options = node(tmp_path, test_split=0.2)
    data = load_training(options)
    test = load_test(options, data)
    assert "test part of 10 set aside by time" in data.split
    assert data.n_train == 30
    np.testing.assert_array_equal(test.y, np.arange(40, 50) * 1.5)
    np.testing.assert_array_equal(data.y_validation, np.arange(30, 40) * 1.5)
    assert test.x.shape == (10, 4)
    at_random = node(tmp_path, test_split=10, order=None, test_seed=3)
    split = load_training(at_random).split
    assert split == "random; test part of 10 set aside random, seed 3"
    assert load_test(at_random).y.tolist() != load_test({**at_random, "test_seed": 4}).y.tolist()


def test_a_saved_model_takes_the_columns_and_is_not_kept_alive(tmp_path: Path) -> None:
    import keras

    from besom.training.saving import load_kept, save_model

    data = load_training(node(tmp_path))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    expected = model.predict(data.x_validation, verbose=0)
    assert save_model(model, tmp_path / "m.keras", data) is None
    raw = {"age": np.arange(1000, 1010), "city": np.array(["Paris"] * 10, object)}
    saved = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(saved.predict(raw, verbose=0), expected, rtol=1e-5)
    inner = load_kept(tmp_path / "m.keras", data)
    np.testing.assert_array_equal(inner.predict(data.x_validation, verbose=0), expected)
    alive = weakref.ref(model)
    del model
    keras.backend.clear_session(free_memory=False)
    gc.collect()
    assert alive() is None


# Folders


def image_folder(root: Path) -> Path:
    from keras.utils import save_img

    for i, name in enumerate(("cat", "dog")):
        for part, n in (("train", 6), ("test", 2)):
            (root / part / name).mkdir(parents=True)
            for k in range(n):
                save_img(
                    root / part / name / f"{k}.png", np.full((8, 8, 3), 100 * i + k), scale=False
                )
    return root


def images(path: Path, **options: Any) -> dict[str, Any]:
    size = {"height": 8, "width": 8, "validation_split": 2}
    return {"_target_": "besom.training.data.image_folder", "path": str(path), **size, **options}


def test_images_of_a_folder_are_bytes_with_their_classes_names(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets")
    data = load_training(images(folder))
    assert (data.n_train, data.n_validation, data.input_shape) == (10, 2, (8, 8, 3))
    assert data.class_names == ["cat", "dog"]
    assert data.x_train.dtype == np.uint8
    assert data.scaling == "x × 1/255"
    np.testing.assert_array_equal(data.x_train.max(axis=(1, 2, 3)) >= 100, data.y_train == 1)
    assert load_test(images(folder), data).y.tolist() == [0, 0, 1, 1]


def test_images_that_do_not_fit_are_read_when_they_are_needed(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets")
    for crop in (False, True):
        wide = {"width": 5, "crop_to_aspect_ratio": crop}
        there = load_training(images(folder, **wide))
        late = load_training(images(folder, in_memory=False, **wide))
        assert not late.train.in_memory
        assert late.split == "stratified by class; read from disk as they are needed"
        assert (late.scale, late.scaling) == (there.scale, there.scaling)
        np.testing.assert_array_equal(late.train.loaded.x, there.x_train)
        np.testing.assert_array_equal(late.train.y, there.y_train)
        test = load_test(images(folder, in_memory=False, **wide), late)
        assert test.y.tolist() == [0, 0, 1, 1]
    before = load_training(images(folder, in_memory=False)).fingerprint
    assert load_training(images(folder, in_memory=False)).fingerprint == before
    os.utime(folder / "train" / "dog" / "0.png", (1, 1))
    assert load_training(images(folder, in_memory=False)).fingerprint != before
    (folder / "train" / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="images cannot be read"):
        load_training(images(folder, in_memory=False))


def test_a_folder_of_classes_alone_has_its_test_part_set_aside(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets") / "train"
    with pytest.raises(NoTestExamples, match=r"data\.test_split"):
        load_test(images(folder))
    options = images(folder, test_split=2)
    assert load_training(options).n_train == 8
    assert sorted(load_test(options).y) == [0, 1]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no folders with images\. It holds: nothing"):
        load_training(images(tmp_path / "empty"))
    with pytest.raises(DataError, match="is no folder"):
        load_training(images(tmp_path / "nowhere"))
    folder = image_folder(tmp_path / "pets")
    (folder / "train" / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read"):
        load_training(images(folder))


def test_texts_of_a_folder_are_text_with_their_classes_names(tmp_path: Path) -> None:
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        for k in range(4):
            (tmp_path / name / f"{k}.txt").write_text(f"{name} film nº {k}")
    options = {"_target_": "besom.training.data.text_folder", "path": str(tmp_path)}
    data = load_training({**options, "validation_split": 2})
    assert data.class_names == ["bad", "good"]
    assert data.input_shape == ()
    words = [text.split()[0] for text in data.x_train]
    assert words == [data.class_names[y] for y in data.y_train]
