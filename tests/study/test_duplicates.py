"""What a user is promised of configs that are proposed twice: they are trained once."""

from __future__ import annotations

import sweeping
from optuna.trial import TrialState

from besom.api import load_study
from besom.store.records import Outcome
from besom.store.storage import load_optuna_study

POINTS = (
    "sweep.space.model.dropout=[0.1,0.4]",
    "sweep.space.optimizer.learning_rate=[0.001,0.01]",
    "sweep.executor.workers=3",
    "trainer.seconds=0.03",
)


def test_a_config_that_is_running_is_waited_for(project, no_orphans):
    trace = project.root / "trace"
    sweeping.sweep(*POINTS, f"trainer.trace={trace}", "sweep.n_trials=25")
    study = load_study("cheap")
    assert len(study.trials) == 25
    runs = [sweeping.point(run) for run in sweeping.runs(trace)]
    assert len(runs) == len(set(runs))
    assert {t.outcome for t in study.trials} == {Outcome.COMPLETE, Outcome.DUPLICATE}


def test_what_waited_for_a_trial_that_failed_is_run_itself(project, no_orphans):
    sweeping.sweep(
        *POINTS, "trainer.fault=raise", "trainer.fault_above=0.3",
        f"trainer.once={project.root / 'once'}", "sweep.n_trials=25",
    )  # fmt: skip
    study = load_study("cheap")
    assert len(study.trials) == 25
    assert len(sweeping.by_outcome(study, Outcome.ERROR)) == 1
    failed = sweeping.by_outcome(study, Outcome.ERROR)[0]
    again = [t for t in study.complete if t.config == failed.config]
    assert len(again) == 1


def test_a_duplicate_of_a_stopped_trial_teaches_what_that_one_taught(project, no_orphans):
    sweeping.sweep(*POINTS, "sweep/pruner=screening", "sweep.pruner.keep=1", "sweep.n_trials=20")
    trials = {t.number: t for t in load_optuna_study(sweeping.RESULTS, "cheap").trials}
    again = sweeping.by_outcome(load_study("cheap"), Outcome.DUPLICATE)
    assert again
    for duplicate in again:
        told, original = trials[duplicate.number], trials[duplicate.duplicate_of]
        if original.state is TrialState.PRUNED:
            assert told.intermediate_values[1] == original.intermediate_values[1]


def test_noise_studies_train_every_trial(project, no_orphans):
    sweeping.sweep(*POINTS, "sweep.reuse_duplicates=false", "sweep.n_trials=12")
    assert len(load_study("cheap").complete) == 12
