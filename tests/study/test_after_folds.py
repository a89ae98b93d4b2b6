"""After a sweep with folds and repeats: its trials replayed, and confirmed on all folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from folded_trials import n_validation
from sweeping import point, runs, stored, sweep

from besom.rerun.confirm import make_confirm_plan, run_confirm
from besom.rerun.confirm.run_journal import FILE, read_runs
from besom.rerun.replay import Replay, replay, report
from besom.runs import RunOf, runs_of
from besom.store.paths import StudyPaths
from besom.store.records import Outcome, StudyRecord
from user_project import Project, some_long

pytestmark = pytest.mark.usefixtures("no_orphans")

BOTH = ("sweep.folds=3", "sweep.repeats=2")


def paths(study: StudyRecord) -> StudyPaths:
    return StudyPaths.of(Path("results"), study.name)


def again(study: StudyRecord, number: int, seen: list[RunOf] | None = None) -> Replay:
    on_run: Any = (lambda _: None) if seen is None else seen.append
    return replay(study, study.trials[number], paths(study), on_run=on_run)


def begun(trace: Path) -> list[tuple[int, int | None]]:
    return [(run.get("repeat", 0), run.get("fold")) for run in runs(trace)]


def test_a_replay_makes_all_runs_and_compares_their_mean(trace: Path) -> None:
    sweep(*BOTH, "sweep.n_trials=2")
    study, seen = stored(), list[RunOf]()
    result = again(study, 1, seen)
    assert result.equal, report(result)
    assert seen == list(runs_of(3, 2))
    history = {name: [*values[:-1], 0.0] for name, values in study.trials[1].history.items()}
    other = replay(study, replace(study.trials[1], history=history), paths(study))
    assert other.difference is not None
    assert other.difference.epoch == len(history["val_accuracy"])


def test_replay_shows_which_run_an_epoch_is_of(project: Project, trace: Path) -> None:
    sweep("sweep.folds=2", "sweep.n_trials=1")
    done = project.besom("replay", "cheap", "0")
    assert done.exit_code == 0, done.output
    assert done.output.index("Fold 1 of 2:\nEpoch 1: ") < done.output.index("Fold 2 of 2:\nEpoch 1")
    assert "Trial 0 of 'cheap' is bitwise equal" in done.output


@pytest.mark.parametrize("fault", some_long(["raise", "diverge", "nan"], "raise"))
def test_a_trial_that_a_run_ended_is_replayed_until_that_run(trace: Path, fault: str) -> None:
    sweep(*BOTH, "sweep.n_trials=2", "trainer.breaks=[0,2]", f"trainer.fault={fault}")
    study = stored()
    assert study.trials[1].outcome.failed
    trace.unlink()
    result = again(study, 1)
    assert result.equal, report(result)
    assert begun(trace) == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("workers", some_long([1, 2], [2]))
def test_a_trial_pruned_between_its_runs_is_replayed_until_there(trace: Path, workers: int) -> None:
    sweep(
        *(*BOTH, "sweep.n_trials=12", f"sweep.executor.workers={workers}"),
        *(
            "sweep/pruner=median",
            "sweep.pruner.n_startup_trials=1",
            "sweep.pruner.n_warmup_steps=3",
        ),
    )
    study = stored()
    pruned = [t for t in study.trials if t.outcome is Outcome.PRUNED and t.runs]
    assert pruned
    for trial in pruned[:2]:
        result = again(study, trial.number)
        assert result.equal, (trial.reason, report(result))


def test_a_confirmation_on_validation_runs_all_folds_with_each_seed(trace: Path) -> None:
    sweep(*BOTH, "sweep.n_trials=2", "sweep.executor.workers=2")
    study = stored()
    trace.unlink()
    options: Any = {"top": 1, "n_seeds": 2, "on": "validation"}
    plan = make_confirm_plan(study, paths(study), **options)
    confirmed = run_confirm(plan).confirmation
    made = [(run["seed"], run["fold"], point(run)) for run in runs(trace)]
    assert len(made) == len(set(made)) == 2 * 2 * 3
    assert {seed for seed, *_ in made} == {1, 2}
    for run in confirmed.runs.values():
        assert run.n_images == sum(map(n_validation, range(3)))
        assert run.correct is not None
    assert len(read_runs(plan.paths.root / FILE)) == 4
    assert run_confirm(make_confirm_plan(study, paths(study), **options)).exit_code == 0
    assert len(runs(trace)) == 12


def test_a_confirmation_goes_on_where_a_fold_fails(trace: Path) -> None:
    sweep("sweep.folds=3", "sweep.n_trials=2")
    study = stored()
    trace.unlink()
    broken = replace(
        study.trials[1],
        config={
            **study.trials[1].config,
            "trainer": {**study.trials[1].config["trainer"], "breaks": [0, 1], "fault": "raise"},
        },
    )
    study = replace(study, trials=(study.trials[0], broken))
    options: Any = {"trials": [1], "n_seeds": 2, "on": "validation", "race": False, "workers": 1}
    confirmed = run_confirm(make_confirm_plan(study, paths(study), **options)).confirmation
    assert {key: run.outcome for key, run in confirmed.runs.items()} == {
        (0, 1): Outcome.COMPLETE,
        (0, 2): Outcome.COMPLETE,
        (1, 1): Outcome.ERROR,
        (1, 2): Outcome.ERROR,
    }
    assert confirmed.runs[1, 1].reason == "fold 2 of 3: ValueError: the layer is missing"
    made = [run["fold"] for run in runs(trace) if run["dropout"] != 0.2]
    assert made == [0, 1, 0, 1]  # the fold after it is not tried
