"""Several objectives, and several studies."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from besom.errors import StudyError
from besom.plots import pareto, study_curves
from besom.statistics import knee, pareto_front
from besom.store.records import Outcome
from records_factory import N_PARAMS, VAL_ACCURACY, VAL_LOSS, make_study

MORE_FOR_LESS = ["maximize", "minimize"]


def brute_front(values, signs):
    good = np.asarray(values) * np.asarray(signs)
    return [not any((other >= row).all() and (other > row).any() for other in good) for row in good]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=20),
    st.tuples(*[st.sampled_from([1, -1])] * 3),
)
def test_the_front_is_whoever_is_beaten_by_none(rows, signs):
    values = np.array(rows, dtype=float)
    directions = ["maximize" if sign > 0 else "minimize" for sign in signs]
    assert pareto_front(values, directions).tolist() == brute_front(values, signs)


def test_the_knee_is_the_front_member_farthest_beyond_the_ends():
    values = np.array([[0.90, 1.0], [0.97, 2.0], [0.98, 10.0], [0.5, 5.0]])
    assert pareto_front(values, MORE_FOR_LESS).tolist() == [True, True, True, False]
    assert knee(values, MORE_FOR_LESS) == 1


@pytest.mark.parametrize("rows", [[[1.0, 1.0]], [[1.0, 1.0], [2.0, 2.0]], [[0, 0], [1, 1], [2, 2]]])
def test_a_front_that_does_not_bend_has_no_knee(rows):
    values = np.array(rows, dtype=float)
    assert knee(values, MORE_FOR_LESS) is None


def test_a_study_of_two_objectives_shows_wide_ranges_on_a_log_axis():
    summary = pareto.summarise(make_study(60, objectives=[VAL_ACCURACY, N_PARAMS], pruned=0))
    assert summary.log == (False, True)
    assert summary.front.any()
    assert summary.knee is None or summary.front[summary.knee]
    assert summary.numbers[summary.baseline] == 0
    assert "val_accuracy against n_params" in pareto.headline(summary)


def test_a_study_without_success_has_an_empty_front():
    summary = pareto.summarise(make_study(0, objectives=[VAL_ACCURACY, N_PARAMS]))
    assert summary.values.shape == (0, 2)
    assert summary.knee is None


def test_compute_counts_pruned_and_failed_trials():
    study = make_study(60, pruned=0.4, failed=0.2)
    line = study_curves.summarise([study]).studies[0]
    assert line.seconds[-1] == pytest.approx(sum(t.seconds for t in study.trials))
    assert line.trials[-1] == 60
    assert line.best[-1] == max(t.value for t in study.complete)
    assert line.baseline == study.baseline.value
    assert (np.diff(line.seconds) >= 0).all()


def test_the_best_so_far_follows_the_order_in_which_trials_finished():
    study = make_study(3, pruned=0, failed=0)
    finished = [30.0, 10.0, 20.0]
    values = [0.9, 0.7, 0.8]
    trials = [
        dataclasses.replace(t, finished=f, values=(v,), seconds=10.0)
        for t, f, v in zip(study.trials, finished, values, strict=True)
    ]
    line = study_curves.summarise([dataclasses.replace(study, trials=tuple(trials))]).studies[0]
    assert line.best.tolist() == [0.7, 0.8, 0.9, 0.9]
    assert line.seconds.tolist() == [10, 20, 30, 30]


def test_a_running_trial_is_not_yet_compared():
    study = make_study(10, pruned=0, failed=0)
    last = dataclasses.replace(study.trials[-1], outcome=Outcome.RUNNING, values=None)
    study = dataclasses.replace(study, trials=(*study.trials[:-1], last))
    assert study_curves.summarise([study]).studies[0].trials[-1] == 9


def test_studies_with_different_objectives_are_refused_by_name():
    one, two = make_study(5, name="one"), make_study(5, name="two", objectives=[VAL_LOSS])
    with pytest.raises(StudyError, match=r"one has val_accuracy .*two has val_loss"):
        study_curves.summarise([one, two])
    with pytest.raises(StudyError, match="no study"):
        study_curves.summarise([])


def test_a_study_without_success_is_compared_as_an_empty_line():
    summary = study_curves.summarise([make_study(0), make_study(20, name="two")])
    assert summary.studies[0].best.size == 0
    assert summary.studies[1].best.size > 0


def test_front_members_at_one_place_share_a_label():
    assert pareto.spot_label([7]) == "7"
    assert pareto.spot_label([9, 4]) == "4, 9"
    assert pareto.spot_label([9, 4, 12, 11]) == "4, 9 and 2 more"
    objectives = [VAL_ACCURACY, N_PARAMS]
    study = make_study(12, objectives=objectives)
    best = max(study.complete, key=lambda t: t.values[0])
    trials = [replace(best, number=i, baseline=i == 0) for i in range(3)]
    figure = Figure(layout="constrained")
    pareto.draw(pareto.summarise(replace(study, trials=tuple(trials))), figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0, 1 and 1 more"]
