"""A trial of several runs: what its result is, and what it says of each example."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated.pooled_trials import (
    ACCURACY,
    AUC,
    LOSS,
    as_runs,
    drawn_run,
    in_folds,
    mean_run,
    share_run,
    study_of,
    trial_of,
)

from besom.plots.curves import summarise
from besom.report.comparison import compare
from besom.report.diff import differences, verdict
from besom.report.leaderboard import display, headline, ranking
from besom.report.ledger import conclusions, ledger
from besom.report.tables import costs
from besom.seam import UNEXAMINED, TrialResult
from besom.statistics import claim, scored
from besom.store.records import Objective
from besom.store.stored_records import from_frozen, to_attribute
from besom.study.pooling import EndedRun, pooled

RIGHT = np.random.default_rng(0).random((4, 103)) < np.array([[0.5], [0.7], [0.9], [0.8]])


def test_the_folds_of_a_share_are_one_share_of_all_examples() -> None:
    whole = pooled(as_runs([in_folds(RIGHT, 5)]), [ACCURACY])
    once = share_run(RIGHT)
    assert whole.n_validation == 103
    assert whole.history["val_accuracy"] == pytest.approx(once.history["val_accuracy"])
    assert whole.best_epoch == once.best_epoch == 3
    assert (whole.correct, whole.correct_by_epoch) == (once.correct, once.correct_by_epoch)


def test_folds_of_unequal_size_count_by_their_examples() -> None:
    parts = [share_run(RIGHT[:, :3]), share_run(RIGHT[:, 3:])]
    whole = pooled(as_runs([parts]), [ACCURACY])
    assert whole.history["val_accuracy"] == pytest.approx(RIGHT.mean(axis=1))


def test_the_order_in_which_runs_ended_changes_nothing() -> None:
    runs = as_runs([in_folds(RIGHT, 5), in_folds(~RIGHT, 5)])
    assert pooled(runs[::-1], [ACCURACY]) == pooled(runs, [ACCURACY])


def test_the_epoch_that_counts_is_the_best_of_the_mean_among_those_that_all_reached() -> None:
    short, long = [[0.5, 0.7, 0.6]], [[0.5, 0.6, 0.9, 1.0]]
    runs = [drawn_run(c, np.zeros((2, 3))) for (c,) in (short, long)]
    whole = pooled(as_runs([runs]), [AUC])
    assert whole.epochs == 3
    assert whole.history["val_auc"] == pytest.approx([0.5, 0.65, 0.75])
    assert whole.best_epoch == 3
    assert [(run["best_epoch"], run["epochs"]) for run in whole.runs] == [(2, 3), (4, 4)]
    assert [run["value"] for run in whole.runs] == [0.6, 0.9]


def test_with_the_last_epoch_as_objective_it_is_the_last_that_all_reached() -> None:
    last = Objective("val_accuracy", "maximize", "last")
    parts = [share_run(RIGHT[:3, :50]), share_run(RIGHT[:, 50:])]
    whole = pooled(as_runs([parts]), [last])
    assert whole.best_epoch == 3
    assert [run["value"] for run in whole.runs] == [RIGHT[2, :50].mean(), RIGHT[2, 50:].mean()]


def test_repeats_of_a_share_are_a_mean_of_each_example(tmp_path: Path) -> None:
    again = np.random.default_rng(1).random(RIGHT.shape) < RIGHT.mean(axis=1, keepdims=True)
    trial = trial_of(0, [in_folds(RIGHT, 5), in_folds(again, 5)], folder=tmp_path)
    assert trial.n_validation == 103
    assert (trial.correct, trial.correct_by_epoch) == (None, None)
    known = scored(trial, ACCURACY, trial.value or 0.0)
    assert known is not None
    assert known.kind == "mean"
    assert known.row == pytest.approx((RIGHT[2].astype(float) + again[2]) / 2)
    assert trial.per_example.by_epoch("val_accuracy").shape == (4, 103)


def test_repeats_of_an_error_rate_are_the_mean_of_what_is_wrong(tmp_path: Path) -> None:
    aim = Objective("val_error_rate", "minimize")
    runs = [share_run(RIGHT), share_run(RIGHT[::-1], best=3)]
    for run in runs:
        run.history = {aim.metric: [1.0 - value for value in run.history["val_accuracy"]]}
    trial = trial_of(0, [[run] for run in runs], aim, tmp_path)
    known = scored(trial, aim, trial.value or 1.0)
    assert known is not None
    assert known.value == pytest.approx(trial.value)


def test_what_is_known_only_of_another_epoch_than_the_one_that_counts_is_not_used() -> None:
    runs = [share_run(part, best=3) for part in np.array_split(RIGHT, 5, axis=1)]
    for run in runs:
        run.correct_by_epoch = None
    assert pooled(as_runs([runs]), [ACCURACY]).correct is not None
    runs[2].best_epoch = 4
    assert pooled(as_runs([runs]), [ACCURACY]).correct is None


def test_a_loss_has_a_number_of_each_example_of_all_folds(tmp_path: Path) -> None:
    numbers = np.random.default_rng(2).exponential(size=(3, 90)) * np.array([[2], [1], [1.5]])
    folds = [mean_run(part) for part in np.split(numbers, [10, 50], axis=1)]
    trial = trial_of(0, [folds], LOSS, tmp_path)
    known = scored(trial, LOSS, trial.value or 0.0)
    assert known is not None
    assert -known.row == pytest.approx(numbers[1], rel=1e-6)
    assert trial.per_example.by_epoch("val_loss").shape == (3, 90)


def test_groups_of_unequal_size_come_to_the_mean_over_all_examples(tmp_path: Path) -> None:
    folds = [mean_run([[0.5, 0.7]], units=20), mean_run([[0.2, 0.1, 0.3]], units=60)]
    trial = trial_of(0, [folds], LOSS, tmp_path)
    assert trial.value == pytest.approx((20 * 0.6 + 60 * 0.2) / 80)
    known = scored(trial, LOSS, trial.value or 0.0)
    assert known is not None
    assert known.row.shape == (5,)
    assert -known.row.mean() == pytest.approx(trial.value)


def test_draws_of_disjoint_folds_scatter_less_by_their_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    same = rng.normal(0.8, 0.05, (2, 500))  # folds of one size are drawn alike
    trial = trial_of(0, [[drawn_run([0.7, 0.8], same) for _ in range(5)]], AUC, tmp_path)
    known = scored(trial, AUC, trial.value or 0.0)
    assert known is not None
    assert known.row.drawn.std() == pytest.approx(0.05 / np.sqrt(5), rel=0.15)
    assert known.row.drawn.mean() == pytest.approx(0.8, abs=0.01)


def test_repeats_take_the_same_draws(tmp_path: Path) -> None:
    scores = np.random.default_rng(4).normal(0.8, 0.05, (2, 500))
    trial = trial_of(0, [[drawn_run([0.8], scores)] for _ in range(3)], AUC, tmp_path)
    assert trial.per_example.numbers("val_auc") == pytest.approx(scores, rel=1e-5)


def test_draws_of_a_run_that_had_its_best_epoch_elsewhere_are_moved_to_the_counted_value() -> None:
    curves = ([0.7, 0.9], [0.8, 0.7])
    runs = [drawn_run(curve, np.full((2, 4), max(curve))) for curve in curves]
    whole = pooled(as_runs([runs]), [AUC])
    assert whole.history["val_auc"] == pytest.approx([0.75, 0.8])
    drawn = np.frombuffer(whole.per_example["val_auc"]["values"], "<f4")
    assert drawn == pytest.approx(np.full(8, 0.8))


def test_numbers_are_means_and_what_all_share_stays_as_it_is() -> None:
    whole = pooled(as_runs([[share_run(RIGHT, 1), share_run(RIGHT, 3)]]), [ACCURACY])
    assert whole.numbers == {"n_params": 10, "seconds_per_epoch": 1.0}
    assert type(whole.numbers["n_params"]) is int


def test_runs_that_have_not_all_ended_have_a_mean_and_no_examples() -> None:
    runs = as_runs([in_folds(RIGHT, 5), in_folds(RIGHT, 5)])[:7]
    whole = pooled(runs, [ACCURACY])
    assert len(whole.runs) == 7
    assert whole.correct is None
    assert not whole.per_example
    assert 0.0 < whole.history["val_accuracy"][2] < 1.0


def test_a_trial_that_measured_nothing_pools_to_its_numbers() -> None:
    whole = pooled([(EndedRun(), TrialResult(numbers={"n_params": 3}))], [ACCURACY])
    assert (whole.numbers, whole.history, whole.best_epoch) == ({"n_params": 3}, {}, None)
    assert whole.runs[0]["value"] is None


def test_remarks_of_all_runs_are_kept_and_why_a_metric_has_no_examples() -> None:
    first, second = share_run(RIGHT), share_run(RIGHT)
    first.environment = {"engine": "fast", "remarks": {"a": "one"}}
    second.environment = {"remarks": {"b": "two"}, UNEXAMINED: {"val_loss": "is no mean"}}
    environment = pooled(as_runs([[first, second]]), [ACCURACY]).environment
    assert environment == {
        "engine": "fast",
        "remarks": {"b": "two", "a": "one"},
        UNEXAMINED: {"val_loss": "is no mean"},
    }


def test_runs_are_stored_with_their_trial_and_a_trial_of_one_run_stores_nothing_new() -> None:
    import optuna

    trial = trial_of(0, [in_folds(RIGHT, 5)])
    stored = json.loads(json.dumps(to_attribute(trial)))
    frozen = optuna.trial.create_trial(value=trial.value, user_attrs={"besom": stored})
    assert from_frozen(frozen).runs == trial.runs
    assert [run["fold"] for run in trial.runs] == [0, 1, 2, 3, 4]
    assert trial.runs[0].keys() == {
        *("repeat", "fold", "seed", "value", "best_epoch", "epochs", "seconds"),
    }
    alone = trial_of(0, [[share_run(RIGHT)]])
    assert "runs" not in to_attribute(type(trial)(0, alone.outcome))


def test_the_claim_rests_on_the_examples_of_all_folds() -> None:
    rng = np.random.default_rng(5)
    trials = [trial_of(i, [in_folds(rng.random((3, 1437)) < 0.95, 5)]) for i in range(6)]
    found = claim(study_of(trials))
    row = found.rows[found.leader or 0]
    assert row.standard_error == pytest.approx(np.sqrt(row.value * (1 - row.value) / 1437))
    assert found.corrected is not None
    assert found.corrected < row.value
    assert len(found.tied) == 5


# What is shown of such trials


def test_the_claim_says_over_what_it_was_trained_and_what_its_error_leaves_out(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(6)
    draw = lambda: in_folds(rng.random((2, 600)) < 0.9, 5)  # noqa: E731
    folds = claim(study_of([trial_of(i, [draw()]) for i in range(3)]))
    assert ") over 5 folds" in folds.text
    assert any("each trained without its own fold" in caveat for caveat in folds.caveats)
    both = claim(
        study_of([trial_of(i, [draw() for _ in range(3)], folder=tmp_path) for i in range(2)])
    )
    assert "over 5 folds and 3 repeats" in both.text
    assert " % ± " in both.text  # a mean of shares is shown as a share
    assert any("not that of other seeds" in caveat for caveat in both.caveats)
    alone = claim(study_of([trial_of(i, [[share_run(RIGHT)]]) for i in range(2)]))
    assert " over " not in alone.text


def test_the_leaderboard_has_the_spread_over_runs_where_there_are_several() -> None:
    trials = [trial_of(i, [in_folds(np.roll(RIGHT, i, axis=1), 5)]) for i in range(2)]
    study = study_of(trials)
    frame = ranking(study, claim(study))
    values = [run["value"] for run in trials[0].runs]
    assert frame.set_index("trial")["spread"][0] == pytest.approx(np.std(values, ddof=1))
    assert frame["epochs"].tolist() == [4, 4]
    alone = study_of([trial_of(0, [[share_run(RIGHT)]])])
    assert ranking(alone)["spread"].isna().all()


def test_a_trial_costs_the_epochs_of_all_its_runs() -> None:
    study = study_of([trial_of(0, [in_folds(RIGHT, 5), in_folds(RIGHT, 5)], seconds=20.0)])
    assert costs(study)["epochs"].tolist() == [40]
    assert ledger(study).by_outcome["epochs"].tolist() == [40, 40]


def test_two_trials_of_the_same_folds_are_compared_on_all_examples(tmp_path: Path) -> None:
    one, other = (trial_of(i, [in_folds(np.roll(RIGHT, i, axis=1), 5)]) for i in range(2))
    study = study_of([one, other])
    assert verdict(study, one, other).startswith("On the same 103 validation examples trial ")
    repeated = [
        trial_of(i, [in_folds(np.roll(RIGHT, i + r), 5) for r in range(2)], folder=tmp_path)
        for i in range(2)
    ]
    assert " points ahead of trial " in verdict(study_of(repeated), *repeated)
    assert "spread over runs" in differences(study, one, other)["what"].tolist()


def test_a_lower_loss_is_better_in_words_and_not_a_plus(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    losses = [
        [mean_run(scale * rng.exponential(size=(2, 40))) for _ in range(5)] for scale in (9, 3)
    ]
    trials = [
        trial_of(i, [runs], LOSS, tmp_path, baseline=i == 0, seconds=5.0)
        for i, runs in enumerate(losses)
    ]
    study = study_of(trials, LOSS)
    found = claim(study)
    assert re.search(r"Gain over the baseline: \d\.\d+ better \(\d\.\d+ to", found.text)
    frame = ranking(study, found)
    assert frame["gain"].tolist()[0] > 0.0
    assert display(frame)["gain"].tolist()[0].endswith(" better")
    assert " better than the baseline before any correction" in headline(study)
    assert " better than the baseline for " in "".join(conclusions(study, ledger(study)))


def test_studies_of_folds_are_compared_and_drawn(tmp_path: Path) -> None:
    trials = [trial_of(i, [in_folds(np.roll(RIGHT, i, axis=1), 5)]) for i in range(3)]
    studies = [replace(study_of(trials), name=name) for name in ("one", "two")]
    compared = compare(studies)
    assert compared.outcomes["best"].tolist() == [trials[0].value] * 2
    curves = summarise(studies[0])
    assert curves.n_epochs == 4
    assert {curve.best_epoch for curve in curves.complete} == {3}
