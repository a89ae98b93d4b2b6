"""What a metric is: decided once by its name, and stored with the study."""

from __future__ import annotations

from typing import Any

import pytest

from besom.metrics import kind_of
from besom.store.records import Objective


@pytest.mark.parametrize(
    ("kind", "metrics"),
    [
        ("share", ["val_accuracy", "val_acc", "BinaryAccuracy", "top_5_accuracy", "error_rate"]),
        ("share", ["val_error_rate", "categoricalaccuracy"]),
        ("loss", ["val_loss", "logloss", "val_mae", "BinaryCrossentropy", "accuracy_loss"]),
        ("number", ["n_params", "val_auc", "word_error_rate", "val_error", "seconds", "reward"]),
    ],
)
def test_a_name_says_what_its_values_are(kind: str, metrics: list[str]) -> None:
    assert {kind_of(metric) for metric in metrics} == {kind}


def test_an_error_rate_is_shown_as_a_share_like_an_accuracy() -> None:
    accuracy, rate = Objective("val_accuracy", "maximize"), Objective("error_rate", "minimize")
    assert accuracy.text(0.9) == rate.text(0.9) == "0.9000"
    assert Objective("val_loss", "minimize").text(0.9) == "0.9"


def test_a_study_from_before_metrics_had_kinds_gets_them_by_their_names() -> None:
    stored: dict[str, Any] = {"metric": "val_loss", "direction": "minimize", "epoch": "last"}
    assert Objective(**stored).is_loss


def test_a_stored_kind_is_kept_whatever_the_name_would_say() -> None:
    stored = vars(Objective("val_error", "minimize", kind="share"))
    assert Objective(**stored).is_share
