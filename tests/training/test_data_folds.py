"""Folds: every example is held out once; by class, by group, by time; the same in every trial."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from besom.errors import DataError
from besom.training.data import Dataset, load_training
from besom.training.data.folds import Folds, load_folds
from besom.training.runtime import environment, training_data

N = 60
X = np.arange(N, dtype=np.float32)[:, None] * [1, 1]
NUMBERS = np.sin(np.arange(N))
CLASSES = np.repeat([0, 1, 2], [35, 18, 7])
PATIENTS = np.repeat(np.arange(12), 5)

WORLD: list[Dataset] = []


def given(split: str) -> Dataset:
    return WORLD[0]


def node(dataset: Dataset, **more: Any) -> dict[str, Any]:
    WORLD[:] = [dataset]
    return {"_target_": f"{__name__}.given", **more}


def folds(dataset: Dataset, n_folds: int = 5, **more: Any) -> Folds:
    return load_folds(node(dataset, **more), None, n_folds)


def rows(part: Any) -> list[int]:
    return [int(v) for v in part.x[:, 0]]


def held(dataset: Dataset, n_folds: int = 5, **more: Any) -> list[list[int]]:
    made = folds(dataset, n_folds, **more)
    return [rows(made.fold(i).validation) for i in range(n_folds)]


@pytest.mark.parametrize("y", [CLASSES, NUMBERS, np.eye(3)[CLASSES]])
@pytest.mark.parametrize("n_folds", [2, 5, 7])
def test_every_example_is_held_out_once_and_trained_on_in_all_other_folds(
    y: Any, n_folds: int
) -> None:
    made = folds(Dataset(x=X, y=y), n_folds)
    parts = [made.fold(i) for i in range(n_folds)]
    assert sorted(row for part in parts for row in rows(part.validation)) == list(range(N))
    for part in parts:
        assert sorted(rows(part.train) + rows(part.validation)) == list(range(N))
        assert list(part.positions) == rows(part.validation)
        assert N // n_folds <= part.n_validation <= N // n_folds + 1


def test_each_class_is_spread_over_the_folds_as_evenly_as_can_be() -> None:
    for part in held(Dataset(x=X, y=CLASSES), 7):
        counts = np.bincount(CLASSES[part], minlength=3)
        assert counts[0] == 5
        assert counts[1] in (2, 3)
        assert counts[2] == 1


def test_the_folds_are_the_same_for_a_seed_and_others_for_another() -> None:
    dataset = Dataset(x=X, y=CLASSES)
    assert held(dataset) == held(dataset)
    assert held(dataset) != held(dataset, split_seed=1)
    assert held(dataset, stratify=False) != held(dataset)


def test_the_share_that_is_otherwise_held_out_does_not_matter() -> None:
    dataset = Dataset(x=X, y=CLASSES)
    assert held(dataset, validation_split=0.5) == held(dataset, validation_split=0) == held(dataset)


def test_all_folds_have_one_fingerprint_which_tells_other_folds_apart() -> None:
    dataset = Dataset(x=X, y=CLASSES)
    made = folds(dataset)
    assert len({made.fold(i).fingerprint for i in range(5)}) == 1
    others = [
        folds(dataset, 4).whole,
        folds(dataset, split_seed=1).whole,
        folds(dataset, order=True).whole,
        folds(dataset, order=True, gap=2).whole,
        folds(dataset, order=True, gap=3).whole,
        load_training(node(dataset)),
        made.whole,
    ]
    assert len({other.fingerprint for other in others}) == len(others)


def test_no_group_is_in_two_folds_and_the_folds_are_of_about_one_size() -> None:
    groups = np.repeat(np.arange(9), [20, 10, 8, 7, 5, 4, 3, 2, 1])
    made = folds(Dataset(x=X, y=NUMBERS, groups=groups), 3)
    parts = [made.fold(i) for i in range(3)]
    owners = [set(groups[rows(part.validation)]) for part in parts]
    assert sum(map(len, owners)) == 9
    assert set.union(*owners) == set(range(9))
    assert [part.n_validation for part in parts] == [20, 20, 20]
    for part, own in zip(parts, owners, strict=True):
        assert sorted(set(part.units)) == list(range(len(own)))
    assert parts[0].split == "3 folds by group (9 groups)"


def test_by_time_each_fold_is_predicted_from_what_came_before_it() -> None:
    when = np.random.default_rng(0).permutation(N)
    made = folds(Dataset(x=X, y=NUMBERS, order=when), 5)
    before = 10
    for i in range(5):
        part = made.fold(i)
        assert sorted(when[rows(part.train)]) == list(range(before))
        assert sorted(when[rows(part.validation)]) == list(range(before, before + 10))
        before += 10
    assert (made.whole.n_train, made.whole.n_validation) == (60, 50)
    assert made.whole.fixed_split


def test_by_time_a_gap_lies_before_each_fold() -> None:
    made = folds(Dataset(x=X, y=NUMBERS), 5, order=True, gap=3)
    assert rows(made.fold(1).train) == list(range(17))
    assert rows(made.fold(1).validation) == list(range(20, 30))
    assert "a gap of 3 before each" in made.whole.split


def test_examples_of_one_time_stay_in_one_fold() -> None:
    years = np.repeat([2018, 2019, 2020, 2021], [5, 15, 25, 15])
    made = folds(Dataset(x=X, y=NUMBERS, order=years), 2)
    for i in range(2):
        assert not set(years[rows(made.fold(i).train)]) & set(years[rows(made.fold(i).validation)])


def test_a_run_gets_its_fold_and_the_facts_are_those_of_all_folds() -> None:
    data = node(Dataset(x=X, y=CLASSES))
    runs = [{"fold": i, "folds": 5, "repeat": r} for r in (0, 1) for i in range(5)]
    seen = [training_data({"data": data, "run": run}) for run in runs]
    assert [rows(part.validation) for part in seen] == held(Dataset(x=X, y=CLASSES)) * 2
    facts = [environment(part)["data"] for part in seen]
    assert facts == facts[:1] * 10
    assert (facts[0]["n_train"], facts[0]["n_validation"], facts[0]["folds"]) == (60, 60, 5)
    assert facts[0]["split"] == "5 folds stratified by class"
    undivided = training_data({"data": data, "run": {"repeat": 1}})
    assert undivided.fingerprint == load_training(data).fingerprint


@pytest.mark.parametrize(
    ("dataset", "n_folds", "more", "message"),
    [
        ({"y": CLASSES}, 8, {}, "sweep.folds=8, but class 2 has only 7 training examples"),
        ({"y": NUMBERS}, 61, {}, r"sweep.folds=61, but visits \(train\) has only 60 examples"),
        ({"y": NUMBERS, "groups": PATIENTS}, 13, {}, "belong to only 12 groups, none of which may"),
        (
            {"y": NUMBERS, "order": PATIENTS // 3},
            5,
            {},
            "examples have only 4 times, none of which",
        ),
        ({"y": NUMBERS}, 5, {"order": True, "gap": 10}, "gap=10 leaves nothing to train on before"),
        (
            {"y": NUMBERS, "x_validation": X, "y_validation": NUMBERS},
            5,
            {},
            r"sweep.folds=5: visits \(train\) has a validation set of its own.*repeats works",
        ),
        ({"x": lambda: iter([(X, NUMBERS)])}, 5, {}, "is a stream, which cannot be divided"),
        ({"y": NUMBERS}, 5, {"stratify": True}, "stratify=true needs one class"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    dataset: dict[str, Any], n_folds: int, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        folds(Dataset(**{"x": X, "name": "visits", **dataset}), n_folds, **more)
