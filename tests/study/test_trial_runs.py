"""A trial of several runs: folds and repeats, on one worker or many, stopped, killed, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from folded_trials import n_validation
from sweeping import (
    by_outcome,
    let_all_pass,
    let_pass,
    point,
    runs,
    stored,
    sweep,
    wait_to_say,
    workers_of,
)

from besom.errors import ConfigError, StudyError
from besom.report.leaderboard import ranking
from besom.runs import runs_of
from besom.store.records import Outcome, TrialRecord
from besom.study import make_plan
from besom.study.run import Ending
from besom.study.watcher import Watcher
from user_project import Project, some_long, wait_for

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

BOTH = ("sweep.folds=3", "sweep.repeats=2")
ALL = [(run.repeat, run.fold) for run in runs_of(3, 2)]


def by_trial(trace: Path, what: str = "start") -> list[list[tuple[int, int]]]:
    """Which runs began, or ended, of each trial, in that order; trials as they began."""
    found: dict[Any, list[tuple[int, int]]] = {}
    for run in runs(trace, what):
        found.setdefault(point(run), []).append((run["repeat"], run.get("fold")))
    return list(found.values())


def assert_pooled(trial: TrialRecord, n_folds: int, n_repeats: int) -> None:
    """The trial's facts are those of all its runs together."""
    assert [(run["repeat"], run["fold"]) for run in trial.runs] == [
        (run.repeat, run.fold) for run in runs_of(n_folds, n_repeats)
    ]
    sizes = [n_validation(run["fold"]) for run in trial.runs]
    assert trial.n_validation == sum(sizes[:n_folds])
    mean = np.average([run["value"] for run in trial.runs], weights=sizes)
    assert trial.value == pytest.approx(mean)
    assert trial.value == trial.history["val_accuracy"][trial.best_epoch - 1]
    assert trial.seconds == pytest.approx(sum(run["seconds"] for run in trial.runs))


