"""Which examples are held out: by class, at random, by group, by time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from besom.errors import DataError
from besom.training.data import Dataset, TrainingData, load_training

N = 60
X = np.arange(N, dtype=np.float32)[:, None] * [1, 1]
NUMBERS = np.sin(np.arange(N))
CLASSES = np.arange(N) % 3
PATIENTS = np.repeat(np.arange(12), 5)

WORLD: list[Dataset] = []


def given(split: str) -> Dataset:
    return WORLD[0]


def load(dataset: Dataset, **node: Any) -> TrainingData:
    WORLD[:] = [dataset]
    return load_training({"_target_": f"{__name__}.given", **node})


def rows(part: Any) -> list[int]:
    x = part.x["x"] if isinstance(part.x, dict) else part.x
    return [int(v) for v in x[:, 0]]


def test_quantities_are_held_out_at_random_and_the_same_for_a_seed() -> None:
    dataset = Dataset(x=X, y=NUMBERS)
    first = load(dataset, validation_split=0.2)
    assert (first.split, first.n_validation, first.fixed_split) == ("random", 12, False)
    assert sorted(rows(first.train) + rows(first.validation)) == list(range(N))
    assert rows(load(dataset, validation_split=0.2).validation) == rows(first.validation)
    other = load(dataset, validation_split=0.2, split_seed=1)
    assert rows(other.validation) != rows(first.validation)


def test_stratifying_can_be_turned_off_and_needs_classes() -> None:
    classes = Dataset(x=X, y=CLASSES)
    assert load(classes, stratify="auto").split == load(classes).split == "stratified by class"
    assert load(classes, stratify=False).split == "random"
    one_hot, flags = np.eye(3)[CLASSES], (CLASSES > 0).astype(float)
    for y in (one_hot, flags):
        assert load(Dataset(x=X, y=y), stratify=True).split == "stratified by class"
    with pytest.raises(DataError, match=r"stratify=true needs one class.* the task is regression"):
        load(Dataset(x=X, y=NUMBERS), stratify=True)
    with pytest.raises(DataError, match=r"data\.stratify='yes': expected auto, true or false"):
        load(classes, stratify="yes")


def test_one_hot_labels_are_held_out_as_their_class_numbers_would_be() -> None:
    numbers, one_hot = load(Dataset(x=X, y=CLASSES)), load(Dataset(x=X, y=np.eye(3)[CLASSES]))
    assert rows(numbers.validation) == rows(one_hot.validation)


@pytest.mark.parametrize("groups", [PATIENTS, PATIENTS.astype(str), [f"p{p}" for p in PATIENTS]])
def test_no_group_is_in_both_parts(groups: Any) -> None:
    training = load(Dataset(x=X, y=CLASSES, groups=groups), validation_split=0.25)
    kept, held = PATIENTS[rows(training.train)], PATIENTS[rows(training.validation)]
    assert not set(kept) & set(held)
    assert training.split == "by group: 3 of 12 groups"
    assert len(set(training.units)) == 3
    for unit in set(training.units):
        assert len(set(held[training.units == unit])) == 1


def test_a_group_may_be_named_by_an_input() -> None:
    x = {"x": X, "patient": PATIENTS}
    training = load(Dataset(x=x, y=CLASSES), group="patient", validation_split=0.25)
    assert training.split == "by group: 3 of 12 groups"
    with pytest.raises(DataError, match=r"data\.group=patiend: .* no such input. Did you"):
        load(Dataset(x=x, y=CLASSES), group="patiend")
    with pytest.raises(DataError, match=r"have no names: give besom.*Dataset\(groups=...\)"):
        load(Dataset(x=X, y=CLASSES), group="patient")


def test_the_last_examples_are_held_out_by_time() -> None:
    when = np.random.default_rng(0).permutation(N)
    training = load(Dataset(x=X, y=NUMBERS, order=when), validation_split=0.2)
    assert training.split == "by time: the last 12"
    assert training.fixed_split
    assert when[rows(training.train)].max() < when[rows(training.validation)].min()
    in_rows = load(Dataset(x=X, y=NUMBERS), order=True, validation_split=0.2)
    assert rows(in_rows.validation) == list(range(48, N))


def test_a_gap_drops_the_examples_that_overlap() -> None:
    training = load(Dataset(x=X, y=NUMBERS), order=True, gap=5, validation_split=0.2)
    assert rows(training.train) == list(range(43))
    assert training.split == "by time: the last 12; 5 examples before them dropped"
    without = load(Dataset(x=X, y=NUMBERS), order=True, validation_split=0.2)
    assert without.fingerprint != training.fingerprint


def test_examples_of_one_time_stay_on_one_side() -> None:
    years = np.repeat([2019, 2020, 2021], 20)
    training = load(Dataset(x=X, y=NUMBERS, order=years), validation_split=0.1)
    assert rows(training.validation) == list(range(40, N))


def test_dates_are_in_days() -> None:
    days = np.datetime64("2024-01-01") + np.arange(N)
    for order in (days, days.astype(str)):
        training = load(Dataset(x=X, y=NUMBERS, order=order), gap=3, validation_split=0.2)
        assert rows(training.train) == list(range(45))


def test_what_is_resampled_together_are_neighbours_in_time() -> None:
    training = load(Dataset(x=X, y=NUMBERS), order=True, gap=5, validation_split=0.5)
    assert (np.diff(training.units) >= 0).all()
    assert np.bincount(training.units).tolist() == [6, 6, 6, 6, 6]


@pytest.mark.parametrize(
    ("dataset", "node", "message"),
    [
        ({"groups": np.zeros(N)}, {}, "All 60 training examples belong to one group"),
        ({"groups": ["a"] * 59 + [""]}, {}, "1 example belong to no group .*example 59"),
        ({"groups": [None] * 2 + ["a"] * 58}, {}, "2 examples belong to no group .*example 0"),
        ({"groups": PATIENTS[:50]}, {}, r"the groups have shape \(50,\), expected \(60,\)"),
        ({"order": np.zeros(N)}, {}, "Holding out the last 60 of 60 examples leaves none to train"),
        ({}, {"order": True, "gap": 99}, "last 6 of 60 examples and a data.gap of 99 leaves none"),
        ({"order": ["soon"] * N}, {}, "data.order holds text that is no date such as 2024-01-31"),
        ({"order": [np.nan] * N}, {}, "example 0 has no time in data.order"),
        ({"order": np.arange(N), "groups": PATIENTS}, {}, "by group or by time, not by both"),
        ({"groups": PATIENTS}, {"stratify": True}, "stratify=true cannot be combined with data.gr"),
        ({}, {"gap": 3}, "data.gap=3 is for a split by time, but there is no data.order"),
        ({"order": np.arange(N)}, {"gap": -1}, "data.gap=-1: expected a number from 0"),
        ({}, {"group": 3}, "data.group=3: expected the name of an input"),
    ],
)
def test_a_split_that_leaves_nothing_or_makes_no_sense_is_refused(
    dataset: dict[str, Any], node: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(Dataset(x=X, y=NUMBERS, name="visits", **dataset), **node)
