"""How hyperparameters become axes: only where they apply, log where the space is log."""

from __future__ import annotations

import json

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from besom.plots.columns import columns, merged_order
from besom.store.records import Outcome, TrialRecord
from besom.text.values import value_text
from records_factory import BASE_PARAMS, make_study, make_trial


def trial(params, distributions=None, number=0):
    return TrialRecord(
        number, Outcome.COMPLETE, (0.5,), params=params, distributions=distributions or {}
    )


def by_label(trials):
    return {column.label: column for column in columns(trials)}


def test_a_list_gives_its_length_and_each_element_where_it_exists():
    found = by_label(make_study(60, pruned=0, failed=0).trials)
    assert list(found)[:5] == ["model.hidden_units.length"] + [
        f"model.hidden_units.{i}" for i in range(4)
    ]
    lengths = found["model.hidden_units.length"]
    for i in range(4):
        element = found[f"model.hidden_units.{i}"]
        assert (element.present == (lengths.positions > i)).all()
        assert element.log
        assert element.integer
        assert (element.low, element.high) == (32, 1024)


def test_a_list_of_fixed_length_has_no_length_axis():
    found = by_label([trial({"x": [1, 2]}), trial({"x": [3, 4]})])
    assert list(found) == ["x.0", "x.1"]


def test_a_list_of_one_value_for_all_elements_is_one_axis():
    found = by_label([trial({"x": [64, 64, 64]}), trial({"x": [32]})])
    assert list(found) == ["x.length", "x.each"]
    assert found["x.each"].positions.tolist() == [64, 32]


LAYERS = {
    "x.length": IntDistribution(1, 2),
    "x.0.units@wide": IntDistribution(8, 64, log=True),
    "x.0.activation": CategoricalDistribution(("tanh", "relu")),
    "x.1.activation": CategoricalDistribution(("tanh", "relu")),
    "x.0.kernel.0": IntDistribution(1, 9),
}


def test_each_key_of_each_element_is_an_axis_where_it_exists():
    one = trial({"x": [{"units": 8, "activation": "relu"}]}, LAYERS)
    two = trial({"x": [{"units": 16, "kernel": [3]}, {"activation": "relu", "units": 32}]})
    found = by_label([one, two])
    assert list(found) == [
        *("x.length", "x.0.units", "x.0.kernel.0", "x.0.activation"),
        *("x.1.units", "x.1.activation"),
    ]
    assert found["x.1.units"].log
    assert (found["x.0.units"].low, found["x.0.units"].high) == (8, 64)
    assert found["x.1.activation"].categories == ("tanh", "relu")
    assert found["x.1.activation"].present.tolist() == [False, True]
    assert found["x.0.kernel.0"].high == 9


def test_a_key_is_one_axis_where_all_elements_are_alike():
    distributions = {"x.each.units": IntDistribution(8, 64, log=True)}
    alike = trial({"x": [{"units": 8}] * 3}, distributions)
    assert list(by_label([alike, trial({"x": [{"units": 16}]})])) == ["x.length", "x.each.units"]
    mixed = by_label([alike, trial({"x": [{"units": 16}, {"units": 8}]})])
    assert list(mixed) == ["x.length", "x.0.units", "x.1.units", "x.2.units"]
    assert mixed["x.2.units"].log


def test_a_conditional_parameter_is_absent_where_it_did_not_apply():
    sgd = {**BASE_PARAMS, "optimizer": "sgd", "optimizer.momentum": 0.9}
    momentum = by_label([make_trial(0, BASE_PARAMS), make_trial(1, sgd)])["optimizer.momentum"]
    assert momentum.present.tolist() == [False, True]
    assert momentum.unit()[0] == 0
    assert np.isfinite(momentum.positions).all()


def test_the_axis_spans_the_space_and_a_baseline_outside_it():
    rate = {"lr": FloatDistribution(1e-4, 1e-1, log=True)}
    column = by_label([trial({"lr": 0.5}), trial({"lr": 1e-3}, rate)])["lr"]
    assert column.log
    assert (column.low, column.high) == (1e-4, 0.5)
    assert column.unit()[0] == 1
    assert column.zero_at is None


