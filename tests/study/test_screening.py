"""What a user is promised of screening, and that no pruner stops what has ended anyway."""

from __future__ import annotations

import pytest
import sweeping

from besom.api import load_study
from besom.store.records import Origin, Outcome, StudyRecord, TrialRecord
from besom.study.coordinator import Ending
from besom.study.screening import seconds_to_finish

SCREENED = ("sweep/pruner=screening", "sweep.pruner.keep=3", "trainer.epochs=5")


def continued(study: StudyRecord) -> list[TrialRecord]:
    return [t for t in study.trials if t.origin is Origin.CONTINUED]


def best_screened(study: StudyRecord, n: int) -> set[int]:
    screened = [t for t in study.trials if t.outcome is Outcome.PRUNED]
    screened.sort(key=lambda t: -t.history["val_accuracy"][0])
    return {t.number for t in screened[:n]}


def test_time_is_kept_for_training_the_best_to_their_end(project, no_orphans, monkeypatch):
    def with_room(*given):  # for a machine that halts for a moment
        return seconds_to_finish(*given) + 3.0

    monkeypatch.setattr("besom.study.ask.seconds_to_finish", with_room)
    outcome = sweeping.sweep(
        *SCREENED, "sweep.n_trials=1000", "sweep.timeout_s=7", "trainer.seconds=0.05"
    )
    study = load_study("cheap")
    kept = continued(study)
    assert [t.outcome for t in kept] == [Outcome.COMPLETE] * 3
    assert {t.continues for t in kept} == best_screened(study, 3)
    assert outcome.ending is Ending.BUDGET
    assert outcome.reason.startswith("the time limit of 7 s is reached")
    assert "yet to be trained" not in outcome.reason


def test_a_screening_that_had_no_time_to_finish_says_so_and_goes_on(
    project, no_orphans, monkeypatch
):
    short = (*SCREENED, "sweep.n_trials=8", "trainer.seconds=0.1", "sweep.pruner.keep=7")
    with monkeypatch.context() as patch:  # an estimate that is far from what happens
        patch.setattr("besom.study.ask.seconds_to_finish", lambda *_: 0.0)
        outcome = sweeping.sweep(*short, "sweep.timeout_s=1.4")
    assert "screened trials are yet to be trained to their end: give the same" in outcome.reason
    sweeping.sweep(*short, "sweep.timeout_s=60", extend=True)
    study = load_study("cheap")
    assert {t.outcome for t in continued(study)} == {Outcome.COMPLETE}
    # On a machine that halts, one may reach its end before it is told to stop for the screening.
    screened = [t for t in study.trials if not t.baseline and t.continues is None]
    at_their_end = [t for t in study.complete if not t.baseline]
    assert len(at_their_end) == len(screened) == 7


def test_an_extended_screening_continues_the_best_of_all_each_once(project, no_orphans):
    sweeping.sweep(*SCREENED, "sweep.n_trials=5")
    first = {t.continues for t in continued(load_study("cheap"))}
    sweeping.sweep(*SCREENED, "sweep.n_trials=25", extend=True)
    study = load_study("cheap")
    numbers = [t.continues for t in continued(study)]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) == first | best_screened(study, 3)
    assert not list(study_paths(project).glob("*")), "checkpoints are left that nothing will need"


def study_paths(project):
    return project.root / "results" / "cheap" / "checkpoints"


def test_a_screened_grid_is_continued_after_its_last_point(project, no_orphans):
    sweeping.sweep(
        *SCREENED, "sweep/sampler=grid", "sweep.space.model.dropout=[0.1,0.2,0.3]",
        "sweep.space.optimizer.learning_rate=[0.001,0.01]", "sweep.n_trials=50",
    )  # fmt: skip
    assert len(continued(load_study("cheap"))) == 3


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["sweep.objectives=[{metric: val_accuracy},{metric: val_loss}]"],
            "compares trials by one objective",
        ),
        (["sweep.objective.metric=n_params"], "a trial has 'n_params' only once"),
        (["sweep.objective.metric=seconds"], "a trial has 'seconds' only once"),
        (["trainer.epochs=1"], "trainer.epochs is 1"),
        (["sweep.pruner.epochs=5"], "stops trials after 5 epochs"),
        (["sweep.space.trainer.epochs={low: 1, high: 9}"], "trainer.epochs is 1"),
    ],
)
def test_a_screening_that_could_not_work_is_refused(project, overrides, message):
    done = project.besom("sweep", "cheap", *SCREENED, *overrides)
    assert done.exit_code == 2
    assert message in done.output
    assert project.results() == []


def trial(number: int, seconds: float, epochs: int = 1) -> TrialRecord:
    history = {"loss": [0.0] * epochs}
    config = {"trainer": {"epochs": 10}}
    return TrialRecord(number, Outcome.PRUNED, seconds=seconds, history=history, config=config)


def test_the_time_to_finish_is_measured_and_shared_among_workers() -> None:
    trials = [trial(0, 20.0, epochs=10), *(trial(n, 2.0) for n in range(1, 5))]
    assert seconds_to_finish(trials[1:], trials, n_workers=2) == 2 * 11 * 2.0
    assert seconds_to_finish(trials[1:], trials, n_workers=3) == 2 * 11 * 2.0
    assert seconds_to_finish([], trials, n_workers=2) == 0.0
    assert seconds_to_finish(trials, [], n_workers=2) == 0.0


@pytest.mark.parametrize("pruner", ["median", "hyperband", "successive_halving", "percentile"])
def test_no_trial_is_pruned_at_its_last_epoch(project, no_orphans, pruner):
    sweeping.sweep(f"sweep/pruner={pruner}", "trainer.epochs=4", "sweep.n_trials=40")
    pruned = sweeping.by_outcome(load_study("cheap"), Outcome.PRUNED)
    assert all(t.epochs < 4 for t in pruned)
