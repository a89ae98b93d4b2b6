"""Holding validation images out: in proportion, reproducibly, or with a reason why not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.errors import DataError
from besom.training.data import Dataset, load_training
from besom.training.data.dataset import Split
from besom.training.data.splits.split import stratified_split


def numbered(split: Split, y: Sequence[int] = (0,) * 10 + (1,) * 10) -> Dataset:
    x = np.arange(len(y), dtype=np.float32)[:, None]
    return Dataset(x=x, y=np.array(y), num_classes=3, scale=1.0, name="numbered")


TWENTY: dict[str, object] = {"_target_": f"{__name__}.numbered"}
DIGITS = {"_target_": "besom.training.data.digits", "validation_split": 0.2, "split_seed": 0}


def test_the_seed_alone_decides_which_images_are_held_out_for_ever() -> None:
    training = load_training(TWENTY | {"validation_split": 6, "split_seed": 0})
    assert list(training.x_validation[:, 0]) == [1, 6, 8, 10, 18, 19]


@given(
    counts=st.lists(st.integers(0, 40).filter(lambda n: n != 1), min_size=2, max_size=8),
    share=st.floats(0.0, 0.5),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_class_is_held_out_in_proportion(counts: list[int], share: float, seed: int) -> None:
    y = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))
    n_held = int(share * len(y))
    kept, held = stratified_split(y, n_held, seed)
    assert len(held) == n_held
    assert sorted([*kept, *held]) == list(range(len(y)))
    assert np.all(np.diff(kept) > 0)
    assert np.all(np.diff(held) > 0)
    for label, count in enumerate(counts):
        assert abs(np.sum(y[held] == label) - n_held * count / max(len(y), 1)) < 1


def test_another_seed_holds_out_other_images() -> None:
    first, second = load_training(DIGITS), load_training(DIGITS | {"split_seed": 1})
    assert not np.array_equal(first.x_validation, second.x_validation)
    np.testing.assert_array_equal(np.bincount(first.y_train), np.bincount(second.y_train))


@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan"), float("inf"), "0.1", None, True, [1]])
def test_a_validation_split_that_is_neither_a_share_nor_a_count_is_refused(wrong: object) -> None:
    with pytest.raises(DataError, match=r"data\.validation_split=.*expected a share such as 0\.1"):
        load_training(TWENTY | {"validation_split": wrong})


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (20, "holds out 20 of 20 examples"),
        (10**9, "holds out 1000000000 of 20 examples"),
        (0.99, "holds out 20 of 20 examples"),
        (0.01, "of 20 examples is less than one"),
        (
            19,
            r"leave no example of class 0 to train on \(it has 10\)\. Lower data\.validation_split",
        ),
    ],
)
def test_a_split_that_leaves_too_little_is_refused(split: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_training(TWENTY | {"validation_split": split})


def test_a_class_with_a_single_image_cannot_be_split_but_can_be_trained_on() -> None:
    config = TWENTY | {"y": [0] * 10 + [1] * 9 + [2]}
    with pytest.raises(DataError, match=r"Class 2 has only one .*data\.validation_split=0"):
        load_training(config | {"validation_split": 0.5})
    assert load_training(config | {"validation_split": 0}).num_classes == 3


@pytest.mark.parametrize("wrong", [-1, 2**32, 1.0, "0", None, True])
def test_a_split_seed_that_is_no_seed_is_refused(wrong: object) -> None:
    with pytest.raises(DataError, match=r"data\.split_seed=.*expected an integer from 0"):
        load_training(TWENTY | {"split_seed": wrong})