def test_zero_has_a_place_on_a_log_axis():
    decay = {"wd": FloatDistribution(1e-6, 1e-2, log=True)}
    column = by_label([trial({"wd": 0.0}), trial({"wd": 1e-4}, decay)])["wd"]
    assert column.zero_at is not None
    assert 0 < column.zero_at < 1e-6
    assert column.positions[0] == column.zero_at == column.low
    assert column.unit()[0] == 0


def test_categories_come_in_the_order_of_the_space_and_strangers_last():
    space = {"act": CategoricalDistribution(("tanh", "relu", "gelu"))}
    trials = [trial({"act": "swish"}), trial({"act": "gelu"}, space), trial({"act": "tanh"}, space)]
    column = by_label(trials)["act"]
    assert column.categories == ("tanh", "relu", "gelu", "swish")
    assert column.positions.tolist() == [3, 2, 0]


def test_numbers_to_choose_from_are_categories():
    space = {"batch": CategoricalDistribution((16, 64, 256))}
    assert by_label([trial({"batch": 64}, space)])["batch"].categories == ("16", "64", "256")


def test_a_lone_trial_stands_at_its_category_and_others_stand_side_by_side():
    two = {"x": CategoricalDistribution((0.01, 0.1))}
    trials = [trial({"x": x}, two, number) for number, x in enumerate((0.1, 0.01, 0.1))]
    across = by_label(trials)["x"].across(np.arange(3))
    assert across[1] == 0
    assert across[0] != across[2]
    assert set(np.round(across)) == {0, 1}


def test_null_true_lists_and_mappings_are_categories():
    mapping = {"name": "cutout", "size": 8}
    space = {
        "norm": CategoricalDistribution((None, "batch")),
        "bias": CategoricalDistribution((True, False)),
        "kernels": CategoricalDistribution(("[3, 3]", "[5]")),
        "augmentation": CategoricalDistribution((None, json.dumps(mapping))),
    }
    params = {"norm": None, "bias": True, "kernels": [3, 3], "augmentation": mapping}
    found = by_label([trial(params, space)])
    assert found["norm"].categories == ("null", "batch")
    assert found["bias"].categories == ("true", "false")
    assert found["kernels"].categories == ("3-3", "[5]")
    assert found["augmentation"].categories == ("null", "{name: cutout, size: 8}")


def test_text_that_looks_like_another_value_is_told_apart():
    texts = [value_text(v) for v in (None, "null", True, "true", 1, "1", "")]
    assert texts == ["null", '"null"', "true", '"true"', "1", '"1"', '""']


def test_a_number_or_null_is_a_category():
    column = by_label([trial({"clip": None}), trial({"clip": 1.0}), trial({"clip": 0.1})])["clip"]
    assert column.categories == ("null", "0.1", "1.0")


def test_the_order_of_the_space_survives_missing_parameters():
    rows = [{"a": 1, "d": 1}, {"a": 1, "b": 1, "d": 1}, {"a": 1, "b": 1, "c": 1}]
    assert merged_order(rows) == ["a", "b", "c", "d"]


def test_a_lone_value_lies_in_the_middle_of_its_axis():
    column = by_label([trial({"x": 3}, {"x": IntDistribution(3, 3)})])["x"]
    assert column.unit().tolist() == [0.5]


def test_no_trial_has_no_columns():
    assert columns([]) == []
    assert columns([trial({})]) == []


def test_one_schedule_is_one_category_in_whatever_order_its_keys_are():
    name = "keras.optimizers.schedules.CosineDecay"
    stored = f'{{"_target_": "{name}", "alpha": 0.0, "decay_steps": 900}}'
    given = {"decay_steps": 900, "_target_": name, "alpha": 0.0}
    choices = {"optimizer.learning_rate": CategoricalDistribution([0.001, stored])}
    found = columns(
        [
            trial({"optimizer.learning_rate": given}, choices, 0),
            trial({"optimizer.learning_rate": dict(reversed(given.items()))}, choices, 1),
            trial({"optimizer.learning_rate": 0.001}, choices, 2),
        ]
    )
    assert found[0].categories == ("0.001", "CosineDecay(alpha=0.0, decay_steps=900)")
    assert list(found[0].positions) == [1, 1, 0]
