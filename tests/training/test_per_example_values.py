"""What a worker keeps of each validation example: bits, losses, and scores on bootstrap draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from besom.statistics.kinds import interval_of
from besom.training.data.examples import Examples
from besom.training.epochs.per_example import PerExample, draws_of, kinds_of
from besom.training.epochs.rows import CORRECT, Rows
from besom.training.kept_examples import Examined, by_unit, kept_of_trial
from user_project import some_long

pytestmark = pytest.mark.tensorflow

N = 120


def trained(metrics: list[Any], loss: Any = "binary_crossentropy", **more: Any) -> Any:
    """A small model after an epoch, with its examples and what Keras measures on them."""
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    y = (x[:, :1] + rng.normal(size=(N, 1)) > 0).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, "sigmoid", kernel_regularizer="l2")]
    )
    model.compile("adam", loss, metrics=metrics, **more)
    model.fit(x, y, verbose=0)
    return model, x, y, model.evaluate(x, y, verbose=0, return_dict=True)


def test_what_is_kept_of_each_example_comes_to_what_keras_measures() -> None:
    names = ("loss", "mse", "hinge", "accuracy")
    model, x, y, measured = trained(["accuracy", "mse", keras.metrics.Hinge(name="hinge")])
    judge = PerExample(model, names)
    values = judge.values(y, model(x))
    assert values.keys() == set(names)
    for name, of_each in values.items():
        assert of_each.shape == (N,)
        assert float(tf.reduce_mean(of_each)) == pytest.approx(measured[name], rel=1e-5)
    assert judge.kinds == {"accuracy": "share", "mse": "mean", "hinge": "mean", "loss": "mean"}


def test_a_metric_is_a_share_a_mean_or_something_else() -> None:
    metrics = ["accuracy", "mae", keras.metrics.AUC(name="auc"), keras.metrics.R2Score(name="r2")]
    model, x, y, measured = trained(metrics)
    kinds = kinds_of(model, list(measured), (x[:5], y[:5], None))
    assert kinds == {
        "loss": "mean",
        "accuracy": "share",
        "mae": "mean",
        "auc": "other",
        "r2": "other",
    }


@pytest.mark.parametrize(
    ("loss", "known"),
    [
        ("huber", True),
        (keras.losses.BinaryFocalCrossentropy(), True),
        (lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=-1), True),
        (lambda y, p: keras.ops.max(keras.ops.abs(y - p)), False),
        (keras.losses.MeanSquaredError(reduction="sum"), False),
    ],
)
def test_only_a_loss_that_is_a_mean_over_examples_is_taken_apart(loss: Any, known: bool) -> None:
    model, x, y, measured = trained([], loss)
    values = PerExample(model, ["loss"]).values(y, model(x))
    assert (values.keys() == {"loss"}) is known
    if known:
        assert float(tf.reduce_mean(values["loss"])) == pytest.approx(measured["loss"], rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", some_long([False, True], [True]))
@pytest.mark.parametrize("masked", some_long([False, True], [True]))
def test_padded_steps_and_weights_that_the_mean_divides_by_are_taken_apart_too(
    reduction: str, weighted: bool, masked: bool
) -> None:
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 5, (50, 6))
    tokens[:, 0] = 1
    y, weight = rng.normal(size=(50, 6, 1)), rng.uniform(0.5, 2.0, (50, 1)).astype(np.float32)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6,)), layers.Embedding(5, 3, mask_zero=masked), layers.Dense(1)]
    )
    model.compile("sgd", keras.losses.MeanSquaredError(reduction=reduction))
    parts = (tokens, y.astype(np.float32), *([weight] if weighted else []))
    batches = tf.data.Dataset.from_tensor_slices(parts).batch(20)
    model.fit(batches, shuffle=False, verbose=0)
    measured = model.evaluate(batches, verbose=0)
    judge = PerExample(model, ["loss"])
    of_each = [
        judge.values(y, model(x), *more)["loss"] for x, y, *more in batches
    ]  # the mean divides by another number in each batch
    assert float(tf.reduce_mean(tf.concat(of_each, 0))) == pytest.approx(measured, rel=1e-5)


@pytest.mark.long
def test_sample_weights_are_in_the_losses_and_outputs_have_their_own() -> None:
    x, weight = np.ones((6, 2), np.float32), np.arange(6, dtype=np.float32)
    inputs = keras.Input((2,))
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")}
    model = keras.Model(inputs, outputs)
    losses, factors = {"a": "mse", "b": "mse"}, {"a": 1.0, "b": 0.5}
    model.compile("sgd", losses, loss_weights=factors, metrics={"a": ["mae"]})
    y = {"a": weight[:, None], "b": -weight[:, None]}
    batches = tf.data.Dataset.from_tensors((x, y, weight))
    model.fit(batches, shuffle=False, verbose=0)
    measured = model.evaluate(batches, verbose=0, return_dict=True)
    values = PerExample(model, measured).values(y, model(x), weight)
    assert values.keys() == measured.keys() == {"loss", "a_loss", "b_loss", "a_mae"}
    for name, of_each in values.items():
        assert float(tf.reduce_mean(of_each)) == pytest.approx(measured[name], rel=1e-4)


def test_other_metrics_are_scored_on_the_same_draws_in_every_trial() -> None:
    model, x, y, measured = trained([keras.metrics.AUC(name="auc")])
    batches = [(x[:50], y[:50]), (x[50:], y[50:])]
    before = [variable.numpy() for variable in model.metrics[1].variables]
    first, again = (draws_of(model, batches, {"auc": measured["auc"]})["auc"] for _ in range(2))
    np.testing.assert_array_equal(first.drawn, again.drawn)
    assert first.drawn.shape == first.left_out.shape == (500,)
    assert first.drawn.mean() == pytest.approx(measured["auc"], abs=0.02)
    after = [variable.numpy() for variable in model.metrics[1].variables]
    assert all(map(np.array_equal, before, after))


@pytest.mark.long
def test_what_does_not_come_to_the_value_in_the_history_is_not_given_back() -> None:
    model, x, y, measured = trained(["mse", keras.metrics.AUC(name="auc")])
    judge = PerExample(model, ["mse", "auc"])
    rows = {name: of_each.numpy() for name, of_each in judge.values(y, model(x)).items()}
    part = Examples(x, y, None, 1.0)
    examined = Examined(part, rows, Rows(None, 0.5, judge))
    wanted = {f"val_{name}": [value] for name, value in measured.items() if name != "loss"}
    kept, reasons = kept_of_trial(model, examined, wanted, 0, 50)
    assert {name: known["kind"] for name, known in kept.items()} == {
        "val_mse": "mean",
        "val_auc": "other",
    }
    assert reasons == {}
    off = {name: [1.1 * values[0]] for name, values in wanted.items()}
    kept, reasons = kept_of_trial(model, examined, off, 0, 50)
    assert kept == {}
    assert reasons["val_mse"] == "is no mean over examples"
    assert reasons["val_auc"] == "is averaged over batches"
    later = replace(examined, compiled_later=True)
    _, reasons = kept_of_trial(model, later, off, 0, 50)
    assert reasons["val_mse"] == "was measured before the model was compiled anew"
    assert reasons["val_auc"] == "is averaged over batches"


@pytest.mark.long
def test_a_metric_that_comes_to_the_accuracy_after_one_epoch_is_no_share_for_that() -> None:
    model, x, y, measured = trained([keras.metrics.AUC(name="auc")])
    judge = PerExample(model, ["auc"])
    right = np.arange(N) < round(measured["auc"] * N)
    examined = Examined(Examples(x, y, None, 1.0), {CORRECT: right}, Rows(None, 0.5, judge))
    kept, _ = kept_of_trial(model, examined, {"val_auc": [measured["auc"]]}, 0, 50)
    assert kept["val_auc"]["kind"] == "other"
    before = np.packbits(np.arange(N) < N / 2).tobytes()
    examined = replace(examined, correct_by_epoch=[before, np.packbits(right).tobytes()])
    kept, _ = kept_of_trial(model, examined, {"val_auc": [0.7, measured["auc"]]}, 1, 50)
    assert kept["val_auc"]["kind"] == "other"


@pytest.mark.long
def test_groups_are_kept_and_drawn_as_wholes() -> None:
    model, x, y, measured = trained([keras.metrics.AUC(name="auc"), "accuracy"])
    units = np.arange(N) // 10
    right = ((model(x).numpy() > 0.5) == (y > 0))[:, 0]
    rows = {CORRECT: right}
    examined = Examined(Examples(x, y, None, 1.0), rows, Rows(None), units)
    wanted = {"val_accuracy": [measured["accuracy"]], "val_auc": [measured["auc"]]}
    kept, _ = kept_of_trial(model, examined, wanted, 0, 50)
    assert kept["val_accuracy"]["units"] == 12
    numbers = np.frombuffer(kept["val_accuracy"]["values"], "<f4")
    assert numbers.mean() == pytest.approx(measured["accuracy"])
    alone = draws_of(model, [(x, y)], {"auc": measured["auc"]})["auc"]
    together = np.frombuffer(kept["val_auc"]["values"], "<f4").reshape(2, -1)
    assert together.shape == (2, 500)
    assert not np.array_equal(together[0], alone.drawn)


def test_units_of_unequal_size_keep_the_mean_over_examples() -> None:
    row, units = np.array([1.0, 0.0, 0.0, 1.0, 1.0]), np.array([0, 0, 0, 1, 2])
    assert by_unit(row, units).mean() == pytest.approx(row.mean())
    assert np.allclose(by_unit(row, np.arange(5)), row)


def test_intervals_over_groups_hold_where_those_over_examples_do_not() -> None:
    rng, n_studies, grouped, alone = np.random.default_rng(4), 400, 0, 0
    for _ in range(n_studies):
        sizes = rng.integers(1, 15, 40)
        units = np.repeat(np.arange(40), sizes)
        row = rng.normal(size=40)[units] + rng.normal(size=units.size)  # neighbours are alike
        low, high = interval_of(by_unit(row, units)[None], 0, 0.95)
        grouped += low <= 0.0 <= high
        low, high = interval_of(row[None], 0, 0.95)
        alone += low <= 0.0 <= high
    assert grouped / n_studies >= 0.92
    assert alone / n_studies < 0.75