class Remarks(Watcher):
    """Keeps what a sweep remarks, and which runs it shows."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.shown: list[tuple[int, int, int]] = []
        self.n_ended = 0

    def remarked(self, text: str) -> None:
        self.said.append(text)

    def run_started(self, trial: int, worker: int, run: int, n_runs: int) -> None:
        self.shown.append((trial, run, n_runs))

    def run_ended(self, trial: int, worker: int) -> None:
        self.n_ended += 1


class Gathering(Remarks):
    """Lets no run go on before so many workers have begun one."""

    def __init__(self, n_workers: int) -> None:
        super().__init__()
        let_pass(0)
        self._n_workers = n_workers
        self._workers = set[int]()
        self.epochs = list[int]()

    def run_started(self, trial: int, worker: int, run: int, n_runs: int) -> None:
        super().run_started(trial, worker, run, n_runs)
        self._workers.add(worker)
        if len(self._workers) == self._n_workers:
            let_all_pass()

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append(epoch)


# What a trial is


def test_a_trial_of_folds_and_repeats_counts_once_and_is_worth_what_its_runs_are(
    trace: Path,
) -> None:
    sweep(*BOTH, "sweep.n_trials=3")
    study = stored()
    assert [t.outcome for t in study.trials] == [Outcome.COMPLETE] * 3
    assert by_trial(trace) == [ALL] * 3
    for trial in study.trials:
        assert_pooled(trial, 3, 2)
        assert "run" not in trial.config
        assert trial.seed == trial.config["seed"] == 0
    assert len(ranking(study)) == 3


def test_repeats_have_seeds_of_their_own_the_same_for_all_trials_and_folds_none(
    trace: Path,
) -> None:
    sweep(*BOTH, "sweep.n_trials=2")
    seeds = {run["repeat"]: run["seed"] for run in runs(trace)}
    assert len(set(seeds.values())) == 2
    assert all(run["seed"] == seeds[run["repeat"]] for run in runs(trace))
    assert [run["seed"] for run in stored().trials[1].runs] == [seeds[r] for r, _ in ALL]


def test_one_run_is_as_ever_nothing_new_is_given_or_stored(trace: Path) -> None:
    sweep("sweep.n_trials=1")
    (run,) = runs(trace)
    assert "fold" not in run
    assert "repeat" not in run
    (trial,) = stored().trials
    assert trial.runs == []
    assert not Path("results/cheap/runs").exists()


def test_workers_prepare_with_the_first_run(trace: Path) -> None:
    study = sweep(*BOTH, "sweep.n_trials=1").study
    (environment,) = study.facts["environments"].values()
    assert environment["prepared_with"] == {"fold": 0, "folds": 3, "repeat": 0}


def test_a_repeat_without_folds_has_no_fold(trace: Path) -> None:
    sweep("sweep.repeats=3", "sweep.n_trials=1")
    assert by_trial(trace) == [[(0, None), (1, None), (2, None)]]
    (trial,) = stored().trials
    assert trial.n_validation == n_validation(0)
    assert [run["fold"] for run in trial.runs] == [None] * 3


def test_no_model_is_kept_of_several_runs(trace: Path) -> None:
    remarks = Remarks()
    sweep(*BOTH, "sweep.n_trials=1", "sweep.keep_models=2", watcher=remarks)
    assert all("save_model" not in run["orders"] for run in runs(trace))
    assert any("sweep.keep_models=2 is not used" in text for text in remarks.said)


def test_a_config_that_ran_is_not_run_again(trace: Path) -> None:
    space = "sweep.space={model.dropout: [0.2, 0.4]}"
    sweep("sweep.folds=2", "sweep.n_trials=6", space, "sweep.executor.workers=2")
    assert sorted(map(len, by_trial(trace))) == [2] * len(by_trial(trace))
    study = stored()
    assert len(study.trials) == 6
    for duplicate in by_outcome(study, Outcome.DUPLICATE):
        assert duplicate.value is None or duplicate.duplicate_of is not None


def test_a_worker_s_log_calls_a_run_by_its_trial_and_fold(trace: Path) -> None:
    sweep(*BOTH, "sweep.n_trials=2")
    log = Path("results/cheap/logs/worker-0.log").read_text()
    assert "[besom] trial 1, fold 3 of 3 in repeat 2 of 2\n" in log


# Order


def test_a_worker_runs_a_trial_to_its_end_before_it_takes_another(trace: Path) -> None:
    sweep(*BOTH, "sweep.n_trials=4", "sweep.executor.workers=2", "trainer.seconds=0.02")
    assert sorted(map(tuple, by_trial(trace))) == [tuple(ALL)] * 4
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    unfinished = Counter[tuple[float, float]]()
    for line in lines:
        if line["what"] == "end":
            unfinished[point(line)] -= 1
        elif point(line) not in unfinished:
            assert sum(n > 0 for n in unfinished.values()) <= 1, "one worker has one trial"
            unfinished[point(line)] = len(ALL)


def test_idle_workers_help_where_no_trial_is_left_to_ask_for(trace: Path) -> None:
    words = ("sweep.n_trials=1", "sweep.executor.workers=3")
    sweep(*BOTH, *words, watcher=Gathering(3))
    assert len({run["pid"] for run in runs(trace)}) == 3
    assert sorted(by_trial(trace)[0]) == sorted(ALL)
    assert_pooled(stored().trials[0], 3, 2)


def test_how_many_work_changes_nothing_in_what_a_trial_is_worth(trace: Path) -> None:
    one = sweep(*BOTH, "sweep.n_trials=3", "sweep.name=one").study
    three = sweep(*BOTH, "sweep.n_trials=3", "sweep.executor.workers=3", "sweep.name=three").study
    assert [t.value for t in one.trials] == [t.value for t in three.trials]
    assert [t.correct for t in one.trials] == [t.correct for t in three.trials]


def test_watchers_hear_of_each_run(trace: Path) -> None:
    watcher = Remarks()
    sweep("sweep.folds=2", "sweep.n_trials=2", watcher=watcher)
    assert watcher.shown == [(0, 1, 2), (0, 2, 2), (1, 1, 2), (1, 2, 2)]
    assert watcher.n_ended == 4


# Stopped early


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        ("diverge", Outcome.DIVERGED, "val_loss is nan at epoch 2"),
        ("report_nan", Outcome.DIVERGED, "val_accuracy is nan at epoch 2"),
        ("raise", Outcome.ERROR, "ValueError: the layer is missing"),
    ],
)
def test_a_run_that_breaks_ends_its_trial(
    trace: Path, fault: str, outcome: Outcome, reason: str
) -> None:
    sweep(*BOTH, "sweep.n_trials=3", "trainer.breaks=[0,1]", f"trainer.fault={fault}",
          "model.dropout=0.2", "sweep.space={optimizer.learning_rate: [0.001, 0.01, 0.1]}",
          "sweep.enqueue=[{model.dropout: 0.3}]")  # fmt: skip
    study = stored()
    (broken,) = [t for t in study.trials if t.outcome is not Outcome.COMPLETE]
    assert broken.outcome is outcome
    assert broken.reason == f"fold 2 of 3 in repeat 1 of 2: {reason}"
    assert [run["fold"] for run in broken.runs] in ([0], [])
    assert len(broken.history["val_accuracy"]) == 3, "that of the run before it"
    assert [(0, 0), (0, 1)] in by_trial(trace)
    assert not Path("results/cheap/runs").exists()


def test_the_other_runs_of_a_trial_that_has_ended_are_stopped(trace: Path) -> None:
    watcher = Gathering(3)
    sweep("sweep.folds=3", "sweep.n_trials=1", "sweep.executor.workers=3", "trainer.seconds=0.2",
          "trainer.epochs=40", "trainer.breaks=[0,1]", "trainer.fault=diverge",
          "model.dropout=0.3", watcher=watcher)  # fmt: skip
    (trial,) = stored().trials
    assert trial.outcome is Outcome.DIVERGED
    assert len(runs(trace)) == 3
    assert max(watcher.epochs) < 40


PRUNED = (
    "sweep/pruner=median", "sweep.pruner.n_startup_trials=1", "sweep.pruner.n_warmup_steps=0",
    "sweep.pruner.n_min_trials=1", "sweep.folds=4", "trainer.deterministic=true",
    "sweep.space={model.dropout: [0.3, 0.45, 0.5], optimizer.learning_rate: [0.01, 0.0001]}",
    "model.dropout=0.3", "optimizer.learning_rate=0.01",
)  # fmt: skip


def test_by_epoch_a_trial_is_pruned_in_its_first_run_only(trace: Path) -> None:
    worse = "{optimizer.learning_rate: 0.0001, model.dropout: 0.5}"
    sweep(*PRUNED, "sweep.n_trials=2", f"sweep.enqueue=[{worse}]", "trainer.epochs=4")
    pruned = stored().trials[1]
    assert pruned.outcome is Outcome.PRUNED
    assert pruned.reason.startswith("fold 1 of 4: stopped at epoch ")
    assert by_trial(trace)[1] == [(0, 0)]


def test_after_each_run_the_pruner_judges_the_mean_of_the_runs_so_far(trace: Path) -> None:
    # After the first run's few epochs the pruner still warms up; the next step it sees is a mean.
    worse = "{optimizer.learning_rate: 0.0001, model.dropout: 0.5}"
    sweep(*PRUNED, "sweep.n_trials=2", f"sweep.enqueue=[{worse}]", "trainer.epochs=2",
          "sweep.pruner.n_warmup_steps=3")  # fmt: skip
    pruned = stored().trials[1]
    assert pruned.outcome is Outcome.PRUNED
    mean = np.average([run["value"] for run in pruned.runs],
                      weights=[n_validation(run["fold"]) for run in pruned.runs])  # fmt: skip
    assert pruned.reason == f"stopped after 2 of 4 runs with val_accuracy {mean:.4g}"
    assert by_trial(trace)[1] == [(0, 0), (0, 1)]
    assert pruned.correct is None


def test_an_audited_trial_runs_on_whatever_the_pruner_says_of_its_runs(trace: Path) -> None:
    worse = "{optimizer.learning_rate: 0.0001, model.dropout: 0.5}"
    sweep(*PRUNED, "sweep.n_trials=2", f"sweep.enqueue=[{worse}]", "trainer.epochs=2",
          "sweep.pruner.n_warmup_steps=3", "sweep.audit=1.0")  # fmt: skip
    audited = stored().trials[1]
    assert audited.outcome is Outcome.COMPLETE
    assert audited.audited_at == 2
    assert_pooled(audited, 4, 1)


@pytest.mark.parametrize("pruner", ["hyperband", "successive_halving", "median", "patient"])
def test_pruners_take_trials_of_several_runs_of_different_lengths(trace: Path, pruner: str) -> None:
    space = "sweep.space.trainer.epochs={type: int, low: 2, high: 6}"
    words = ("sweep.folds=3", f"sweep/pruner={pruner}", space, "sweep.executor.workers=2")
    study = sweep(*words, "sweep.n_trials=12").study
    assert len(study.trials) == 12
    assert {t.outcome for t in study.trials} <= {Outcome.COMPLETE, Outcome.PRUNED}
    for trial in study.complete:
        assert_pooled(trial, 3, 1)


def test_with_several_objectives_each_has_its_pooled_value(trace: Path) -> None:
    several = "sweep.objectives=[{metric: val_accuracy}, {metric: val_loss}, {metric: seconds}]"
    for trial in sweep(*BOTH, several, "sweep.n_trials=3").study.trials:
        assert_pooled(trial, 3, 2)
        assert trial.values is not None
        assert trial.values[1] == trial.history["val_loss"][trial.best_epoch - 1]
        assert trial.values[2] == pytest.approx(sum(run["seconds"] for run in trial.runs))


def test_the_time_limit_of_a_trial_is_that_of_each_run(trace: Path) -> None:
    words = ("sweep.folds=7", "sweep.n_trials=1", "trainer.seconds=0.2")
    study = sweep(*words, "sweep.trial_timeout_s=4", "sweep.name=enough").study
    assert study.trials[0].outcome is Outcome.COMPLETE
    assert study.trials[0].seconds > 4, "each of its seven runs takes 0.6 s"
    (trial,) = sweep(*words, "sweep.trial_timeout_s=0.3", "sweep.name=short").study.trials
    assert trial.outcome is Outcome.TIMEOUT
    assert trial.reason == "fold 1 of 7: ran longer than 0.3 s"


def test_a_constraint_that_is_broken_before_training_costs_one_run(trace: Path) -> None:
    sweep(*BOTH, "sweep.n_trials=1", "sweep.constraints={n_params: {max: 5}}")
    (trial,) = stored().trials
    assert trial.outcome is Outcome.INFEASIBLE


# Killed, resumed


def start(project: Project, *overrides: str) -> subprocess.Popen[str]:
    return project.spawn("sweep", "cheap", *BOTH, "trainer.seconds=0.1", *overrides)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a sweep; its workers, which end by themselves then, write down nothing afterwards."""
    workers = workers_of(process.pid)
    process.kill()
    process.communicate()
    psutil.wait_procs(workers, timeout=60)


