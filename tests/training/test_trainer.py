"""A training run, with either engine: its promises about epochs, seeds, callbacks and models."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from training_world import BATCH, ENGINES, N_TRAIN, config, onward, tiny_data, tiny_test, told

from besom.errors import ConfigError, TrialDiverged
from besom.training import build
from besom.training.trainer import evaluate, fit
from user_project import run_long

pytestmark = pytest.mark.tensorflow


def node(name: str, **params: Any) -> dict[str, Any]:
    return {"_target_": f"training_world.{name}", **params}


def run(**changes: Any) -> Any:
    return fit(config(**changes), tiny_data(), on_epoch=onward)


@ENGINES
def test_every_epoch_is_told_with_every_metric_and_true_stops_the_run(engine: str) -> None:
    heard: list[tuple[int, dict[str, float]]] = []

    def stop_after_two(epoch: int, metrics: Mapping[str, float]) -> bool:
        heard.append((epoch, dict(metrics)))
        return epoch == 2

    wanted = config(trainer={"epochs": 5, "engine": engine})
    fitted = fit(wanted, tiny_data(), on_epoch=stop_after_two, test=tiny_test())
    assert [epoch for epoch, _ in heard] == [1, 2]
    names = {a + b for a in ("", "val_", "test_") for b in ("loss", "accuracy")}
    assert set(heard[0][1]) == set(fitted.history) == names
    assert all(type(value) is float for _, metrics in heard for value in metrics.values())
    assert fitted.history == {name: [metrics[name] for _, metrics in heard] for name in names}
    assert (fitted.best_epoch, fitted.stopped_early) == (2, False)
    assert len(fitted.epoch_seconds) == 2
    assert fitted.seconds_per_epoch > 0


@ENGINES
def test_the_best_epochs_weights_are_kept_where_asked(engine: str) -> None:
    # Much too high a rate: the best epoch is not the last.
    fitted = run(
        optimizer={"_target_": "keras.optimizers.SGD", "learning_rate": 3.0},
        trainer={"epochs": 6, "restore_best": True, "engine": engine},
    )
    accuracies = fitted.history["val_accuracy"]
    assert fitted.best_epoch == 1 + int(np.argmax(accuracies)) < 6
    data = tiny_data()
    measured = evaluate(fitted.model, data.x_validation, data.y_validation, data.scale)
    assert measured["accuracy"] == pytest.approx(max(accuracies))
    assert fitted.correct.mean() == pytest.approx(max(accuracies))


@ENGINES
def test_which_images_were_right_is_kept_of_every_epoch(engine: str) -> None:
    fitted = run(
        optimizer={"_target_": "keras.optimizers.SGD", "learning_rate": 3.0},
        trainer={"epochs": 6, "restore_best": True, "evaluation_batch_size": 7, "engine": engine},
    )
    assert fitted.correct_by_epoch is not None
    rows = [np.unpackbits(np.frombuffer(row, np.uint8)) for row in fitted.correct_by_epoch]
    shares = [row[: len(fitted.correct)].mean() for row in rows]
    assert shares == pytest.approx(fitted.history["val_accuracy"])
    kept = fitted.correct_by_epoch[fitted.best_epoch - 1]
    assert kept == np.packbits(fitted.correct).tobytes()


@pytest.mark.long
def test_model_fit_is_listened_to_without_a_trace() -> None:
    """Test images judged between two epochs are not taken for validation images."""
    plain = fit(config(trainer={"engine": "keras"}), tiny_data(), on_epoch=onward)
    tested = fit(
        config(trainer={"engine": "keras"}), tiny_data(), on_epoch=onward, test=tiny_test()
    )
    assert plain.correct_by_epoch == tested.correct_by_epoch is not None
    assert not {"test_step", "compute_metrics"} & set(vars(tested.model))


def test_a_test_step_of_ones_own_that_tells_nothing_leaves_the_epochs_unknown() -> None:
    fitted = run(model=node("with_own_test_step"))
    assert fitted.correct_by_epoch is None
    assert fitted.correct is not None


@ENGINES
def test_patience_ends_a_run_that_gains_nothing(engine: str) -> None:
    still = {"_target_": "keras.optimizers.SGD", "learning_rate": 0.0}
    patient = {"epochs": 9, "patience": 2, "engine": engine}
    fitted = run(optimizer=still, trainer=patient)
    assert fitted.stopped_early
    assert len(fitted.history["loss"]) == 3
    assert fitted.best_epoch == 3  # the last one's weights, for restore_best is off
    assert run(optimizer=still, trainer=patient | {"restore_best": True}).best_epoch == 1


def test_a_gain_below_min_delta_is_none_and_losses_are_minimized() -> None:
    falling = {"monitor": "loss", "epochs": 6, "patience": 1}
    assert not run(trainer=falling).stopped_early
    assert len(run(trainer=falling | {"min_delta": 1.0}).history["loss"]) == 2
    assert run(trainer=falling | {"mode": "max"}).stopped_early


def test_min_delta_is_for_patience_and_the_best_epoch_is_the_best() -> None:
    falling = {"monitor": "loss", "epochs": 3, "min_delta": 10.0, "restore_best": True}
    fitted = run(trainer=falling)
    losses = fitted.history["loss"]
    assert len(losses) == 3
    assert fitted.best_epoch == losses.index(min(losses)) + 1 == 3


@ENGINES
def test_a_loss_that_is_not_finite_ends_the_run_before_it_is_told(engine: str) -> None:
    heard: list[int] = []

    def listen(epoch: int, _metrics: object) -> bool:
        heard.append(epoch)
        return False

    wanted = config(model=node("exploding"), trainer={"engine": engine})
    with pytest.raises(TrialDiverged, match=r"loss is (nan|inf) at epoch 1"):
        fit(wanted, tiny_data(), on_epoch=listen)
    assert heard == []


@ENGINES
def test_epoch_level_callbacks_work_with_both_engines(engine: str) -> None:
    told.clear()
    fitted = run(trainer={"epochs": 2, "callbacks": [node("Diary")], "engine": engine})
    logs = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert told == [
        ("train begins", 2),
        ("epoch begins", 0),
        ("epoch ends", 0, logs),
        ("epoch begins", 1),
        ("epoch ends", 1, logs),
        ("train ends",),
    ]
    assert fitted.engine == engine
    assert float(fitted.model.optimizer.learning_rate) == pytest.approx(0.01 / 4)
    callbacks = [node("StopAfterTwo")]
    assert len(run(trainer={"callbacks": callbacks, "engine": engine}).history["loss"]) == 2


def test_a_callback_changes_what_the_compiled_steps_do() -> None:
    told.clear()
    halving = run(trainer={"callbacks": [node("Diary")]}).history["loss"]
    assert halving[0] == run().history["loss"][0]
    assert halving[1:] != run().history["loss"][1:]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": node("with_own_step")}, "the model OwnStep overrides train_step"),
        (
            {"trainer": {"callbacks": [node("step_diary")]}},
            "the callback LambdaCallback uses on_train_batch_end",
        ),
        ({}, None),
        *run_long(
            (
                {"trainer": {"callbacks": [node("BatchDiary")]}},
                "the callback BatchDiary uses on_train_batch_end",
            ),
            ({"trainer": {"engine": "keras"}}, "trainer.engine=keras"),
            ({"model": node("with_own_loss")}, None),
        ),
    ],
)
def test_the_log_says_which_engine_runs_and_why(
    changes: dict[str, Any], reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    changes.setdefault("trainer", {})["epochs"] = 1
    with caplog.at_level(logging.INFO, logger="besom"):
        fitted = run(**changes)
    if reason is None:
        assert (fitted.engine, fitted.kernel) == ("compiled", "ResourceApplyAdam")
        assert "engine=compiled: each epoch is one compiled function" in caplog.text
    else:
        assert fitted.engine == "keras"
        assert f"engine=keras: {reason}" in caplog.text


def test_an_engine_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"overrides train_step\. Use trainer\.engine=auto"):
        run(model=node("with_own_step"), trainer={"engine": "compiled"})


def test_the_same_seed_gives_the_same_history_bit_for_bit_whatever_ran_before() -> None:
    with_dropout = {
        "_target_": "besom.training.models.mlp",
        "hidden_units": [16],
        "dropout": 0.3,
    }
    first = run(model=with_dropout)
    run(model=with_dropout | {"hidden_units": [8, 8]}, seed=9)
    again = run(model=with_dropout)
    assert first.history == again.history
    assert list(first.correct) == list(again.correct)
    for a, b in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert run(model=with_dropout, seed=4).history != first.history


def test_a_saved_model_is_plain_keras_and_predicts_the_same(tmp_path: Path) -> None:
    fitted = run(trainer={"metrics": ["accuracy", "sparse_top_k_categorical_accuracy"]})
    fitted.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    data = tiny_data()
    x = data.x_validation.astype(np.float32) * np.float32(data.scale)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), fitted.model.predict(x, verbose=0))
    measured = loaded.evaluate(x, data.y_validation, verbose=0, return_dict=True)
    assert measured["accuracy"] == pytest.approx(fitted.history["val_accuracy"][-1])
    assert int(loaded.optimizer.iterations) == 3 * -(-N_TRAIN // BATCH)


@ENGINES
def test_no_validation_images_is_a_run_without_validation_metrics(engine: str) -> None:
    data = tiny_data(n_validation=0)
    wanted = config(trainer={"engine": engine, "epochs": 1})
    fitted = fit(wanted, data, on_epoch=onward, test=tiny_test())
    assert set(fitted.history) == {"loss", "accuracy", "test_loss", "test_accuracy"}
    assert fitted.correct is None
    assert fitted.correct_by_epoch is None


@pytest.mark.long
def test_in_bfloat16_weights_state_loss_and_output_stay_float32() -> None:
    fitted = run(trainer={"precision": "bfloat16"})
    kinds = {v.dtype for v in fitted.model.variables + fitted.model.optimizer.variables}
    assert kinds <= {"float32", "int64", "uint32"}
    assert fitted.model.layers[1].compute_dtype == "bfloat16"
    assert fitted.model.layers[-1].compute_dtype == "float32"
    assert fitted.history["loss"] != run().history["loss"]
    assert fitted.history["loss"] == pytest.approx(run().history["loss"], rel=0.05)
    assert keras.config.dtype_policy().name == "float32"
    assert fitted.precision == "bfloat16"


@pytest.mark.parametrize(
    ("flags", "batch_size", "chosen"),
    [
        ({"avx512_bf16"}, 128, "bfloat16"),
        ({"amx_bf16", "avx2"}, 64, "bfloat16"),
        ({"avx512_bf16"}, 32, "float32"),
        ({"avx2"}, 128, "float32"),
        (set(), 128, "float32"),
    ],
)
def test_auto_takes_bfloat16_only_where_it_is_faster(
    flags: set[str], batch_size: int, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(build.tf.config, "list_physical_devices", lambda _kind: [])
    assert build.resolved_precision("auto", batch_size) == chosen
    assert build.resolved_precision("float32", batch_size) == "float32"
    assert build.resolved_precision("bfloat16", batch_size) == "bfloat16"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, r"seed is -1, expected a whole number from 0"),
        ({"seed": "x"}, r"seed is 'x'"),
        ({"trainer": {"epochs": 0}}, r"trainer\.epochs is 0, expected a whole number from 1"),
        ({"trainer": {"batch_size": 2.5}}, r"trainer\.batch_size is 2\.5"),
        ({"trainer": {"patience": -1}}, r"trainer\.patience is -1, expected .* from 0"),
        ({"trainer": {"engine": "jax"}}, r"'jax', expected one of auto, compiled, keras"),
        ({"trainer": {"mode": "up"}}, r"'up', expected one of auto, max, min"),
        ({"trainer": {"precision": "f16"}}, r"expected one of float32, bfloat16, auto"),
        ({"trainer": {"restore_best": 1}}, r"trainer\.restore_best is 1, expected true or false"),
        ({"trainer": {"metrics": "accuracy"}}, r"trainer\.metrics is 'accuracy', expected a list"),
        ({"trainer": {"bach_size": 2}}, r"no trainer\.bach_size\. Did you mean 'batch_size'"),
        ({"trainer": {"metrics": ["acuracy"]}}, r"'acuracy', which Keras does not know"),
        ({"trainer": {"loss": "mean_square_error"}}, r"Did you mean 'mean_squared_error'"),
        ({"trainer": {"callbacks": [node("PerClass")]}}, r"expected a keras\.callbacks\.Callback"),
        ({"trainer": {"metrics": [node("PerClass")]}}, r"gives 4 values per epoch, expected one"),
        ({"trainer": {"monitor": "val_acc", "patience": 1}}, r"'val_acc', which this run does not"),
        ({"model": node("not_a_model")}, r"returned a str, expected a keras\.Model"),
        ({"model": None}, r"'model' is null, expected a node with a _target_"),
        ({"optimizer": {"_target_": "keras.losses.MeanSquaredError"}}, r"expected a keras\.opt"),
        ({"optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": "x"}}, r"refused"),
        ({"optimizer": {"_target_": "keras.optimizers.Adm"}}, r"has no 'Adm'\. Did you mean"),
    ],
)
def test_nonsense_is_refused_in_one_clear_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(**changes)


def test_a_whole_learning_rate_is_taken_as_a_number() -> None:
    run(optimizer={"_target_": "keras.optimizers.SGD", "learning_rate": 1}, trainer={"epochs": 1})
