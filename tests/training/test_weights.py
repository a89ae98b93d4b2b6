"""The weights that are measured are the weights that are kept, tested, exported and confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from training_world import ENGINES, config, onward, tiny_data, tiny_test

from besom.training.epochs.weights import CHANGED_LATER
from besom.training.saving import save_state
from besom.training.trainer import evaluate, fit, judge
from user_project import run_long

pytestmark = pytest.mark.tensorflow

ADAM = {"_target_": "keras.optimizers.Adam", "learning_rate": 0.05}
EMA = ADAM | {"use_ema": True, "ema_momentum": 0.9}
STOPPING = {
    "_target_": "keras.callbacks.EarlyStopping",
    "monitor": "loss",
    "mode": "max",  # so that it stops at once, and goes back to the first epoch
    "patience": 1,
    "restore_best_weights": True,
}
SWAP = {"_target_": "keras.callbacks.SwapEMAWeights"}

#: What changes the weights around, or after, the validation that measures them.
CHANGES: dict[str, dict[str, Any]] = {
    "ema": {"optimizer": EMA},
    "ema-and-epoch-end": {"optimizer": EMA, "callbacks": [{"_target_": "training_world.Shrink"}]},
    "early-stopping": {"callbacks": [STOPPING]},
    "epoch-end": {"callbacks": [{"_target_": "training_world.Shrink"}]},
    "train-end": {"callbacks": [{"_target_": "training_world.ShrinkAtTheEnd"}]},
    "finalize": {"optimizer": {"_target_": "training_world.FinalAdam", "learning_rate": 0.05}},
    "nothing": {},
}
#: The same, where only Keras's own loop can do it.
KERAS_ONLY: dict[str, dict[str, Any]] = {
    "swap": {"optimizer": EMA, "callbacks": [SWAP]},
    "swap-on-epoch": {"optimizer": EMA, "callbacks": [SWAP | {"swap_on_epoch": True}]},
    "other-weights-for-validation": {
        "callbacks": [{"_target_": "training_world.HalveForValidation"}]
    },
    "own-fit": {"model": {"_target_": "training_world.with_own_fit"}},
}


def run(
    change: dict[str, Any], engine: str, best: bool = False, n_epochs: int = 2, **given: Any
) -> Any:
    nodes = {key: value for key, value in change.items() if key != "callbacks"}
    trainer = {
        "epochs": n_epochs,
        "engine": engine,
        "callbacks": change.get("callbacks", []),
        "restore_best": best,
        "monitor": "loss",
        "mode": "max",  # the best epoch is an early one
    }
    wanted = config(**{"optimizer": ADAM, **nodes, "trainer": trainer})
    return fit(wanted, tiny_data(), on_epoch=onward, **given)


def at_the_epoch_that_counts(fitted: Any, prefix: str) -> dict[str, float]:
    index = fitted.best_epoch - 1
    return {name: fitted.history[prefix + name][index] for name in ("loss", "accuracy")}


@pytest.mark.long
@pytest.mark.parametrize(
    ("engine", "name", "best"),
    [
        *(("compiled", name, False) for name in CHANGES),
        *(("keras", name, False) for name in CHANGES | KERAS_ONLY),
        *((e, name, True) for e in ("compiled", "keras") for name in ("ema", "epoch-end")),
        ("compiled", "early-stopping", True),
        ("keras", "swap-on-epoch", True),
    ],
)
def test_a_loaded_model_scores_in_plain_keras_what_its_epoch_scored(
    engine: str, name: str, best: bool, tmp_path: Path
) -> None:
    data, test = tiny_data(), tiny_test()
    fitted = run((CHANGES | KERAS_ONLY)[name], engine, best, test=test)
    assert fitted.engine == engine
    if best:
        assert fitted.best_epoch < len(fitted.history["loss"])
    else:
        assert fitted.best_epoch == len(fitted.history["loss"])

    fitted.model.save(tmp_path / "model.keras")
    custom = None if name != "own-fit" else {"OwnFit": type(fitted.model)}
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects=custom, compile=False)
    loaded.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x = data.x_validation.astype(np.float32) / np.float32(255)
    told = at_the_epoch_that_counts(fitted, "val_")
    theirs = loaded.evaluate(x, data.y_validation, verbose=0, return_dict=True)
    assert theirs == pytest.approx(told, rel=1e-5)

    # What `besom train` and `besom confirm --on test` measure in the end.
    told = at_the_epoch_that_counts(fitted, "test_")
    assert evaluate(fitted.model, test.x, test.y, 1 / 255) == pytest.approx(told, rel=1e-5)
    _, rows = judge(fitted.model, data.x_validation, data.y_validation, 1 / 255)
    right = rows["correct"]
    assert list(fitted.correct) == list(right)
    assert fitted.correct_by_epoch[fitted.best_epoch - 1] == np.packbits(right).tobytes()


@ENGINES
def test_with_use_ema_the_averages_are_measured_and_training_goes_on_from_the_raw(
    engine: str,
) -> None:
    plain, averaged = run({}, engine), run({"optimizer": EMA}, engine)
    assert averaged.history["loss"] == plain.history["loss"]
    assert averaged.history["val_loss"] != plain.history["val_loss"]
    assert averaged.remarks == {}
    for weight, average in zip(
        averaged.model.trainable_variables,
        averaged.model.optimizer._model_variables_moving_average,
        strict=True,
    ):
        np.testing.assert_array_equal(weight, average)


@pytest.mark.long
def test_averages_that_a_callback_puts_in_are_not_taken_out_by_putting_them_in_again() -> None:
    ours, theirs = (run(change, "keras") for change in (CHANGES["ema"], KERAS_ONLY["swap"]))
    np.testing.assert_allclose(ours.history["val_loss"], theirs.history["val_loss"], rtol=1e-3)


@ENGINES
def test_without_validation_the_weights_at_the_epochs_end_are_kept(engine: str) -> None:
    """As they are before callbacks hear of it; the test images are measured by them."""
    test, data = tiny_test(), tiny_data(n_validation=0)
    trainer = {"engine": engine, "callbacks": [{"_target_": "training_world.Shrink"}], "epochs": 2}
    fitted = fit(config(optimizer=EMA, trainer=trainer), data, on_epoch=onward, test=test)
    told = at_the_epoch_that_counts(fitted, "test_")
    assert evaluate(fitted.model, test.x, test.y, 1 / 255) == pytest.approx(told, rel=1e-5)


@ENGINES
@pytest.mark.parametrize(
    ("name", "said"),
    [("train-end", True), ("ema", False)],
)
def test_a_change_that_is_not_kept_is_remarked(engine: str, name: str, said: bool) -> None:
    fitted = run(CHANGES[name], engine, n_epochs=1)
    assert fitted.remarks == ({"weights": CHANGED_LATER} if said else {})


@pytest.mark.parametrize(
    ("name", "best"),
    [("ema-and-epoch-end", True), *run_long(("ema", False), ("epoch-end", False))],
)
def test_a_continued_run_trains_on_from_its_own_weights_and_keeps_the_measured_ones(
    name: str, best: bool, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    whole = run(CHANGES[name], "compiled", best)
    run(CHANGES[name], "compiled", best, n_epochs=1, save_to=state)
    for n_more in (1, 0):  # 0: the state is already that of the last epoch
        continued = run(CHANGES[name], "compiled", best, resume_from=state, save_to=state)
        assert continued.history == whole.history, n_more
        assert continued.best_epoch == whole.best_epoch
        assert list(continued.correct) == list(whole.correct)
        for a, b in zip(continued.model.get_weights(), whole.model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.long
def test_where_nothing_can_change_the_weights_none_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copies: list[int] = []
    take = keras.Model.get_weights
    monkeypatch.setattr(keras.Model, "get_weights", lambda self: copies.append(1) or take(self))
    for engine in ("compiled", "keras"):
        run({}, engine)
    assert copies == []
    run({}, "compiled", best=True)
    assert len(copies) == 1  # of the one epoch that was the best


@pytest.mark.parametrize("content", [b"no archive", None])
def test_a_state_that_cannot_be_read_is_a_run_from_the_beginning(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    if content is None:  # of another model
        other = run({"model": {"_target_": "training_world.normalized"}}, "compiled")
        save_state(state, other.model, _watch_of(other))
    else:
        state.write_bytes(content)
    assert run({}, "compiled", resume_from=state).history == run({}, "compiled").history
    assert "cannot be read" in caplog.text


def _watch_of(fitted: Any) -> Any:
    from besom.training.epochs.watch import Watch
    from besom.training.settings import TrainerSettings

    watch = Watch(TrainerSettings(), fitted.model, onward)
    watch.history = fitted.history
    return watch