def written(name: str = "cheap") -> list[Path]:
    """The runs that are written down."""
    return list(Path("results", name, "runs").glob("trial*"))


@pytest.mark.parametrize("workers", some_long([1, 2], [2]))
def test_a_sweep_killed_in_mid_trial_runs_only_the_runs_that_are_missing(
    project: Project, trace: Path, workers: int
) -> None:
    words = ("sweep.n_trials=2", f"sweep.executor.workers={workers}", "sweep.name=killed")
    let_pass(4)
    process = start(project, *words)
    wait_for(lambda: len(written("killed")) >= 4, "some runs to end", 60.0)
    kill(process)
    assert len(written("killed")) >= 4
    let_all_pass()
    sweep(*BOTH, "trainer.seconds=0.1", *words)
    study = stored("killed")
    assert len(study.complete) == 2
    ended = Counter((point(run), run["repeat"], run["fold"]) for run in runs(trace, "end"))
    assert len(ended) == 2 * len(ALL)
    # What another worker ended in the very moment of the kill was not written down.
    assert ended.total() < 2 * len(ALL) + workers
    assert not Path("results/killed/runs").exists()
    whole = sweep(*BOTH, "sweep.n_trials=1", "sweep.name=whole").study
    trial, other = study.trials[0], whole.trials[0]
    assert_pooled(trial, 3, 2)
    assert trial.history == other.history
    assert trial.value == other.value


