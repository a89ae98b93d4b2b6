"""Trials that break, each in one way, on real processes: what the sweep makes of them."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from sweeping import assert_whole, by_outcome, point, runs, stored, sweep, sweep_node

from besom.executors import stop
from besom.report.leaderboard import ranking, unranked
from besom.store.records import Objective, Outcome, TrialRecord
from besom.study.budget import Budget
from besom.study.run import Ending
from besom.study.running_trial import EarlyStopping, RunningTrial
from besom.study.watcher import Watcher
from user_project import Project, run_long

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

TWO_KINDS = "sweep.space.model.dropout=[0.1,0.45]"


def faulty(fault: str, *more: str) -> tuple[str, ...]:
    """Trials with dropout 0.45 break; those with 0.1, and the baseline at 0.2, do not."""
    return (f"trainer.fault={fault}", "trainer.fault_above=0.4", TWO_KINDS, "seed=2", *more)


@pytest.mark.parametrize(
    ("fault", "outcome", "reason", "n_runs"),
    [
        ("raise", Outcome.ERROR, "ValueError: the layer [red] is missing", 1),
        ("indescribable", Outcome.ERROR, "Odd: (its message cannot be shown: str() of it", 1),
        ("report_nan", Outcome.DIVERGED, "val_accuracy is nan at epoch 2", 1),
        ("diverge", Outcome.DIVERGED, "val_loss is nan at epoch 2", 1),
        ("segfault", Outcome.WORKER_DIED, "SIGSEGV", 2),
        ("kill", Outcome.WORKER_DIED, "SIGKILL", 2),
        *run_long(
            ("unstorable", Outcome.ERROR, "RuntimeError: bad \\udcff surrogate \\x00 nul", 1),
            ("report_inf", Outcome.DIVERGED, "val_accuracy is inf at epoch 2", 1),
            ("allocate", Outcome.ERROR, "memory", 2),
            ("exit", Outcome.WORKER_DIED, "exit code 7", 2),
        ),
    ],
)
def test_a_trial_that_breaks_costs_only_itself(
    project: Project, fault: str, outcome: Outcome, reason: str, n_runs: int
) -> None:
    trace = project.root / "trace"
    done = sweep(*faulty(fault, f"trainer.trace={trace}", "sweep.n_trials=5"))
    assert (done.ending, done.exit_code) == (Ending.DONE, 0)
    study = assert_whole(5)
    broken, complete = by_outcome(study, outcome), by_outcome(study, Outcome.COMPLETE)
    assert broken
    assert len(broken) + len(complete) == 5
    assert {t.config["model"]["dropout"] for t in broken} == {0.45}
    assert 0.45 not in {t.config["model"]["dropout"] for t in complete}
    ran = [point(run) for run in runs(trace)]
    for trial in broken:
        assert reason in trial.reason
        assert "\n" not in trial.reason
        at = (trial.config["model"]["dropout"], trial.config["optimizer"]["learning_rate"])
        assert ran.count(at) == n_runs
        assert len(trial.history["val_accuracy"]) == 1
    assert sorted(unranked(study)["trial"]) == [t.number for t in broken]
    assert sorted(ranking(study)["trial"]) == [t.number for t in complete]
    assert list(unranked(study)["reason"]) == [t.reason for t in broken]


def test_an_exception_keeps_its_traceback(project: Project) -> None:
    sweep(*faulty("raise", "sweep.n_trials=4"))
    broken = by_outcome(stored(), Outcome.ERROR)[0]
    assert "Traceback" in broken.detail
    assert "sweep_trials.py" in broken.detail


def test_a_trial_that_hangs_is_killed_at_its_limit_and_not_run_again(project: Project) -> None:
    trace = project.root / "trace"
    limits = ("sweep.trial_timeout_s=1", f"trainer.trace={trace}", "sweep.n_trials=4")
    done = sweep(*faulty("hang", *limits))
    assert done.exit_code == 0
    study = assert_whole(4)
    hung = by_outcome(study, Outcome.TIMEOUT)
    assert hung
    assert all("1 s" in trial.reason for trial in hung)
    assert all(trial.seconds >= 1 for trial in hung)
    assert len(runs(trace)) == 4


@pytest.mark.long
def test_a_trial_that_hangs_does_not_keep_a_sweep_whose_time_is_over_from_ending(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost: the trial is kept, and the next command runs it again."""
    remarks: list[str] = []

    class Listener(Watcher):
        def remarked(self, text: str) -> None:
            remarks.append(text)

    monkeypatch.setattr(stop, "LEAST_S", 0.5)
    hangs = ("trainer.fault=hang", "trainer.fault_above=0.0")
    once = (*hangs, f"trainer.once={project.root / 'marker'}", "sweep.n_trials=3")
    began = time.monotonic()
    ended = sweep(*once, "sweep.timeout_s=1", watcher=Listener())
    assert time.monotonic() - began < 20
    assert (ended.ending, ended.reason) == (Ending.BUDGET, "the time limit of 1 s is reached")
    assert [trial.outcome for trial in stored().trials] == [Outcome.RUNNING]
    (remark,) = [text for text in remarks if "is killed" in text]
    assert remark.startswith("trial 0 is killed: it did not reach the end of its epoch.")
    assert "sweep.trial_timeout_s" in remark
    sweep(*once, "sweep.trial_timeout_s=60", "sweep.timeout_s=60", extend=True)
    assert len(assert_whole(3).complete) == 3


