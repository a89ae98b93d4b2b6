"""Fresh seeds after the search: which run, that each runs once, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sweeping import RESULTS, let_all_pass, let_pass, runs, stored, sweep
from test_trial_runs import kill

from besom.errors import ConfigError
from besom.statistics import claim
from besom.store.records import Outcome
from besom.study import make_plan
from besom.study.replicates import MOST_SHARE
from besom.study.run import Ending
from user_project import Project, wait_for

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

SIX = ("sweep.n_trials=6", "sweep.replicates=2")


def test_the_leaders_and_the_baseline_run_on_fresh_seeds_shared_by_all(trace: Path) -> None:
    found = sweep(*SIX).study
    study = stored()
    assert found.replicates == study.replicates
    ranked = sorted(study.complete, key=lambda t: (-(t.value or 0.0), t.number))
    leaders = [t.number for t in ranked if not t.baseline][:3]
    assert {r.number for r in study.replicates} == {0, *leaders}
    seeds = {r.seed for r in study.replicates}
    assert len(seeds) == 2
    assert len(study.replicates) == 8
    assert seeds.isdisjoint({t.seed for t in study.trials})
    assert len(study.trials) == 6  # they are no trials
    assert len(runs(trace)) == len(runs(trace, "end")) == 14
    for replicate in study.replicates:
        assert replicate.outcome is Outcome.COMPLETE
        assert replicate.value == replicate.history["val_accuracy"][replicate.best_epoch - 1]
    assert claim(study).n_seeds == 2


def test_a_replicate_is_measured_at_the_epoch_that_counted_in_the_search(trace: Path) -> None:
    sweep(*SIX, "trainer.epochs=5")
    study = stored()
    counted = {t.number: t.best_epoch for t in study.trials}
    assert {r.best_epoch == counted[r.number] for r in study.replicates} == {True}


def test_the_same_command_runs_none_of_them_again(trace: Path) -> None:
    sweep(*SIX)
    before = len(runs(trace))
    assert sweep(*SIX).ending is Ending.DONE
    assert len(runs(trace)) == before
    sweep("sweep.n_trials=6", "sweep.replicates=3")  # more seeds are no other study
    assert len(stored().replicates) == 12
    assert len(runs(trace)) == before + 4


def test_with_folds_a_replicate_is_all_folds_pooled(trace: Path) -> None:
    sweep("sweep.n_trials=3", "sweep.replicates=2", "sweep.folds=3")
    study = stored()
    for replicate in study.replicates:
        assert [run["fold"] for run in replicate.runs] == [0, 1, 2]
        assert replicate.n_validation == study.trials[0].n_validation
    assert not (RESULTS / "cheap" / "runs").exists()


def test_auto_runs_them_only_within_a_quarter_of_the_searchs_epochs(trace: Path) -> None:
    sweep("sweep.n_trials=6", "sweep.replicates=auto")
    assert stored().replicates == ()
    sweep("sweep.n_trials=30", "sweep.replicates=auto", extend=True)
    study = stored()
    epochs = sum(t.epochs for t in study.trials)
    assert study.replicates
    assert sum(r.epochs for r in study.replicates) <= MOST_SHARE * epochs


def test_none_run_where_they_are_switched_off_or_could_show_nothing(trace: Path) -> None:
    sweep("sweep.n_trials=4", "sweep.replicates=0")
    assert stored().replicates == ()
    several = "sweep.objectives=[{metric: val_accuracy}, {metric: n_params}]"
    sweep("sweep.n_trials=4", "sweep.replicates=2", several, fresh=True)
    assert stored().replicates == ()


@pytest.mark.parametrize("given", ["1", "-2", "some", "2.5", "true"])
def test_another_number_of_seeds_is_refused_with_what_is_expected(given: str) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.replicates is .*expected auto, 0, or a number"):
        _ = make_plan("cheap", [f"sweep.replicates={given}"]).sweep


@pytest.mark.long
def test_killed_in_their_midst_each_runs_once(project: Project, trace: Path) -> None:
    words = (*SIX, "trainer.seconds=0.1", "sweep.executor.workers=2")
    let_pass(9)
    process = project.spawn("sweep", "cheap", *words)
    wait_for(lambda: len(runs(trace, "end")) >= 9, "three replicates to end", 60.0)
    wait_for(lambda: len(stored().replicates) >= 3, "three replicates to be stored")
    kill(process)
    n_done = len(stored().replicates)
    assert n_done < 8
    let_all_pass()
    n_before = len(runs(trace, "end"))
    sweep(*words)
    study = stored()
    assert len(study.replicates) == len({(r.number, r.seed) for r in study.replicates}) == 8
    assert 8 - n_done - 2 <= len(runs(trace, "end")) - n_before <= 8 - n_done