@pytest.mark.long
def test_ctrl_c_keeps_the_runs_that_have_ended(project: Project, trace: Path) -> None:
    let_pass(2)
    process = start(project, "sweep.n_trials=2", "trainer.epochs=5")
    wait_for(lambda: len(runs(trace)) == 3, "the third run", 60.0)
    process.send_signal(signal.SIGINT)
    wait_to_say(process, "SIGINT received")
    let_all_pass()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [t.outcome for t in stored().trials] == [Outcome.RUNNING]
    sweep(*BOTH, "trainer.seconds=0.1", "trainer.epochs=5", "sweep.n_trials=2")
    assert len(stored().complete) == 2
    began = by_trial(trace)[0]
    assert began[:3] == ALL[:3]
    assert Counter(began)[0, 0] == Counter(began)[0, 1] == 1
    assert began[-3:] == ALL[-3:]


def test_a_study_in_a_database_resumes_in_mid_trial(project: Project, trace: Path) -> None:
    words = ("sweep.n_trials=2", "sweep.storage=sqlite:///study.db")
    let_pass(4)
    process = start(project, *words)
    wait_for(lambda: len(written()) == 4, "four runs to end", 60.0)
    kill(process)
    let_all_pass()
    sweep(*BOTH, "trainer.seconds=0.1", *words)
    assert len(stored().complete) == 2
    assert Counter(by_trial(trace, "end")[0]) == Counter(ALL)


