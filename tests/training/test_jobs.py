"""Whatever ``model.fit`` trains, both engines train, and they tell the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jobs_world as world
import keras
import numpy as np
import pytest
import tensorflow as tf
from training_world import ENGINES

from besom.errors import BesomError, ConfigError, DataError
from besom.training.data.examples import Stream
from besom.training.rehearsal import rehearse
from besom.training.trainer import Fitted, evaluate, fit
from user_project import some_long

pytestmark = pytest.mark.tensorflow

AUC = {"_target_": "keras.metrics.AUC", "name": "auc"}


def config(function: str, engine: str = "auto", **trainer: Any) -> dict[str, Any]:
    return {
        "model": {"_target_": f"jobs_world.{function}", **trainer.pop("model", {})},
        "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01},
        "trainer": {"epochs": 2, "batch_size": 16, "engine": engine, **trainer},
        "seed": 1,
    }


def onward(*_: Any) -> bool:
    return False


def both(data: Any, function: str, **trainer: Any) -> tuple[Fitted, Fitted]:
    """The same run by both engines, which must have the same history."""
    ours = fit(config(function, "compiled", **trainer), data, on_epoch=onward)
    theirs = fit(config(function, "keras", **trainer), data, on_epoch=onward)
    assert set(ours.history) == set(theirs.history)
    for name, values in ours.history.items():
        np.testing.assert_allclose(values, theirs.history[name], rtol=1e-3, err_msg=name)
    return ours, theirs


def test_a_table_with_inputs_by_name_class_weights_and_auc() -> None:
    data = world.table(world.WEIGHT)
    ours, theirs = both(
        data, "of_table", metrics=["accuracy", AUC], class_weight={0: 1.0, "1": 4.0}
    )
    assert {"val_auc", "val_accuracy", "val_loss"} <= set(ours.history)
    assert list(ours.correct) == list(theirs.correct)
    assert ours.correct.mean() == pytest.approx(ours.history["val_accuracy"][-1])
    plain = fit(config("of_table"), data, on_epoch=onward).history
    assert plain["loss"][0] != ours.history["loss"][0]
    held = data.validation
    measured = evaluate(ours.model, held.x, held.y, held.scales, weight=held.weight)
    assert measured["loss"] == pytest.approx(ours.history["val_loss"][-1], rel=1e-5)


def test_class_weights_are_what_keras_makes_of_them() -> None:
    data = world.one_hot()
    ours = fit(config("scores", class_weight={0: 3.0, 2: 0.5}, epochs=1), data, on_epoch=onward)
    keras.utils.set_random_seed(1)
    theirs = world.scores((5,), 3)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    theirs.compile(keras.optimizers.Adam(0.01), loss)
    from besom.training.epochs.job import epoch_order

    order = epoch_order(1, 1, data.train.n)
    told = theirs.fit(
        data.train.x[order],
        data.train.y[order],
        class_weight={0: 3.0, 1: 1.0, 2: 0.5},
        batch_size=16,
        shuffle=False,
        verbose=0,
    ).history
    assert ours.history["loss"] == pytest.approx(told["loss"], rel=1e-4)
    assert ours.correct is not None


def test_regression_with_a_layer_adapted_to_the_training_part() -> None:
    ours, _ = both(world.regression(), "number")
    assert set(ours.history) == {"loss", "mae", "val_loss", "val_mae"}
    assert ours.correct is None
    assert ours.monitor == ("val_loss", False)


@pytest.mark.long
def test_text_of_words() -> None:
    ours, _ = both(world.text(), "of_text")
    assert ours.correct is not None


@pytest.mark.long
@pytest.mark.parametrize("as_list", [False, True])
def test_three_outputs_are_named_as_keras_names_them(as_list: bool) -> None:
    said = {
        "class_weight": {"kind": "balanced"},
        "loss_weights": {"size": 0.5},
        "metrics": {"kind": "accuracy", "tags": [{**AUC, "multi_label": True}]},
        "model": {"as_list": as_list},
    }
    ours, _ = both(world.three(world.WEIGHT), "three_headed", **said)
    parts = ("loss", "kind_loss", "size_loss", "tags_loss", "kind_accuracy", "tags_auc")
    assert set(ours.history) == {*parts, *(f"val_{name}" for name in parts)}
    defaults = rehearse(config("three_headed"), world.three()).metrics
    assert {"val_kind_accuracy", "val_size_mae", "val_tags_binary_accuracy"} <= set(defaults)


@pytest.mark.parametrize("kind", some_long([tuple, list], [tuple]))
def test_inputs_in_a_tuple_or_a_list(kind: type) -> None:
    parts = kind([world.NUMBERS[:, :2], world.NUMBERS[:, 2:]])
    task = world.Task("regression", None, (1,))
    ours, _ = both(world.data(parts, world.NUMBERS[:, 0], task), "of_pair")
    held = ours.history["val_loss"][-1]
    validation = world.data(parts, world.NUMBERS[:, 0], task).validation
    measured = evaluate(ours.model, validation.x, validation.y, validation.scales)
    assert measured["loss"] == pytest.approx(held, rel=1e-5)


def test_without_labels_a_model_gives_back_its_input() -> None:
    ours, _ = both(world.unlabelled(), "autoencoder")
    added, _ = both(world.unlabelled(), "with_its_loss")
    assert ours.history["val_loss"] == pytest.approx(added.history["val_loss"], rel=1e-3)
    with pytest.raises(ConfigError, match=r"no labels, and the model returns \(1,\)"):
        fit(config("plain_number"), flat(), on_epoch=onward)


def flat() -> Any:
    return world.data(world.NUMBERS, None, world.Task("none"))


@pytest.mark.long
def test_a_train_step_of_ones_own_gets_what_model_fit_passes() -> None:
    fitted = fit(config("vae"), world.unlabelled(), on_epoch=onward)
    assert set(fitted.history) == {"loss", "recon", "val_loss", "val_recon"}
    assert fitted.engine_reason == "the model Vae overrides train_step"
    assert rehearse(config("vae"), world.unlabelled()).unsavable == ""


@pytest.mark.long
def test_scores_without_an_activation_are_taken_as_logits() -> None:
    ours, _ = both(world.one_hot(), "scores")
    assert ours.model.loss.from_logits
    assert ours.correct.mean() == pytest.approx(ours.history["val_accuracy"][-1])


@pytest.mark.long
def test_a_model_that_comes_compiled_keeps_its_optimizer_loss_and_metrics() -> None:
    fitted = fit(config("compiled_number"), world.regression(), on_epoch=onward)
    assert set(fitted.history) == {"loss", "mse", "val_loss", "val_mse"}
    assert isinstance(fitted.model.optimizer, keras.optimizers.SGD)
    assert fitted.model.loss == "huber"
    assert "comes compiled" in fitted.remarks["compiled"]
    assert rehearse(config("compiled_number"), world.regression()).comes_compiled
    assert not rehearse(config("plain_number"), world.regression()).comes_compiled


def test_a_stream_trains_in_the_graph_as_model_fit_trains_it() -> None:
    both(world.stream(), "plain_number")
    ours, _ = both(world.stream(endless=True), "plain_number", steps_per_epoch=3)
    assert int(ours.model.optimizer.iterations) == 6
    kept = fit(
        config("plain_number"), world.stream(validation=world.stream().train), on_epoch=onward
    )
    assert "val_loss" in kept.history


def shuffled() -> Any:
    """A stream that shuffles in each pass, and draws noise, opened anew."""
    tf.random.set_seed(1)
    train = world.regression().train
    source = tf.data.Dataset.from_tensor_slices((train.x, train.y)).shuffle(80).batch(16)
    source = source.map(lambda x, y: (x + tf.random.normal(tf.shape(x), stddev=0.1), y))
    return world.stream(train=Stream(source, 5, source.element_spec, 80))


@pytest.mark.parametrize("steps", some_long([None, 3], [3]))
def test_a_stream_goes_on_from_a_checkpoint_as_if_it_had_never_been_left(
    steps: int | None, tmp_path: Path
) -> None:
    whole, state = config("plain_number", steps_per_epoch=steps, epochs=4), tmp_path / "state"
    first = {**whole, "trainer": {**whole["trainer"], "epochs": 2}}
    fit(first, shuffled(), on_epoch=onward, save_to=state)
    rest = fit(whole, shuffled(), on_epoch=onward, resume_from=state)
    assert len(rest.epoch_seconds) == 2
    assert "resumed" not in rest.remarks
    assert rest.history == fit(whole, shuffled(), on_epoch=onward).history


def test_a_run_that_cannot_go_on_from_a_checkpoint_says_so(tmp_path: Path) -> None:
    data = world.stream(train=Stream(world.generated, None, world.SPEC))
    again = fit(
        config("plain_number", steps_per_epoch=5),
        data,
        on_epoch=onward,
        resume_from=tmp_path / "state",
    )
    assert "trained from its first epoch again" in again.remarks["resumed"]


@pytest.mark.parametrize(
    "source", [world.Batches(), pytest.param(world.generated, marks=pytest.mark.long)]
)
def test_a_pydataset_and_a_generator_train_by_model_fit(source: Any) -> None:
    n = None if callable(source) else 5
    data = world.stream(train=Stream(source, n, world.SPEC))
    fitted = fit(config("plain_number", steps_per_epoch=5), data, on_epoch=onward)
    assert fitted.engine == "keras"
    assert "the data comes from a" in fitted.engine_reason
    arrays = fit(config("plain_number"), world.stream(), on_epoch=onward)
    np.testing.assert_allclose(fitted.history["loss"], arrays.history["loss"], rtol=1e-4)


@ENGINES
def test_steps_per_epoch_goes_through_all_examples_before_any_comes_again(engine: str) -> None:
    fitted = fit(
        config("plain_number", engine, steps_per_epoch=2, epochs=3),
        world.regression(),
        on_epoch=onward,
    )
    assert int(fitted.model.optimizer.iterations) == 6


@ENGINES
def test_what_a_callback_puts_into_the_logs_is_a_metric(engine: str) -> None:
    callbacks = [{"_target_": "jobs_world.LogsRate"}]
    wanted = config("plain_number", engine, callbacks=callbacks, monitor="val_mine", mode="max")
    wanted["trainer"]["restore_best"] = True
    told: list[Any] = []
    fitted = fit(wanted, world.regression(), on_epoch=lambda _, metrics: told.append(metrics))
    assert fitted.history["val_mine"] == [10.0, 9.0]
    assert [metrics["val_mine"] for metrics in told] == [10.0, 9.0]
    assert fitted.best_epoch == 1
    assert rehearse(wanted, world.regression()).open_ended
    once = config("plain_number", engine, callbacks=[{"_target_": "jobs_world.LogsOnce"}])
    with pytest.raises(ConfigError, match="'late' is measured only from epoch 2 on"):
        fit(once, world.regression(), on_epoch=onward)


@ENGINES
def test_a_callback_that_compiles_the_model_anew_is_honoured(engine: str) -> None:
    callbacks = [{"_target_": "jobs_world.Freezes"}]
    wanted = config("plain_number", engine, callbacks=callbacks, epochs=3)
    losses = fit(wanted, world.regression(), on_epoch=onward).history["val_loss"]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize(
    ("asked", "data", "message"),
    [
        (config("three_headed", loss={"kind": "sparse_categorical_crossentropy"}), world.three,
         r"^The model's output 'size' has no loss: add trainer\.loss\.size"),
        (config("three_headed", metrics={"kinds": "accuracy"}), world.three,
         r"^trainer\.metrics names the output 'kinds', .* Did you mean 'kind'\?"),
        (config("three_headed", metrics=["mae"]), world.three,
         "is a list of 1, but the model has 3"),
        (config("three_headed", loss_weights={"size": "x"}), world.three,
         "loss_weights.size is 'x'"),
        (config("three_headed", class_weight={"size": "balanced"}), world.three,
         r"class_weight\.size is 'balanced', but the labels there are no classes"),
        (config("three_headed", loss={"kind": "categorical_crossentropy", "size": "mse",
                                      "tags": None}), world.three,
         r"^trainer\.loss\.kind=categorical_crossentropy expects one-hot"),
        (config("plain_number"), world.three, "labels for 'kind', which is no output"),
        (config("of_table", class_weight={2: 1.0}), world.table, "names the class 2, which the"),
        (config("of_table", class_weight="even"), world.table, "'even', expected a weight for"),
        (config("of_table", metrics=["r2_scor"]), world.table, "which Keras does not know"),
        (config("plain_number"), lambda: world.stream(endless=True),
         r"Set trainer\.steps_per_epoch"),
        (config("plain_number", steps_per_epoch=9), world.stream, "ends after 5 steps"),
        (config("plain_number", steps_per_epoch=9),
         lambda: world.stream(train=Stream(world.generated, None, world.SPEC)),
         r"^The generator ended after 5 steps, but an epoch has 9"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence_before_the_first_trial(
    asked: dict[str, Any], data: Any, message: str
) -> None:
    with pytest.raises(BesomError, match=message) as refused:
        rehearse(asked, data())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("trainer", some_long([{}, {"fit": "own_fits.plain"}], [{}]))
@pytest.mark.parametrize(
    ("again", "message"),
    [
        ({"n_batches": 3}, r"^The generator ended after 3 steps, but an epoch has 5\."),
        ({"width": 4}, r"fails in epoch 2 as it did not before: .* batches of the same shapes\."),
    ],
)
def test_a_stream_whose_second_pass_is_another_ends_in_one_sentence(
    again: dict[str, int], message: str, trainer: dict[str, Any]
) -> None:
    data = world.stream(train=Stream(world.SecondPass(**again), None, world.SPEC))
    with pytest.raises(DataError, match=message) as refused:
        fit(config("plain_number", steps_per_epoch=5, **trainer), data, on_epoch=onward)
    assert "\n" not in str(refused.value)


def test_tf_data_of_unknown_length_is_read_to_see_whether_it_lasts_an_epoch() -> None:
    source = tf.data.Dataset.from_generator(world.generated, output_signature=world.SPEC)
    data = world.stream(train=Stream(source, None, world.SPEC))
    assert rehearse(config("plain_number", steps_per_epoch=5), data).metrics
    with pytest.raises(DataError, match=r"The tf\.data\.Dataset ended after 5 steps, .* has 6\."):
        rehearse(config("plain_number", steps_per_epoch=6), data)


def test_nothing_is_adapted_to_a_stream_that_never_ends() -> None:
    with pytest.raises(ConfigError, match=r"training_x, but stream never ends.*omit repeat\(\)"):
        rehearse(config("number", steps_per_epoch=3), world.stream(endless=True))


def test_an_input_that_the_model_does_not_have_is_named() -> None:
    data = world.table()
    data.train.x["agee"] = data.train.x["age"]
    data.train.scales["agee"] = 1.0
    expected = r"an input 'agee', .* does not have\. Did you mean 'age'\?"
    with pytest.raises(ConfigError, match=expected):
        rehearse(config("of_table", model={"names": ["age", "size", "town"]}), data)
