"""A run on a fold, in its worker: what it is trained on, and what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from besom.errors import ConfigError
from besom.seam import TrialResult
from besom.training import runtime
from besom.training.trial import prepare, prepare_another, run_trial

pytestmark = pytest.mark.tensorflow

CONFIG: dict[str, Any] = {
    "data": {"_target_": "besom.training.data.digits", "validation_split": 0.1},
    "model": {"_target_": "besom.training.models.mlp", "hidden_units": [16], "activation": "relu"},
    "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01},
    "trainer": {"epochs": 2, "batch_size": 64, "patience": 5, "restore_best": True},
    "seed": 7,
}


def of_fold(fold: int, **more: Any) -> dict[str, Any]:
    return {**CONFIG, "run": {"fold": fold, "folds": 5, "repeat": 0}, **more}


def run(config: dict[str, Any]) -> TrialResult:
    return run_trial(config, lambda *_: False)


def test_prepare_says_that_folds_are_heeded_and_counts_all_that_they_predict() -> None:
    facts = prepare(of_fold(0))
    assert facts["folds"] is True
    assert (facts["data"]["n_train"], facts["data"]["n_validation"]) == (1437, 1437)
    assert prepare_another(of_fold(0))["data"] == facts["data"]
    assert "folds" not in prepare(CONFIG)


def test_a_run_is_measured_on_its_fold_after_each_epoch() -> None:
    wanted = {"per_example": ["val_accuracy", "val_loss"]}
    results = [run(of_fold(fold, orders=wanted)) for fold in range(5)]
    assert sum(result.n_validation for result in results) == 1437
    facts = prepare_another(of_fold(0))["data"]
    for result in results:
        assert result.environment["data"] == facts
        n, accuracy = result.n_validation, result.history["val_accuracy"]
        for epoch, bits in enumerate(result.correct_by_epoch or []):
            right = np.unpackbits(np.frombuffer(bits, np.uint8), count=n)
            assert right.mean() == pytest.approx(accuracy[epoch])
        losses = result.per_example["val_loss"]["by_epoch"]
        means = [np.frombuffer(of_epoch, "<f4").mean() for of_epoch in losses]
        assert means == pytest.approx(result.history["val_loss"], rel=1e-4)


@pytest.mark.long
def test_a_repeat_is_a_run_with_another_seed_on_the_same_fold() -> None:
    first = run(of_fold(1))
    again = run({**of_fold(1), "run": {"fold": 1, "folds": 5, "repeat": 1}})
    assert again.history == first.history
    assert run(of_fold(1, seed=8)).history != first.history
    assert run(of_fold(2)).history != first.history
    alone = run({**CONFIG, "run": {"repeat": 1}})
    assert alone.history == run(CONFIG).history


@pytest.mark.parametrize("callback", ["ReduceLROnPlateau", "EarlyStopping"])
def test_a_callback_that_goes_by_validation_examples_is_refused_with_folds(callback: str) -> None:
    node = {"_target_": f"keras.callbacks.{callback}"}
    trainer = {**CONFIG["trainer"], "callbacks": [node]}
    with pytest.raises(ConfigError, match=rf"{callback} monitors val_loss, .* sweep\.folds"):
        prepare(of_fold(0, trainer=trainer))
    trainer = {**trainer, "callbacks": [{**node, "monitor": "loss"}]}
    assert prepare(of_fold(0, trainer=trainer))["folds"]


def test_a_table_is_encoded_as_each_fold_teaches(tmp_path: Path) -> None:
    city = ["Bonn", "Ulm"] * 15 + ["Paris"] * 10
    pd.DataFrame({"age": range(40), "city": city, "price": np.arange(40) * 1.5}).to_csv(
        tmp_path / "t.csv", index=False
    )
    data = {
        "_target_": "besom.training.data.csv",
        "path": str(tmp_path / "t.csv"),
        "target": "price",
        "order": True,
    }
    parts = [
        runtime.training_data({"data": data, "run": {"fold": fold, "folds": 3, "repeat": 0}})
        for fold in (0, 2, 0)
    ]
    assert [part.n_train for part in parts] == [10, 30, 10]
    assert [part.input_shape for part in parts] == [(4,), (4,), (4,)]  # Paris is never trained on
    for part in parts:
        np.testing.assert_allclose(part.x_train[:, 0].mean(), 0.0, atol=1e-5)
    np.testing.assert_array_equal(parts[0].x_train, parts[2].x_train)
    assert parts[0].columns is parts[2].columns