@pytest.mark.long
def test_a_damaged_file_of_a_run_costs_that_run(project: Project, trace: Path) -> None:
    let_pass(3)
    process = start(project, "sweep.n_trials=1")
    wait_for(lambda: len(written()) == 3, "three runs to end", 60.0)
    kill(process)
    let_all_pass()
    Path("results/cheap/runs/trial-0-run-1.json.gz").write_bytes(b"no")
    sweep(*BOTH, "trainer.seconds=0.1", "sweep.n_trials=1")
    counts = Counter(by_trial(trace, "end")[0])
    assert (counts[0, 0], counts[0, 1], counts[0, 2]) == (1, 2, 1)
    assert_pooled(stored().trials[0], 3, 2)


def test_runs_that_cannot_be_written_down_are_said_and_cost_nothing_else(
    project: Project, trace: Path
) -> None:
    class BlocksTheFolder(Remarks):
        def began(self, *_: Any) -> None:
            Path("results/cheap/runs").write_text("in the way")

    watcher = BlocksTheFolder()
    sweep(*BOTH, "sweep.n_trials=2", watcher=watcher)
    (said,) = [text for text in watcher.said if "cannot be written" in text]
    assert "run again from their first run" in said
    assert len(stored().complete) == 2


def test_a_worker_killed_in_a_run_costs_that_run(project: Project, trace: Path) -> None:
    class Kills(Watcher):
        killed = False

        def run_started(self, trial: int, worker: int, run: int, n_runs: int) -> None:
            if run == 2 and not self.killed:
                self.killed = True
                wait_for(lambda: len(runs(trace)) == 2, "the second run")
                os.kill(runs(trace)[-1]["pid"], signal.SIGKILL)

    sweep(*BOTH, "sweep.n_trials=1", "trainer.seconds=0.05", watcher=Kills())
    assert by_trial(trace) == [[(0, 0), (0, 1), (0, 1), *ALL[2:]]]
    assert_pooled(stored().trials[0], 3, 2)


def test_a_time_limit_between_two_runs_leaves_the_trial_for_a_resume(trace: Path) -> None:
    words = (*BOTH, "sweep.n_trials=1", "trainer.seconds=0.1")
    assert sweep(*words, "sweep.timeout_s=0.5").ending is Ending.BUDGET
    assert [t.outcome for t in stored().trials] == [Outcome.RUNNING]
    sweep(*words, "sweep.timeout_s=null", extend=True)
    assert_pooled(stored().trials[0], 3, 2)
    ended = Counter(by_trial(trace, "end")[0])
    assert ended.total() <= len(ended) + 1, "one may have ended just as the limit struck"


# What a study is


@pytest.mark.parametrize("other", ["sweep.folds=4", "sweep.folds=null", "sweep.repeats=2"])
def test_a_study_cannot_go_on_with_other_folds_or_repeats(trace: Path, other: str) -> None:
    sweep("sweep.folds=2", "sweep.n_trials=1")
    with pytest.raises(StudyError, match=other.split("=")[0]):
        sweep("sweep.folds=2", other, "sweep.n_trials=2", extend=True)


# Refused and remarked


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sweep.folds=1", "sweep.folds is 1, expected 2 to 1,000 folds"),
        ("sweep.repeats=0", "sweep.repeats is 0, expected 1 to 1,000 repeats"),
    ],
)
def test_a_number_of_runs_that_makes_no_sense_is_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_plan("cheap", [override])


def test_screening_does_not_go_with_several_runs(trace: Path) -> None:
    with pytest.raises(ConfigError, match=r"a trial of 3 runs .* sweep/pruner=median"):
        sweep("sweep.folds=3", "sweep/pruner=screening", "trainer.epochs=5")
    assert not Path("results").exists()


def test_a_trial_function_that_does_not_say_it_knows_folds_is_refused_them(
    project: Project,
) -> None:
    with pytest.raises(ConfigError, match=r"sweep_trials\.quadratic does not say .* sweep.repeats"):
        sweep("sweep.folds=3")
    assert not Path("results").exists()
    assert len(sweep("sweep.repeats=2", "sweep.n_trials=2").study.complete) == 2


def test_repeats_that_change_nothing_are_said_once(trace: Path) -> None:
    watcher = Remarks()
    sweep("sweep.repeats=2", "sweep.n_trials=3", "trainer.deterministic=true", watcher=watcher)
    (said,) = [text for text in watcher.said if "repeats" in text]
    assert said.startswith("all 2 repeats of trial 0 gave the same values")


def test_a_validation_split_of_ones_own_is_said_not_to_be_used() -> None:
    own = ["sweep.folds=3", "data.validation_split=0.3"]
    assert any(
        "data.validation_split=0.3 is not used" in note for note in make_plan("cheap", own).notes
    )
    for other in (own[:1], own[1:]):
        assert not any("validation_split" in note for note in make_plan("cheap", other).notes)