# Workers


TOLD = ("sweep.trial_function=sweep_trials.told", "sweep.n_trials=3")


def test_a_trial_in_its_last_epoch_ends_by_itself_when_the_sweep_stops(project: Project) -> None:
    """It is complete, so it must come to what a complete one does, such as saving its model."""
    last = ("trainer.epochs=1", "+trainer.really=1", "trainer.seconds=0.5")
    sweep(*TOLD, *last, "sweep.timeout_s=0.1")
    (trial,) = stored().complete
    assert trial.numbers["told"] == 0


def test_what_was_cut_off_is_never_complete_however_many_epochs_were_foreseen(
    project: Project,
) -> None:
    long = ("trainer.epochs=2", "+trainer.really=200", "trainer.seconds=0.1")
    sweep(*TOLD, *long, "sweep.timeout_s=0.7")
    assert [t.outcome for t in stored().trials] == [Outcome.RUNNING]


def test_a_duplicate_of_a_failed_trial_is_no_success() -> None:
    limits = sweep_node(n_trials=100, max_failures=2)
    budget = Budget(limits, Objective("val_accuracy", "maximize"), [])
    outcomes = (Outcome.DIVERGED, Outcome.DUPLICATE, Outcome.DIVERGED)
    for number, outcome in enumerate(outcomes):
        budget.count(TrialRecord(number, outcome))
    assert budget.broken


def test_a_trial_run_again_is_judged_by_what_it_has_done_this_time() -> None:
    pruner = optuna.pruners.ThresholdPruner(lower=0.5, n_warmup_steps=3)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    trial = study.ask()
    trial.report(0.1, 3)  # by an attempt that was lost
    plan = SimpleNamespace(
        objectives=(Objective("val_accuracy", "maximize"),),
        sweep=sweep_node(),
        config={"seed": 0},
    )
    running = RunningTrial(trial, {}, {"trainer": {"epochs": 9}}, history={"val_accuracy": [0.1]})
    early_stopping = EarlyStopping(plan, study)  # type: ignore[arg-type]
    assert not early_stopping.stops(running, 1)
    running.history["val_accuracy"] += [0.1, 0.1]
    assert early_stopping.stops(running, 3)


@pytest.mark.long
def test_a_worker_that_has_grown_is_replaced_and_that_is_said(project: Project) -> None:
    project.write(
        "growing.py",
        "import os\nfrom sweep_trials import prepare, quadratic\nkept = []\n"
        "def f(config, report):\n"
        "    kept.append(os.urandom(1024) * 100 * 1024); return quadratic(config, report)\n",
    )
    limit = ("sweep.executor.max_worker_memory='150 MiB'", "sweep.n_trials=3")
    done = project.run("sweep", "cheap", "sweep.trial_function=growing.f", *limit)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "replaced" in line]
    assert lines
    assert all(line.startswith("worker 0 replaced: its memory grew to ") for line in lines)
    assert all("past 150.0 MiB, in " in line for line in lines)
    assert len(assert_whole(3).complete) == 3


