"""``trainer.fit``: besom keeps a user's own training loop, and all that comes with a trial."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import own_fits
import pytest
import training_world as world

from besom.errors import ConfigError, TrialDiverged, TrustError
from besom.targets import names_in, refuse_untrusted
from besom.training.rehearsal import rehearse
from besom.training.settings import TrainerSettings
from besom.training.trainer import Fitted, evaluate, fit
from user_project import run_long, some_long


def config(function: Any, **trainer: Any) -> dict[str, Any]:
    return {
        "model": {"_target_": "own_fits.pretrained"},
        "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01},
        "trainer": {"epochs": 3, "batch_size": 16, "fit": function, **trainer},
        "seed": 1,
    }


def own(name: str) -> str:
    return f"own_fits.{name}"


def fitted(function: Any, on_epoch: Any = world.onward, **trainer: Any) -> Fitted:
    return fit(config(function, **trainer), world.tiny_data(), on_epoch=on_epoch)


def assert_kept_as_measured(run: Fitted) -> None:
    """The model's weights are those of the counted epoch."""
    held = world.tiny_data().validation
    measured = evaluate(run.model, held.x, held.y, held.scales, by=run.engine)
    of_epoch = {name: values[run.best_epoch - 1] for name, values in run.history.items()}
    assert measured["loss"] == pytest.approx(of_epoch["val_loss"], rel=1e-5)
    assert run.correct is not None
    assert run.correct.mean() == pytest.approx(of_epoch["val_accuracy"])


# Without TensorFlow's time


def test_the_function_is_among_the_names_that_must_be_trusted() -> None:
    node = {"trainer": {"fit": "os.system", "loss": None}}
    assert list(names_in(node)) == [("trainer.fit", "os.system")]
    assert list(names_in({"trainer.fit": ["my.one", "my.two"]}, inside=True)) == [
        ("trainer.fit", "my.one"),
        ("trainer.fit", "my.two"),
    ]
    assert list(names_in({"trainer": {"fit": "my.fit"}}, "trial 3: "))
    with pytest.raises(TrustError, match=r"trainer\.fit is 'os\.system'"):
        refuse_untrusted(node)


@pytest.mark.parametrize("given", [3, ["my.fit"], {"frozen": 1}])
def test_what_names_no_function_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.fit is .*expected the name of a function"):
        TrainerSettings(fit=given)


def test_the_compiled_engine_cannot_be_asked_for_with_it() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.engine=compiled cannot run trainer\.fit"):
        TrainerSettings(fit="my.fit", engine="compiled")


# What a run keeps


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_function_that_only_calls_model_fit_gives_the_history_of_none() -> None:
    ours, theirs = fitted(own("plain")), fitted(None, engine="keras")
    assert ours.history == theirs.history
    assert ours.engine_reason == "trainer.fit=own_fits.plain"
    assert list(ours.correct) == list(theirs.correct)
    assert ours.correct_by_epoch == theirs.correct_by_epoch


@pytest.mark.tensorflow
@pytest.mark.parametrize("best", [pytest.param(False, marks=pytest.mark.long), True])
def test_epochs_are_counted_across_two_phases(best: bool) -> None:
    reported: list[int] = []
    node = {"_target_": own("two_phases"), "frozen_epochs": 2}
    run = fitted(
        node, lambda epoch, _: reported.append(epoch), restore_best=best, monitor="val_loss"
    )
    assert reported == [1, 2, 3]
    assert {len(values) for values in run.history.values()} == {3}
    assert len(run.epoch_seconds) == len(run.correct_by_epoch or []) == 3
    assert len(run.model.trainable_variables) == 4, "the base was unfrozen"
    assert not run.remarks
    assert_kept_as_measured(run)


@pytest.fixture(scope="module")
def two_phases() -> Fitted:
    return fitted(own("two_phases"))


@pytest.mark.long
@pytest.mark.tensorflow
def test_it_is_known_whether_the_epoch_that_counts_was_measured_by_the_model_as_it_is(
    two_phases: Fitted,
) -> None:
    assert not two_phases.compiled_later
    assert fitted(own("compiled_at_the_end")).compiled_later


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", some_long(["by_hand", "curriculum"], "by_hand"))
def test_other_loops_are_kept_too(name: str) -> None:
    run = fitted(own(name))
    assert {len(values) for values in run.history.values()} == {3}
    assert_kept_as_measured(run)


