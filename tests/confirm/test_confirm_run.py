"""Confirmations on real workers: what is run, stored, logged, dropped, tried again and refused."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import confirm_trials
import pytest
from confirm_world import changed, make_study, runs_in

from besom.errors import StudyError
from besom.rerun.confirm import ConfirmPlan, Status, run_confirm
from besom.rerun.confirm import confirm_plan as planning
from besom.rerun.confirm.confirm_report import write_report
from besom.rerun.confirm.confirm_run import ConfirmWatcher
from besom.rerun.confirm.run_journal import FILE, RunRecord, read_runs
from besom.store.lock import CoordinatorLock
from besom.store.records import Outcome, StudyRecord
from besom.store.test_set_log import read_openings

PlanOf = Callable[..., ConfirmPlan]

pytestmark = pytest.mark.usefixtures("no_orphans")


def expected(study: StudyRecord, trial: int, seed: int) -> float:
    return confirm_trials.score_of({**study.trials[trial].config, "seed": seed})


def test_every_config_gets_every_seed_and_is_scored_by_its_own_runs(
    study: StudyRecord, plan_of: PlanOf, trace: Path
) -> None:
    plan = plan_of(study, n_seeds=2, top=2)
    outcome = run_confirm(plan)
    assert outcome.exit_code == 0
    assert sorted(runs_in(trace)) == sorted((q, s) for q in (0.6, 0.9, 0.89) for s in (1, 2))
    for row in outcome.confirmation.rows:
        assert dict(row.scores) == {s: expected(study, row.trial, s) for s in (1, 2)}
    files = write_report(outcome.confirmation, [])
    names = [f"confirm_validation.{ending}" for ending in ("csv", "md", "json", "png")]
    assert [path.name for path in files] == names
    with files[0].open() as table:
        rows = list(csv.DictReader(table))
    assert float(rows[0]["seed_1"]) == expected(study, int(rows[0]["trial"]), 1)


def test_what_has_run_is_not_run_again_and_more_seeds_go_on_from_it(
    study: StudyRecord, plan_of: PlanOf, trace: Path
) -> None:
    first = run_confirm(plan_of(study, n_seeds=2, top=1))
    again = run_confirm(plan_of(study, n_seeds=2, top=1))
    assert len(runs_in(trace)) == 4
    assert again.confirmation.rows == first.confirmation.rows
    run_confirm(plan_of(study, n_seeds=3, top=1))
    assert sorted(runs_in(trace)[4:]) == [(0.6, 3), (0.9, 3)]


def test_the_race_saves_the_runs_of_who_is_far_behind(plan_of: PlanOf, trace: Path) -> None:
    study = make_study([0.6, 0.9, 0.89, 0.3, 0.2], trace=str(trace))
    outcome = run_confirm(plan_of(study, n_seeds=5, workers=2))
    statuses = {row.trial: row.status for row in outcome.confirmation.rows}
    assert statuses[3] == statuses[4] == Status.BEHIND
    assert outcome.confirmation.dropped == {3: 3, 4: 3}
    n_beaten = sum(quality < 0.5 for quality, _ in runs_in(trace))
    assert 6 <= n_beaten <= 8  # each worker may have begun the next seed before the verdict
    assert sum(quality == 0.6 for quality, _ in runs_in(trace)) == 5
    assert len(runs_in(trace)) < 25
    assert outcome.confirmation.n_missing == 0


def test_every_opening_of_the_test_images_is_logged_before_it_happens(
    study: StudyRecord, plan_of: PlanOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(planning.TEST_FUNCTIONS, "confirm_trials.noisy", "confirm_trials.measured")
    plan = plan_of(study, on="test", n_seeds=2, top=1)
    outcome = run_confirm(plan)
    openings = read_openings(plan.paths.root)
    assert sorted((o.trial, o.seed) for o in openings) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert {(o.study, o.command) for o in openings} == {("study", "confirm")}
    runs = outcome.confirmation.runs.values()
    assert sorted(run.numbers["n_logged"] for run in runs) == [1, 2, 3, 4]
    row = outcome.confirmation.rows[0]
    assert dict(row.scores) == {s: expected(study, 1, s) - 0.01 for s in (1, 2)}
    assert row.estimate is not None
    run_confirm(plan_of(study, on="validation", n_seeds=2, top=1))
    assert len(read_openings(plan.paths.root)) == 4


def test_a_lone_worker_that_is_replaced_costs_no_run(study: StudyRecord, plan_of: PlanOf) -> None:
    plan = plan_of(study, n_seeds=2, top=1, words=["executor.max_trials_per_worker=1"])
    outcome = run_confirm(plan)
    assert not outcome.reason
    assert outcome.confirmation.n_missing == 0
    assert len(outcome.confirmation.runs) == 4


def test_each_confirmation_with_new_runs_is_a_look_and_a_repeated_one_is_not(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    looked = [
        run_confirm(plan_of(study, n_seeds=n, trials=trials)).confirmation.looked
        for n, trials in ((2, [1]), (2, [1]), (3, [1]), (3, [2]), (2, [1]))
    ]
    assert [look.n_looks for look in looked] == [1, 1, 2, 3, 3]
    assert [look.n_configs for look in looked] == [2, 2, 2, 3, 3]


def test_on_validation_images_nothing_is_opened(study: StudyRecord, plan_of: PlanOf) -> None:
    plan = plan_of(study, n_seeds=2, top=1)
    run_confirm(plan)
    assert read_openings(plan.paths.root) == []


def test_a_dataset_without_test_images_is_refused_with_what_to_do(
    study: StudyRecord, plan_of: PlanOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "confirm_trials.without_test_images"
    monkeypatch.setitem(planning.TEST_FUNCTIONS, "confirm_trials.noisy", name)
    plan = plan_of(study, on="test")
    with pytest.raises(StudyError, match=r"no x_test.*--on validation"):
        run_confirm(plan)
    assert read_runs(plan.paths.root / FILE) == []


def test_failed_runs_are_shown_and_in_no_mean(plan_of: PlanOf, trace: Path) -> None:
    study = make_study(fault="diverge", fault_seeds=[2], trace=str(trace))
    outcome = run_confirm(plan_of(study, n_seeds=3, top=1))
    for row in outcome.confirmation.rows:
        assert list(row.scores) == [1, 3]
        assert [(run.seed, run.outcome) for run in row.failures] == [(2, Outcome.DIVERGED)]
        assert row.failures[0].reason == "val_loss is nan at epoch 2"
        assert row.failures[0].epochs == 1


@pytest.mark.parametrize("fault", ["die", "memory"])
def test_a_run_whose_worker_dies_or_that_lacks_memory_is_tried_again_on_a_fresh_one(
    fault: str, plan_of: PlanOf, tmp_path: Path
) -> None:
    class Ears(ConfirmWatcher):
        retries: list[tuple[int, int]] = []  # noqa: RUF012

        def retried(self, run: tuple[int, int], reason: str) -> None:
            self.retries.append(run)

    study = make_study(fault=fault, fault_seeds=[2], once=str(tmp_path / "died"))
    outcome = run_confirm(plan_of(study, n_seeds=2, top=1), Ears())
    assert len(Ears.retries) == 1
    assert all(not row.failures for row in outcome.confirmation.rows)


def test_where_everything_fails_it_gives_up(plan_of: PlanOf, trace: Path) -> None:
    study = make_study(fault="raise", fault_seeds=range(1, 99), trace=str(trace))
    outcome = run_confirm(plan_of(study, n_seeds=20))
    assert outcome.exit_code == 1
    assert not outcome.interrupted
    assert outcome.reason == "the first 5 runs all failed"
    assert len(runs_in(trace)) == 5
    assert {row.status for row in outcome.confirmation.rows} == {Status.FAILED}


def test_changed_data_is_refused_with_both_fingerprints(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    study = replace(study, facts={"environments": {"then": {"data": {"fingerprint": "old"}}}})
    with pytest.raises(StudyError, match="was old, now it is cheap"):
        run_confirm(plan_of(study))


def test_a_study_that_is_being_swept_is_left_alone(study: StudyRecord, plan_of: PlanOf) -> None:
    plan = plan_of(study)
    lock = CoordinatorLock(plan.paths.lock, "sweep")
    with lock, pytest.raises(StudyError, match="being swept"):
        run_confirm(plan)


def test_a_study_that_is_being_confirmed_is_left_alone_and_said_to_be(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    plan = plan_of(study, n_seeds=2, top=1)
    refused: list[str] = []

    class Impatient(ConfirmWatcher):
        def ended(self, run: RunRecord) -> None:
            with pytest.raises(StudyError) as caught:
                run_confirm(plan)
            refused.append(str(caught.value))

    run_confirm(plan, Impatient())
    assert f"is being confirmed by process {os.getpid()} on " in refused[0]
    assert "sweep.name" not in refused[0]


def test_a_split_of_its_own_comes_with_each_seed(study: StudyRecord, plan_of: PlanOf) -> None:
    plan = plan_of(study, n_seeds=2, top=1, new_split=True)
    outcome = run_confirm(plan)
    runs = outcome.confirmation.runs
    assert {run.seed: run.split_seed for run in runs.values()} == {1: 1, 2: 2}


def test_a_trial_that_failed_in_the_sweep_can_be_named(study: StudyRecord, plan_of: PlanOf) -> None:
    study = changed(study, 3, outcome=Outcome.WORKER_DIED, values=None, reason="killed")
    outcome = run_confirm(plan_of(study, trials=[3], n_seeds=2))
    assert [row.trial for row in outcome.confirmation.rows] == [3, 0]
