"""What a coordinator may ask of a trial beside its value: constraints, models, checkpoints."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from training_world import ENGINES

from besom.errors import ConfigError
from besom.seam import TrialResult
from user_project import some_long

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
    assert continued.correct_by_epoch == whole.correct_by_epoch
    assert continued.best_epoch == whole.best_epoch


@pytest.mark.long
def test_a_state_that_does_not_know_the_images_leaves_them_unknown(tmp_path):
    """Kept before they were: the epochs before it cannot be had again."""
    state = tmp_path / "state"
    run({"checkpoint": {"save": str(state), "load": None}}, stop_after=2)
    with np.load(state) as stored:
        kept = {name: stored[name] for name in stored.files if name != "correct_by_epoch"}
    with state.open("wb") as file:
        np.savez(file, **kept)
    continued = run({"checkpoint": {"save": None, "load": str(state)}})
    assert continued.correct_by_epoch is None
    assert continued.correct is not None


def test_the_best_epoch_may_lie_before_the_checkpoint(tmp_path):
    state = str(tmp_path / "state")
    run({"checkpoint": {"save": state, "load": None}}, stop_after=3)
    whole, continued = run(monitor="loss", mode="max"), None
    continued = run({"checkpoint": {"save": None, "load": state}}, monitor="val_loss", mode="min")
    assert continued.epochs == 4
    assert whole.best_epoch == 1
    assert continued.correct is not None


@pytest.mark.long
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

    from besom.training.data.loading import load_training

    path = tmp_path / "models" / "trial.keras"
    result = run({"save_model": {"path": str(path), "better_than": None}})
    best = max(result.history["val_accuracy"])
    assert result.history["val_accuracy"][result.best_epoch - 1] == best
    data = load_training(CONFIG["data"])
    model = keras.models.load_model(path)
    x = data.x_validation.astype("float32") * np.float32(data.scale)
    measured = model.evaluate(x, data.y_validation, verbose=0, return_dict=True)
    assert measured["accuracy"] == best
    loss = result.history["val_loss"][result.best_epoch - 1]
    # Not exactly: Keras sums batches of another size, and so rounds in another order.
    assert measured["loss"] == pytest.approx(loss, rel=1e-6)
    right = model.predict(x, verbose=0).argmax(axis=-1) == data.y_validation
    assert np.packbits(right).tobytes() == result.correct


def test_a_model_that_is_no_better_is_not_written(tmp_path):
    path = tmp_path / "trial.keras"
    run({"save_model": {"path": str(path), "better_than": 0.9999}})
    assert not path.exists()
    run({"save_model": {"path": str(path), "better_than": math.inf}}, mode="min")
    assert path.exists()


@pytest.mark.long
def test_a_mode_left_open_keeps_the_model_that_training_would(tmp_path):
    """``auto`` minimizes a loss: a model no lower than the best so far is not written."""
    path = tmp_path / "trial.keras"
    order = {"save_model": {"path": str(path), "better_than": 0.0}}
    run(order, monitor="val_loss", mode="auto")
    assert not path.exists()
    order["save_model"]["better_than"] = 100.0
    run(order, monitor="val_loss", mode="auto")
    assert path.exists()
    path.unlink()
    run(order, monitor="val_accuracy", mode="auto")
    assert not path.exists()


def test_a_stopped_trial_leaves_no_model(tmp_path):
    path = tmp_path / "trial.keras"
    run({"save_model": {"path": str(path), "better_than": None}}, stop_after=1)
    assert not path.exists()


def probed(trainer: dict | None = None, **changes) -> TrialResult:
    from besom.training.dry_run_probe import probe

    config = {**CONFIG, **changes, "trainer": {**CONFIG["trainer"], **(trainer or {})}}
    return probe(config, lambda epoch, metrics: False)


def test_a_probe_builds_and_measures_without_training_to_speak_of():
    numbers = probed().numbers
    assert numbers["n_params"] == 64 * 16 + 16 + 16 * 10 + 10
    assert numbers["model_bytes"] == 4 * numbers["n_params"]
    assert numbers["steps_per_epoch"] == math.ceil(1150 / 64)
    assert numbers["seconds_per_step"] > 0
    assert numbers["memory_bytes"] > 1e8


@pytest.mark.long
def test_a_probe_measures_the_engine_that_would_train():
    """Keras's own step takes several times as long here, and would overstate a whole sweep."""
    compiled, keras = probed(), probed({"engine": "keras"})
    assert compiled.environment["engine"] == "compiled"
    assert keras.environment["engine"] == "keras"
    again = probed()  # other processes may run
    seconds = min(each.numbers["seconds_per_step"] for each in (compiled, again))
    assert seconds < keras.numbers["seconds_per_step"]


@pytest.mark.long
def test_a_probe_sees_what_only_model_fit_can_train():
    own_step = {"_target_": "training_world.with_own_step"}
    result = probed(model=own_step)
    assert result.environment["engine"] == "keras"
    assert "train_step" in result.environment["engine_reason"]
    with pytest.raises(ConfigError, match=r"trainer\.engine=compiled cannot run this"):
        probed({"engine": "compiled"}, model=own_step)


