"""What the pictures of a study show, before anything is drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from besom.plots import curves, history, parallel, slices
from besom.store.records import Objective, Origin, Outcome, StudyRecord
from records_factory import (
    BASE_PARAMS,
    N_PARAMS,
    VAL_ACCURACY,
    VAL_LOSS,
    make_study,
    make_trial,
)


def study_of(*trials, objectives=(VAL_ACCURACY,)):
    return StudyRecord("s", tuple(objectives), trials)


def with_value(number, value, outcome=Outcome.COMPLETE, **changes):
    trial = make_trial(number, dict(BASE_PARAMS), outcome)
    return dataclasses.replace(trial, values=None if value is None else (value,), **changes)


@pytest.mark.parametrize(("aim", "steps"), [(VAL_ACCURACY, [1, 3, 3]), (VAL_LOSS, [1, 0.5, 0.5])])
def test_history_steps_at_each_new_best_and_runs_to_the_last_trial(aim, steps):
    trials = [with_value(i, v) for i, v in enumerate([1.0, 1.0, 0.5 if aim.sign < 0 else 3.0, 2.0])]
    summary = history.summarise(study_of(*trials, objectives=(aim,)))
    assert summary.step_numbers.tolist() == [0, 2, 3]
    assert summary.step_values.tolist() == steps
    assert summary.best_number == 2


def test_history_never_takes_a_pruned_or_failed_trial_for_a_value():
    study = make_study(200, pruned=0.4, failed=0.2)
    summary = history.summarise(study)
    complete = {t.number for t in study.complete}
    assert set(summary.numbers.tolist()) == complete
    assert not complete & set(summary.pruned.tolist() + summary.failed.tolist())
    assert sum(summary.failures.values()) == summary.failed.size
    total = summary.numbers.size + summary.pruned.size + summary.failed.size
    assert total == summary.n_trials == 200


def test_history_sets_values_apart_that_were_not_trained_here():
    trials = (
        with_value(0, 0.9, baseline=True),
        with_value(1, 0.95, Outcome.DUPLICATE),
        with_value(2, None, Outcome.INFEASIBLE),
        with_value(3, 0.99, Outcome.WARM_START, origin=Origin.WARM_START),
    )
    summary = history.summarise(study_of(*trials))
    assert summary.numbers.tolist() == [0]
    assert summary.duplicates.tolist() == [[1, 0.95]]
    assert summary.warm_starts.tolist() == [[3, 0.99]]
    assert summary.infeasible.tolist() == [2]
    assert summary.step_values.tolist() == [0.9, 0.9]
    assert summary.baseline == 0.9


def test_history_of_a_second_objective_reads_its_own_values():
    study = make_study(30, objectives=[VAL_ACCURACY, N_PARAMS], pruned=0, failed=0)
    summary = history.summarise(study, 1)
    assert summary.metric == "n_params"
    assert summary.values.tolist() == [t.values[1] for t in study.complete]
    assert summary.step_values[-1] == summary.values.min()


def test_curves_stand_best_first_and_apart_by_outcome():
    study = make_study(120, pruned=0.3, failed=0.1)
    summary = curves.summarise(study)
    values = [c.value for c in summary.complete]
    assert values == sorted(values, reverse=True)
    assert summary.n_complete == len(study.complete)
    assert all(c.value is None for c in (*summary.pruned, *summary.failed))
    assert summary.baseline is not None
    assert summary.baseline.number == 0
    assert summary.n_hidden == 0


def test_curves_of_a_loss_show_the_low_ones():
    summary = curves.summarise(make_study(60, objectives=[VAL_LOSS], pruned=0, failed=0))
    lowest = min(float(c.heights.min()) for c in summary.complete)
    assert summary.window.low < lowest
    assert summary.complete[0].value == min(c.value for c in summary.complete)


def test_thousands_of_curves_are_thinned_but_the_best_stay():
    study = make_study(3000, pruned=0.4)
    summary = curves.summarise(study)
    ranked = sorted(study.complete, key=lambda t: -t.value)
    assert [c.number for c in summary.complete[:5]] == [t.number for t in ranked[:5]]
    assert summary.complete[-1].number == ranked[-1].number
    assert len(summary.complete) == len(summary.pruned) == curves.MAX_LINES
    assert summary.n_hidden == summary.n_complete + summary.n_pruned - 2 * curves.MAX_LINES


def test_a_few_curves_are_shown_from_their_first_epoch():
    study = make_study(3, pruned=0, failed=0)
    shown = curves.summarise(study).window
    assert all(shown.holds(v) for t in study.trials for v in t.history["val_accuracy"])


def test_curves_of_one_epoch_are_points():
    summary = curves.summarise(make_study(30, n_epochs=1, pruned=0, failed=0))
    assert summary.n_epochs == 1
    assert {c.heights.size for c in summary.complete} == {1}


def test_a_curve_ends_before_its_first_value_that_is_not_finite():
    trial = with_value(0, None, Outcome.DIVERGED, history={"val_accuracy": [0.5, float("nan"), 1]})
    summary = curves.summarise(study_of(trial))
    assert summary.failed[0].heights.tolist() == [0.5]


def test_an_objective_without_a_history_has_no_curves():
    summary = curves.summarise(make_study(10, objectives=[N_PARAMS]))
    assert summary.n_epochs == 0


def test_the_epoch_that_counts_is_marked_only_where_one_is_chosen():
    best = curves.summarise(make_study(10, objectives=[VAL_ACCURACY], pruned=0, failed=0))
    last = curves.summarise(make_study(10, objectives=[VAL_LOSS], pruned=0, failed=0))
    assert all(c.best_epoch for c in best.complete)
    assert not any(c.best_epoch for c in last.complete)


def test_slices_hold_complete_trials_with_best_and_baseline():
    study = make_study(80)
    summary = slices.summarise(study)
    assert summary.numbers.tolist() == [t.number for t in study.complete]
    assert summary.values[summary.best] == max(t.value for t in study.complete)
    assert summary.numbers[summary.baseline] == 0
    momentum = next(c for c in summary.columns if c.label == "optimizer.momentum")
    with_it = ["optimizer.momentum" in t.params for t in study.complete]
    assert momentum.present.tolist() == with_it


def test_slices_beyond_the_limit_are_counted():
    params = {f"p{i:02}": 0.1 * i for i in range(slices.MAX_PANELS + 7)}
    summary = slices.summarise(study_of(with_value(0, 0.5, params=params, distributions={})))
    assert len(summary.columns) == slices.MAX_PANELS
    assert summary.n_hidden == 7


@pytest.mark.parametrize("aim", [VAL_ACCURACY, VAL_LOSS])
def test_parallel_lines_run_from_worst_to_best_and_best_is_up(aim):
    study = make_study(90, objectives=[aim])
    summary = parallel.summarise(study)
    assert (np.diff(aim.sign * summary.values) >= 0).all()
    assert summary.scores[-1] == summary.scores.max() <= 1
    assert summary.scores.min() >= 0
    assert summary.numbers[summary.baseline] == 0


def test_parallel_lines_pass_beneath_an_axis_that_does_not_apply():
    summary = parallel.summarise(make_study(60, pruned=0, failed=0))
    absent = np.stack([~c.present for c in summary.columns], axis=1)
    assert absent.any()
    assert (summary.heights[absent] < -0.05).all()
    assert (summary.heights[~absent] > -0.05).all()
    assert (summary.heights <= 1.05).all()


def test_parallel_axes_are_broken_into_rows_of_a_readable_number():
    params = {f"p{i:02}": 0.1 * i for i in range(17)}
    summary = parallel.summarise(study_of(with_value(0, 0.5, params=params, distributions={})))
    rows = parallel.rows(summary)
    assert [i for row in rows for i in row] == list(range(17))
    assert max(map(len, rows)) < parallel.MAX_ACROSS
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_thousands_of_parallel_lines_keep_the_best_and_the_baseline():
    study = make_study(3000, pruned=0, failed=0)
    summary = parallel.summarise(study)
    assert summary.n_hidden + summary.numbers.size == 3000
    assert summary.values[-1] == max(t.value for t in study.complete)
    assert summary.numbers[summary.baseline] == 0


@pytest.mark.parametrize("n_trials", [0, 1, 2])
def test_summaries_of_hardly_any_trial_are_finite(n_trials):
    study = make_study(n_trials)
    assert history.summarise(study).values.size == n_trials
    assert len(curves.summarise(study).complete) == n_trials
    assert slices.summarise(study).values.size == n_trials
    lines = parallel.summarise(study)
    assert np.isfinite(lines.heights).all()
    assert lines.n_top == n_trials


def test_summaries_of_a_study_without_success_are_empty():
    study = make_study(12, baseline=False)
    failed = tuple(dataclasses.replace(t, outcome=Outcome.ERROR, values=None) for t in study.trials)
    study = StudyRecord("s", (Objective("val_accuracy", "maximize"),), failed)
    summary = history.summarise(study)
    assert summary.best_number is None
    assert summary.failed.size == 12
    assert slices.summarise(study).best is None
    assert parallel.summarise(study).baseline is None
