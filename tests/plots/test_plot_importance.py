"""Importance: it finds what mattered, and does not invent it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from besom.plots import importance
from besom.store.records import Outcome, StudyRecord
from records_factory import N_PARAMS, VAL_ACCURACY, make_study, make_trial, sample_params


def study_where(value, n_trials=60, seed=0, aim=VAL_ACCURACY):
    """A random search whose values come from ``value(params, random)``."""
    random = np.random.default_rng(seed)
    trials = []
    for number in range(n_trials):
        params = sample_params(random)
        trial = make_trial(number, params, random=random)
        trials.append(dataclasses.replace(trial, values=(float(value(params, random)),)))
    return StudyRecord("s", (aim,), tuple(trials))


def rate(params):
    return (math.log10(params["optimizer.learning_rate"]) + 2.5) ** 2


def test_what_mattered_comes_first_and_stands_above_the_noise():
    for aim, sign in ((VAL_ACCURACY, -1), (N_PARAMS, 1)):
        study = study_where(lambda p, r, s=sign: s * (rate(p) + r.normal(0, 0.1)), aim=aim)
        summary = importance.summarise(study, n_shuffles=20)
        first = summary.shares[0]
        assert first.name == "optimizer.learning_rate"
        assert first.share > first.noise
        assert sum(s.share for s in summary.shares) == pytest.approx(1)


def test_pure_chance_rarely_rises_above_the_noise():
    sure = 0
    for seed in range(3):
        study = study_where(lambda p, r: r.normal(), 30, seed)
        summary = importance.summarise(study, n_shuffles=20)
        sure += sum(s.share > s.noise for s in summary.shares)
    assert sure <= 6  # of 30 bars; one in twenty is expected


def test_a_conditional_parameter_says_in_how_many_trials_it_was():
    study = study_where(lambda p, r: -rate(p))
    shares = {s.name: s for s in importance.summarise(study, n_shuffles=10).shares}
    with_momentum = sum("optimizer.momentum" in t.params for t in study.trials)
    assert 0 < with_momentum < 60
    assert shares["optimizer.momentum"].n_trials == with_momentum
    assert shares["optimizer.learning_rate"].n_trials == 60
    assert shares["model.hidden_units.3"].n_trials < shares["model.hidden_units.1"].n_trials


def test_too_few_trials_are_refused_with_the_number_needed():
    summary = importance.summarise(make_study(importance.MIN_TRIALS - 1, pruned=0, failed=0))
    assert not summary.shares
    assert "at least 15 complete trials" in summary.problem
    assert "has 14" in summary.problem
    enough = importance.summarise(make_study(15, pruned=0, failed=0), n_shuffles=10)
    assert enough.shares


def test_equal_values_have_no_importance():
    summary = importance.summarise(study_where(lambda p, r: 0.5))
    assert "same val_accuracy" in summary.problem
    nearly = importance.summarise(
        study_where(lambda p, r: 0.5 if rate(p) < 2.2 else 0.1), n_shuffles=10
    )
    assert nearly.shares or nearly.problem


def test_a_tie_of_nearly_all_is_not_ranked():
    study = study_where(lambda p, r: 1.0)
    first = dataclasses.replace(study.trials[0], values=(2.0,))
    summary = importance.summarise(dataclasses.replace(study, trials=(first, *study.trials[1:])))
    assert "to tell the best apart" in summary.problem


def test_only_complete_trials_are_judged():
    study = make_study(80, pruned=0.4, failed=0.1)
    assert importance.summarise(study, n_shuffles=10).n_trials == len(study.complete)


def test_a_baseline_outside_the_space_is_left_out_and_counted():
    study = make_study(30, pruned=0, failed=0)
    outside = {**study.trials[0].raw_params, "optimizer.learning_rate": 7.0}
    unknown = {**study.trials[1].raw_params, "model.activation": "swish"}
    trials = (
        dataclasses.replace(study.trials[0], raw_params=outside),
        dataclasses.replace(study.trials[1], raw_params=unknown),
        *study.trials[2:],
    )
    summary = importance.summarise(dataclasses.replace(study, trials=trials), n_shuffles=10)
    assert summary.n_outside == 2
    assert summary.n_trials == 28


def test_lists_and_mappings_as_choices_can_be_judged():
    with pytest.warns(UserWarning, match="persistent storage"):
        choices = CategoricalDistribution(([3, 3], [5], None))
    space = {"kernels": choices, "lr": FloatDistribution(0.0, 1.0)}
    random = np.random.default_rng(0)
    study = make_study(0)
    trials = []
    for number in range(40):
        raw = {"kernels": choices.choices[number % 3], "lr": random.random()}
        trial = make_trial(number, sample_params(random), Outcome.COMPLETE)
        value = (1.0 if raw["kernels"] == [5] else 0.0) + 0.1 * raw["lr"]
        trials.append(
            dataclasses.replace(trial, raw_params=raw, distributions=space, values=(value,))
        )
    summary = importance.summarise(dataclasses.replace(study, trials=tuple(trials)), n_shuffles=10)
    assert {s.name for s in summary.shares} == {"kernels", "lr"}


def test_a_study_without_hyperparameters_says_so():
    study = make_study(20, pruned=0, failed=0)
    bare = tuple(dataclasses.replace(t, raw_params={}, distributions={}) for t in study.trials)
    summary = importance.summarise(dataclasses.replace(study, trials=bare))
    assert "No hyperparameter is sampled" in summary.problem


def test_equal_studies_have_equal_importance():
    study = make_study(40)
    assert importance.summarise(study, n_shuffles=10) == importance.summarise(study, n_shuffles=10)