@pytest.mark.parametrize("batch_size", some_long([1, 2000], [2000]))
def test_a_probe_takes_any_batch_size(batch_size):
    numbers = probed({"batch_size": batch_size}).numbers
    assert numbers["seconds_per_step"] > 0
    assert numbers["steps_per_epoch"] == math.ceil(1150 / batch_size)


@pytest.mark.long
def test_a_probe_foretells_what_a_trial_takes_beside_its_epochs():
    """Which on small data is nearly all of it: the model is built, traced and saved."""
    from besom.training.trial import run_trial

    config = {**CONFIG, "trainer": {**CONFIG["trainer"], "epochs": 1}}
    told, took = list[float](), list[float]()
    for _ in range(3):  # other processes may run
        numbers = probed().numbers
        beside = numbers["seconds_beside_epochs"] + numbers["seconds_beside_steps"]
        told.append(beside + numbers["seconds_per_step"] * numbers["steps_per_epoch"])
        began = time.perf_counter()
        run_trial(config, lambda *_: False)
        took.append(time.perf_counter() - began)
    assert min(took) / 5 < min(told) < min(took) * 5, (told, took)


@pytest.mark.long
def test_a_probe_calls_no_callback_and_takes_a_rate_that_diverges(tmp_path):
    log = {"_target_": "keras.callbacks.CSVLogger", "filename": str(tmp_path / "log.csv")}
    numbers = probed(
        {"callbacks": [log]}, optimizer={"_target_": "keras.optimizers.SGD", "learning_rate": 1e30}
    ).numbers
    assert not (tmp_path / "log.csv").exists()
    assert numbers["seconds_beside_epochs"] > 0


def test_a_disk_that_takes_no_model_and_no_state_costs_no_trial(tmp_path, caplog):
    (tmp_path / "full").write_text("a file where a folder should be")
    model, state = tmp_path / "full" / "trial-0.keras", tmp_path / "full" / "state"
    result = run(
        {
            "save_model": {"path": str(model), "better_than": None},
            "checkpoint": {"save": str(state), "load": None},
        }
    )
    assert result.epochs == 4
    state_said, model_said = [record.getMessage() for record in caplog.records]
    assert state_said.startswith("The trial's state could not be saved in ")
    assert model_said == result.environment["remarks"]["model"]
    assert "fix the permissions" in model_said


def test_a_model_that_cannot_be_saved_costs_the_model_and_says_what_to_do(tmp_path):
    from besom.training.trial import run_trial

    config = {**CONFIG, "model": {"_target_": "training_world.unsavable"}}
    config["orders"] = {"save_model": {"path": str(tmp_path / "m" / "trial-0.keras")}}
    result = run_trial(config, lambda epoch, metrics: False)
    assert result.epochs == 4
    assert result.correct is not None
    said = result.environment["remarks"]["model"]
    assert said.startswith("The model cannot be saved: NotImplementedError: Object Unsavable was")
    assert "register_keras_serializable()" in said
    assert "sweep.keep_models=0" in said
    assert "\n" not in said
    assert list((tmp_path / "m").iterdir()) == []


def test_a_run_whose_model_and_picture_cannot_be_written_leaves_all_else(
    tmp_path, monkeypatch
) -> None:
    from besom import plots
    from besom.store.paths import TrainPaths
    from user_project import Project

    def broken(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(plots, "write_learning_curve", broken)
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.write("conf/model/own.yaml", "_target_: training_world.unsavable\n")
    done = project.besom("train", "model=own", "name=run", "trainer.epochs=2")
    assert done.exit_code == 0, done.output
    assert "no .keras file will be written: NotImplementedError" in done.output
    assert "learning_curve.png is missing: RuntimeError: no ink." in done.output
    paths = TrainPaths(tmp_path / "results" / "train" / "run")
    assert {path.name for path in paths.root.iterdir()} == {
        paths.config.name,
        paths.history.name,
        paths.metrics.name,
    }


@ENGINES
def test_the_metrics_asked_for_are_given_example_by_example(engine: str) -> None:
    asked = {"per_example": ["val_loss", "val_accuracy", "n_params", "loss"]}
    result = run(asked, engine=engine, evaluation_batch_size=100)
    assert result.per_example.keys() == {"val_loss"}  # the accuracy has its bits
    kept = result.per_example["val_loss"]
    values = result.history["val_loss"]
    assert kept["kind"] == "mean"
    numbers = [np.frombuffer(row, "<f4") for row in (kept["values"], *kept["by_epoch"])]
    assert {row.size for row in numbers} == {result.n_validation}
    means = [float(row.mean(dtype=np.float64)) for row in numbers]
    assert means == pytest.approx([values[result.best_epoch - 1], *values], rel=1e-5)


def test_a_run_that_is_continued_knows_the_examples_of_its_last_epochs_only(tmp_path):
    state, asked = str(tmp_path / "state"), {"per_example": ["val_loss"]}
    run({"checkpoint": {"save": state, "load": None}, **asked}, stop_after=2)
    continued = run({"checkpoint": {"save": None, "load": state}, **asked})
    assert "by_epoch" not in continued.per_example["val_loss"]
