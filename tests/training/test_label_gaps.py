"""Labels that leave classes out are trained on, and said."""

from __future__ import annotations

import numpy as np
import pytest

from besom.study.remarks import remarks_on_workers
from besom.training.data.dataset import TrainingData, label_gaps
from besom.training.data.examples import Examples
from besom.training.data.task import Task


def data(labels: list[int], held: list[int], num_classes: int) -> TrainingData:
    x = np.zeros((len(labels), 2, 2), np.uint8)
    x_held = np.zeros((len(held), 2, 2), np.uint8)
    train = Examples(x, np.array(labels), None, 1.0)
    return TrainingData(
        train=train,
        validation=Examples(x_held, np.array(held), None, 1.0) if held else None,
        task=Task("classification", num_classes, ()),
        num_classes=num_classes,
        fingerprint="",
        name="mine",
    )


@pytest.mark.parametrize(
    ("labels", "held", "num_classes", "said"),
    [
        (range(1, 11), [], 11, "run from 1 to 10: class 0 has no example; the model has 11 output"),
        ([0, 2, 5], [1], 6, "run from 0 to 5: classes 3 and 4 have no example"),
        ([0, 9], [], 10, "classes 1, 2, 3, 4, 5 and 3 more have no example"),
        ([0, 1], [], 3, "run from 0 to 1: class 2 has no example; the model has 3 outputs"),
    ],
)
def test_classes_without_an_example_are_named(
    labels: list[int], held: list[int], num_classes: int, said: str
) -> None:
    assert said in label_gaps(data(list(labels), held, num_classes))


def test_a_class_that_only_validation_has_is_no_gap() -> None:
    assert label_gaps(data([0, 2], [1], 3)) == ""


def test_the_workers_word_on_gaps_is_a_remark_at_the_start() -> None:
    assert remarks_on_workers({"data": {"label_gaps": "class 0 has no example"}}) == [
        "class 0 has no example"
    ]
    assert remarks_on_workers({"data": {"name": "x"}}) == remarks_on_workers({"data": "odd"}) == []