def test_a_worker_that_dies_once_is_replaced_and_the_trial_succeeds(project: Project) -> None:
    heard: list[str] = []

    class Listener(Watcher):
        def retried(self, trial: int, reason: str) -> None:
            heard.append(reason)

    trace = project.root / "trace"
    once = (f"trainer.once={project.root / 'marker'}", f"trainer.trace={trace}")
    sweep("trainer.fault=kill", "trainer.fault_above=0.0", *once, watcher=Listener())
    study = assert_whole(5)
    assert len(study.complete) == 5
    assert len(heard) == 1
    assert len(runs(trace)) == 6
    assert len(set(map(point, runs(trace)))) == 5
    assert len(study.trials[0].history["val_accuracy"]) == 3


def test_workers_that_die_together_cost_no_trial(project: Project) -> None:
    """Both workers' first trials are killed at once; each is run again, on a fresh worker."""
    trace = project.root / "trace"
    done = sweep(
        *("trainer.fault=kill", "trainer.fault_above=0.0", f"trainer.trace={trace}"),
        *("sweep.executor.workers=2", "sweep.n_trials=4", "sweep.max_failures=100"),
    )
    assert done.exit_code == 1
    study = assert_whole(4)
    assert len(by_outcome(study, Outcome.WORKER_DIED)) == 4
    assert len(runs(trace)) == 8


def test_a_number_that_is_not_finite_is_never_a_value(project: Project) -> None:
    done = sweep(*faulty("report_nan", "sweep.objective.epoch=last", "sweep.n_trials=6"))
    assert done.exit_code == 0
    study = assert_whole(6)
    assert by_outcome(study, Outcome.DIVERGED)
    assert ranking(study)["val_accuracy"].notna().all()
    journal = Path("results/cheap/study.journal").read_text()
    assert "NaN" not in journal
    assert "Infinity" not in journal


def test_the_sampler_learns_from_a_trial_that_diverged(project: Project) -> None:
    """Optuna's TPE forgets failed trials and learns from pruned ones."""
    import optuna

    from besom.store.storage import load_optuna_study

    sweep(*faulty("report_nan", "sweep/sampler=tpe", "sweep.n_trials=6"))
    diverged = by_outcome(stored(), Outcome.DIVERGED)
    states = {t.number: t.state for t in load_optuna_study(Path("results"), "cheap").trials}
    assert {states[t.number] for t in diverged} == {optuna.trial.TrialState.PRUNED}


# The circuit breaker


def test_a_sweep_whose_first_trials_all_fail_stops(project: Project) -> None:
    done = sweep("trainer.fault=raise", "sweep.n_trials=50", "sweep.max_failures=3")
    assert (done.ending, done.exit_code) == (Ending.BROKEN, 1)
    assert "first 3 trials" in done.reason
    assert len(stored().trials) == 3
    assert len(by_outcome(stored(), Outcome.ERROR)) == 3


def test_failures_after_a_success_do_not_stop_it(project: Project) -> None:
    """The baseline succeeds at dropout 0.2; everything the space holds fails."""
    space = "sweep.space.model.dropout={low: 0.45, high: 0.5}"
    above = ("trainer.fault=raise", "trainer.fault_above=0.4")
    done = sweep(*above, space, "sweep.n_trials=6", "sweep.max_failures=2")
    assert (done.ending, done.exit_code) == (Ending.DONE, 0)
    assert len(by_outcome(assert_whole(6), Outcome.ERROR)) == 5


def test_a_broken_sweep_gets_another_chance_when_it_is_given_again(project: Project) -> None:
    marker = project.write("marker", "")
    marker.unlink()
    broken = ("trainer.fault=raise", "sweep.n_trials=6", "sweep.max_failures=1")
    once = (*broken, f"trainer.once={marker}")
    first = sweep(*once)
    assert (first.ending, first.exit_code) == (Ending.BROKEN, 1)
    assert len(stored().trials) == 1
    again = sweep(*once)  # whatever broke the first trial has been mended meanwhile
    assert (again.ending, again.exit_code) == (Ending.DONE, 0)
    assert len(by_outcome(assert_whole(6), Outcome.COMPLETE)) == 5


def test_a_sweep_that_cannot_prepare_is_refused_and_leaves_nothing(project: Project) -> None:
    from besom.errors import BesomError

    with pytest.raises(BesomError, match=r"^The images are gone\.$"):
        sweep("trainer.unprepared='The images are gone.'")
    assert not Path("results").exists()
