"""What a coordinator may ask of a trial beside its value: constraints, models, checkpoints."""

from __future__ import annotations

import math

import numpy as np
import pytest

from besom.seam import TrialResult

pytestmark = pytest.mark.tensorflow

CONFIG = {
    "data": {"_target_": "besom.training.data.digits", "validation_split": 0.2, "split_seed": 0},
    "model": {
        "_target_": "besom.training.models.mlp",
        "hidden_units": [16],
        "activation": "relu",
        "dropout": 0.3,
    },
    "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01},
    "trainer": {
        "epochs": 4,
        "batch_size": 64,
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "monitor": "val_accuracy",
        "mode": "max",
        "restore_best": True,
    },
    "seed": 3,
}


def run(orders: dict | None = None, stop_after: int | None = None, **trainer) -> TrialResult:
    from besom.training.trial import run_trial

    config = {**CONFIG, "trainer": {**CONFIG["trainer"], **trainer}}
    if orders is not None:
        config["orders"] = orders
    return run_trial(config, lambda epoch, metrics: epoch == stop_after)


def test_a_run_that_is_continued_gives_the_numbers_of_one_that_was_not(tmp_path):
    whole = run()
    state = str(tmp_path / "state")
    first = run({"checkpoint": {"save": state, "load": None}}, stop_after=2)
    assert first.epochs == 2
    continued = run({"checkpoint": {"save": None, "load": state}})
    assert continued.history == whole.history
    assert continued.correct == whole.correct
    assert continued.best_epoch == whole.best_epoch


def test_the_best_epoch_may_lie_before_the_checkpoint(tmp_path):
    state = str(tmp_path / "state")
    run({"checkpoint": {"save": state, "load": None}}, stop_after=3)
    whole, continued = run(monitor="loss", mode="max"), None
    continued = run({"checkpoint": {"save": None, "load": state}}, monitor="val_loss", mode="min")
    assert continued.epochs == 4
    assert whole.best_epoch == 1
    assert continued.correct is not None


def test_without_the_checkpoint_a_run_begins_at_the_beginning(tmp_path):
    missing = {"checkpoint": {"save": None, "load": str(tmp_path / "missing")}}
    assert run(missing).history == run().history


def test_what_is_out_of_bounds_is_built_but_not_trained():
    result = run({"constraints": {"n_params": {"max": 100}}})
    assert result.history == {}
    assert result.numbers["n_params"] == 64 * 16 + 16 + 16 * 10 + 10
    assert run({"constraints": {"n_params": {"max": 2000}}}).epochs == 4
    assert run({"constraints": {"n_params": {"min": 2000}}}).epochs == 0


def test_the_kept_model_scores_exactly_what_the_leaderboard_says(tmp_path):
    import keras

    from besom.training.data import load_training

    path = tmp_path / "models" / "trial.keras"
    result = run({"save_model": {"path": str(path), "better_than": None}})
    best = max(result.history["val_accuracy"])
    assert result.history["val_accuracy"][result.best_epoch - 1] == best
    data = load_training(CONFIG["data"])
    model = keras.models.load_model(path)
    x = data.x_validation.astype("float32") * np.float32(data.scale)
    measured = model.evaluate(x, data.y_validation, verbose=0, return_dict=True)
    assert measured["accuracy"] == best
    right = model.predict(x, verbose=0).argmax(axis=-1) == data.y_validation
    assert np.packbits(right).tobytes() == result.correct


def test_a_model_that_is_no_better_is_not_written(tmp_path):
    path = tmp_path / "trial.keras"
    run({"save_model": {"path": str(path), "better_than": 0.9999}})
    assert not path.exists()
    run({"save_model": {"path": str(path), "better_than": math.inf}}, mode="min")
    assert path.exists()


def test_a_stopped_trial_leaves_no_model(tmp_path):
    path = tmp_path / "trial.keras"
    run({"save_model": {"path": str(path), "better_than": None}}, stop_after=1)
    assert not path.exists()


def test_a_probe_builds_and_measures_without_training_to_speak_of():
    from besom.training.probe import probe

    numbers = probe(CONFIG, lambda epoch, metrics: False).numbers
    assert numbers["n_params"] == 64 * 16 + 16 + 16 * 10 + 10
    assert numbers["steps_per_epoch"] == math.ceil(1150 / 64)
    assert numbers["seconds_per_step"] > 0
    assert numbers["memory_bytes"] > 1e8