@pytest.mark.tensorflow
def test_the_same_seed_gives_the_same_history(two_phases: Fitted) -> None:
    assert fitted(own("two_phases")).history == two_phases.history


@pytest.mark.long
@pytest.mark.tensorflow
def test_callbacks_of_the_config_are_called_and_may_end_a_phase() -> None:
    stop = {
        "_target_": "keras.callbacks.EarlyStopping",
        "monitor": "loss",
        "patience": 0,
        "min_delta": 100,
    }
    run = fitted({"_target_": own("two_phases"), "frozen_epochs": 2}, callbacks=[stop])
    assert len(run.history["loss"]) == 3  # two epochs until it has no patience, and one
    assert not run.stopped_early


# How it ends


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", some_long(["two_phases", "deaf", "tidy", "by_hand"], "deaf tidy"))
def test_a_stop_ends_the_function_in_any_phase(name: str) -> None:
    own_fits.NOTED.clear()
    run = fitted(own(name), lambda epoch, _: epoch == 2, epochs=5)
    assert {len(values) for values in run.history.values()} == {2}
    assert_kept_as_measured(run)
    if name == "tidy":
        assert own_fits.NOTED == ["tidied up"]
    if name == "deaf":
        assert set(own_fits.NOTED) == {"TrainingStopped"}


@pytest.mark.long
@pytest.mark.tensorflow
def test_patience_ends_it_and_the_callbacks_of_the_config_hear_of_the_end() -> None:
    world.told.clear()
    diary = {"_target_": "training_world.Diary"}
    run = fitted(own("plain"), epochs=9, patience=0, min_delta=100.0, callbacks=[diary])
    assert run.stopped_early
    assert len(run.history["loss"]) == 2
    assert world.told[-1] == ("train ends",)


@pytest.mark.tensorflow
def test_a_function_that_never_ends_is_ended_after_the_runs_epochs() -> None:
    run = fitted(own("without_end"))
    assert len(run.history["loss"]) == 3
    assert "was ended after trainer.epochs=3 epochs" in run.remarks["epochs"]
    assert not run.stopped_early


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["into_nan"])
def test_a_nan_is_a_divergence_at_its_epoch(name: str) -> None:
    with pytest.raises(TrialDiverged) as diverged:
        fitted(own(name))
    assert diverged.value.epoch == 2


@pytest.mark.tensorflow
def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(RuntimeError, match="the second phase has no base"):
        fitted(own("failing"))


@pytest.mark.long
@pytest.mark.tensorflow
def test_weights_that_are_changed_after_they_were_measured_are_not_kept() -> None:
    run = fitted(own("changing_later"))
    assert "changes the weights after the last epoch" in run.remarks["weights"]
    assert any(np.any(weight) for weight in run.model.get_weights())
    assert_kept_as_measured(run)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("without_callbacks", "ended without an epoch: hand the callbacks"),
        ("failing", r"fails on 8 examples, .* the second phase has no base"),
        ("of_two", r"called as fit\(model, data, config, callbacks\), which it cannot be"),
        ("unheard_of", "'own_fits' has no 'unheard_of'"),
        *run_long(
            ("a_new_model", "returned a Functional, expected the History of its last model.fit"),
            ("other_metrics", "must compile the model with the same metrics"),
        ),
    ],
)
def test_what_no_trial_could_run_is_refused_before_the_first(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rehearse(config(own(name)), world.tiny_data())


@pytest.mark.tensorflow
def test_an_argument_that_the_function_does_not_take_is_refused() -> None:
    node = {"_target_": own("two_phases"), "frozen": 2}
    with pytest.raises(ConfigError, match=r"fit\(model, data, config, callbacks, frozen=...\)"):
        rehearse(config(node), world.tiny_data())


@pytest.mark.tensorflow
def test_the_rehearsal_runs_all_phases_and_leaves_no_trace() -> None:
    before = keras.random.uniform(()), np.random.get_state()[1][:3].tolist()
    tried = rehearse(config(own("two_phases")), world.tiny_data())
    assert tried.engine == "keras"
    assert set(tried.metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert tried.n_params
    assert np.random.get_state()[1][:3].tolist() == before[1]
