"""The pictures of one run, and of data."""

from __future__ import annotations

import numpy as np
import pytest

from besom.errors import DataError
from besom.plots import curves, image_grid, write_image_grid, write_learning_curve
from records_factory import make_study


def test_training_is_paired_with_validation_and_loss_comes_first():
    history = {"accuracy": [0.9], "lr": [0.1], "val_accuracy": [0.8], "val_loss": [2], "loss": [1]}
    panels = curves.summarise_run({**history, "test_accuracy": [0.7]})
    assert [p.metric for p in panels] == ["loss", "accuracy", "lr"]
    assert list(panels[1].parts) == ["training", "validation", "test"]
    assert panels[1].parts["validation"].tolist() == [0.8]


def test_a_run_is_drawn_whatever_its_history(tmp_path):
    run = make_study(1).trials[0].history
    histories = [run, {}, {"loss": []}, {"loss": [1.0]}, {"loss": [float("nan"), 2.0, np.inf]}]
    for i, history in enumerate(histories):
        path = write_learning_curve(
            history, tmp_path / f"{i}.png", "a run: 0.1 $ a_b", best_epoch=1
        )
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("shape", "dtype", "high"),
    [
        ((10, 28, 28), "uint8", 255),
        ((3, 8, 8), "float32", 1),
        ((1, 8, 8, 1), "float64", 16),
        ((7, 32, 32, 3), "uint8", 255),
        ((2, 9, 5, 4), "float32", 1),
    ],
)
def test_images_of_every_kind_are_drawn(tmp_path, shape, dtype, high):
    pixels = (np.random.default_rng(0).random(shape) * high).astype(dtype)
    path = write_image_grid(pixels, list(range(shape[0])), tmp_path / "grid.png", "digits")
    assert path.stat().st_size > 1000


def test_bytes_and_fractions_are_shown_on_their_own_scale():
    dim = np.full((1, 4, 4), 40, dtype=np.uint8)
    assert image_grid.summarise(dim, ["a"])[2:] == (0, 255)
    assert image_grid.summarise(dim / 255, ["a"])[2:] == (0, 1)
    digits = np.arange(16.0).reshape(1, 4, 4)
    assert image_grid.summarise(digits, ["a"])[2:] == (0, 15)


@pytest.mark.parametrize(
    ("shape", "n_labels", "message"),
    [
        ((28, 28), 28, r"shape \(28, 28\), expected \(n, height, width\)"),
        ((2, 8, 8, 2), 2, "1, 3 or 4 channels"),
        ((0, 8, 8), 0, "no image"),
        ((3, 8, 8), 2, "3 images but 2 labels"),
    ],
)
def test_arrays_that_are_no_images_are_refused(shape, n_labels, message):
    with pytest.raises(DataError, match=message):
        image_grid.summarise(np.zeros(shape), ["x"] * n_labels)
