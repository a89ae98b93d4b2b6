"""What a model is to learn: told from the labels, or said by ``data.task``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from besom.errors import DataError
from besom.training.data.task import Task, infer_task, labels_for

CLASSES = np.array([0, 1, 2, 1])
ONE_HOT = np.eye(3)[CLASSES]
TAGS = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1]])
FLAGS = np.array([0.0, 1.0, 1.0, 0.0])
NUMBERS = np.array([0.5, -1.0, 3.25, 7.0])
MANY = np.arange(1001)


@pytest.mark.parametrize(
    ("y", "kind", "num_classes", "output_shape"),
    [
        (CLASSES, "classification", 3, (3,)),
        (CLASSES[:, None], "classification", 3, (3,)),
        (CLASSES > 0, "classification", 2, (2,)),
        (ONE_HOT, "one-hot", 3, (3,)),
        (ONE_HOT.astype(int), "one-hot", 3, (3,)),
        (TAGS, "multilabel", 3, (3,)),
        (TAGS.astype(np.float32), "multilabel", 3, (3,)),
        (FLAGS, "binary", 2, (1,)),
        (FLAGS[:, None], "binary", 2, (1,)),
        (NUMBERS, "regression", None, (1,)),
        (NUMBERS[:, None], "regression", None, (1,)),
        (np.stack([NUMBERS, FLAGS], 1), "regression", None, (2,)),
        (np.array([[0, 4], [2, 1]]), "classification", 5, (2, 5)),
        (MANY[:1000], "classification", 1000, (1000,)),
        (None, "none", None, None),
    ],
)
def test_the_task_is_told_from_the_labels(
    y: Any, kind: str, num_classes: int | None, output_shape: tuple[int, ...] | None
) -> None:
    assert infer_task(y, "mine (train)") == Task(kind, num_classes, output_shape)


def test_whole_floats_are_quantities_unless_classes_are_said() -> None:
    y = CLASSES.astype(float)
    assert infer_task(y, "mine").kind == "regression"
    assert infer_task(y, "mine", said="classification").kind == "classification"
    assert infer_task(y, "mine", num_classes=3).kind == "classification"


def test_the_task_that_is_said_outranks_the_labels() -> None:
    assert infer_task(CLASSES, "mine", said="regression").kind == "regression"
    assert infer_task(MANY, "mine", said="regression").kind == "regression"
    assert infer_task(MANY, "mine", said="classification").num_classes == 1001
    assert infer_task(ONE_HOT, "mine", said="multilabel").kind == "multilabel"
    assert infer_task(FLAGS, "mine", said="classification").kind == "classification"
    assert infer_task(NUMBERS, "mine", said="none").kind == "none"


def test_each_output_has_a_task_of_its_own() -> None:
    y = {"kind": CLASSES, "price": NUMBERS, "tags": TAGS}
    task = infer_task(y, "mine", num_classes=4)
    assert task.kind == {"kind": "classification", "price": "regression", "tags": "multilabel"}
    assert task.num_classes == {"kind": 4, "price": None, "tags": 3}
    assert task.output_shape == {"kind": (4,), "price": (1,), "tags": (3,)}
    assert task.default_loss({"kind": (None, 4), "price": (None, 1), "tags": (None, 3)}) == {
        "kind": "sparse_categorical_crossentropy",
        "price": "mse",
        "tags": "binary_crossentropy",
    }
    assert task.default_metrics()["price"] == ["mae"]
    assert infer_task(y, "mine", said={"kind": "regression"}).kind["kind"] == "regression"
    assert infer_task((CLASSES, NUMBERS), "mine").kind == ["classification", "regression"]


@pytest.mark.parametrize(
    ("y", "outputs", "loss"),
    [
        (CLASSES, (None, 3), "sparse_categorical_crossentropy"),
        (CLASSES % 2, (None, 1), "binary_crossentropy"),
        (FLAGS, (None, 1), "binary_crossentropy"),
        (FLAGS, (None, 2), "sparse_categorical_crossentropy"),
        (ONE_HOT, (None, 3), "categorical_crossentropy"),
        (TAGS, (None, 3), "binary_crossentropy"),
        (NUMBERS, (None, 1), "mse"),
        (None, (None, 3), None),
        (CLASSES, {"odd": None}, "sparse_categorical_crossentropy"),
    ],
)
def test_the_default_loss_fits_the_labels_and_the_models_outputs(
    y: Any, outputs: Any, loss: str | None
) -> None:
    assert infer_task(y, "mine").default_loss(outputs) == loss


def test_accuracy_judges_classifiers_and_the_loss_all_else() -> None:
    assert infer_task(CLASSES, "mine").default_objective == ("val_accuracy", "maximize")
    assert infer_task(NUMBERS, "mine").default_objective == ("val_loss", "minimize")
    assert infer_task({"a": CLASSES}, "mine").default_objective == ("val_loss", "minimize")


def test_labels_become_whole_numbers_or_float32() -> None:
    for y, dtype in ((CLASSES[:, None], np.int64), (ONE_HOT, np.float32), (NUMBERS, np.float32)):
        assert labels_for(infer_task(y, "mine"), y, "mine").dtype == dtype
    assert labels_for(infer_task(CLASSES, "mine"), CLASSES[:, None], "mine").shape == (4,)


@pytest.mark.parametrize(
    ("y", "said", "message"),
    [
        (MANY, None, "1,001 distinct whole numbers.*data.task=classification or data.task=regr"),
        (NUMBERS, "classification", "must be integers, but 2 of 4 .*0.5 at position 0.*regression"),
        (CLASSES - 1, None, "integers from 0, but -1 is at position 0.*data.task=regression"),
        (TAGS, "classification", "row 0 has 2. Set data.task=multilabel"),
        (NUMBERS, "multilabel", r"rows of 0 and 1, but the labels have shape \(4,\) and go from"),
        (np.array(["cat", "dog"]), None, "dtype <U3, expected integers from 0 .*return_inverse"),
        ([[0, 1], [2]], None, "labels have different lengths"),
        (np.array([0.5, np.nan]), None, "the label at position 1 is nan, expected finite"),
        (CLASSES, "regresion", "data.task='regresion': expected one of classification, multi"),
        (CLASSES, {"a": "regression"}, "given by output, but the labels are of one output"),
        (
            {"price": CLASSES},
            {"prize": "regression"},
            "an output 'prize', which is not",
        ),
    ],
)
def test_labels_that_cannot_be_learned_are_refused_in_a_sentence(
    y: Any, said: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        labels_for(infer_task(y, "mine (train)", said), y, "mine (train)")


@pytest.mark.parametrize(
    ("y", "test", "message"),
    [
        (CLASSES, CLASSES + 1, "label 3 at position 2, but the training part has 3 classes"),
        (ONE_HOT, ONE_HOT[:, :2], r"expected rows with exactly one 1"),
        (TAGS, TAGS[:, :2], r"labels of shape \(2,\), expected 3"),
        (TAGS, TAGS * 2, "the labels go from 0 to 2, but those of the training part are 0 and 1"),
        (CLASSES, None, "no labels, but the training part has one output"),
        ({"a": CLASSES}, CLASSES, "labels of one output, but .* has the outputs a"),
        ({"a": CLASSES}, {"b": CLASSES}, "labels of the outputs b, but .* has the outputs a"),
    ],
)
def test_a_part_whose_labels_are_not_of_the_training_parts_task_is_refused(
    y: Any, test: Any, message: str
) -> None:
    with pytest.raises(DataError, match=rf"mine \(test\).*{message}"):
        labels_for(infer_task(y, "mine (train)"), test, "mine (test)")
