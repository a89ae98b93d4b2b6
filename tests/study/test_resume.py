"""A sweep that stopped, was killed or was changed: what the same command makes of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sweeping import (
    assert_whole,
    let_all_pass,
    let_pass,
    point,
    points,
    runs,
    stored,
    sweep,
    wait_to_say,
    workers_of,
)

import besom
from besom.errors import BesomError, StudyError
from besom.store.records import Outcome
from besom.store.test_set_log import log_opening, read_openings
from besom.study.run import Ending
from besom.study.watcher import Watcher
from user_project import Project, some_long, wait_for

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

SLOW = ("trainer.seconds=0.1", "trainer.epochs=4")


def start(project: Project, *overrides: str) -> tuple[subprocess.Popen[str], Path]:
    """Start the sweep in a process of its own; returns it and the trace of its trials."""
    trace = project.root / "trace"
    return project.spawn("sweep", "cheap", f"trainer.trace={trace}", *SLOW, *overrides), trace


def again(project: Project, *overrides: str, **flags: bool) -> None:
    """The same command once more, in this process."""
    sweep(f"trainer.trace={project.root / 'trace'}", *SLOW, *overrides, **flags)


# Killed


def test_a_killed_worker_is_replaced_and_its_trial_runs_again(project: Project) -> None:
    trace, victims = project.root / "trace", list[dict[str, Any]]()

    def kill() -> None:
        wait_for(lambda: len(runs(trace)) == 2, "the second trial")
        victims.append(runs(trace)[-1])
        os.kill(victims[0]["pid"], signal.SIGKILL)

    with meanwhile(kill):
        again(project, "sweep.n_trials=4")
    assert len(assert_whole(4).complete) == 4
    assert [point(run) for run in runs(trace)].count(point(victims[0])) == 2


def test_all_workers_killed_at_once_cost_no_trial(project: Project) -> None:
    trace, n_killed = project.root / "trace", list[int]()

    def kill() -> None:
        wait_for(lambda: len(runs(trace)) == 3, "a third trial")
        workers = workers_of(os.getpid())
        for worker in workers:
            worker.kill()
        n_killed.append(len(workers))

    with meanwhile(kill):
        again(project, "sweep.n_trials=6", "sweep.executor.workers=2")
    assert n_killed == [2]
    assert len(assert_whole(6).complete) == 6


@contextlib.contextmanager
def meanwhile(happens: Callable[[], None]) -> Iterator[None]:
    """Let something happen to the sweep of this process after its first trial: others are held."""

    def while_held() -> None:
        try:
            happens()
        finally:
            let_all_pass()

    let_pass(1)
    thread = threading.Thread(target=while_held)
    thread.start()
    yield
    thread.join()


def test_a_killed_coordinators_workers_are_gone_and_its_trials_run_again_in_place(
    project: Project,
) -> None:
    """Killed twice, so that a resumed sweep is resumed, too."""
    overrides = ("sweep.n_trials=7", "sweep.executor.workers=2")
    kill_in_mid_trial(project, 2, *overrides)
    kill_in_mid_trial(project, 4, *overrides)
    let_all_pass()
    before, trace = stored(), project.root / "trace"
    finished = [t for t in before.trials if t.outcome is Outcome.COMPLETE]
    running = [t for t in before.trials if t.outcome is Outcome.RUNNING]
    assert finished
    assert running
    ran_before = [point(run) for run in runs(trace)]
    again(project, *overrides)
    after = assert_whole(7)
    assert len(after.complete) == 7
    for trial in finished:
        assert after.trials[trial.number] == trial
    at = points(after)
    for trial in running:
        assert at[trial.number] in ran_before, "other params than those it was running with"
        assert trial.raw_params == after.trials[trial.number].raw_params


def kill_in_mid_trial(project: Project, n_finished: int, *overrides: str) -> None:
    """SIGKILL a coordinator when so many trials have ended in all, and two more are held.

    What runs when it is killed begins once more: after two of these, 8 have begun and 4 ended.
    """
    let_pass(2)
    process, trace = start(project, *overrides)
    try:
        wait_for(
            lambda: len(runs(trace, "end")) == n_finished and len(runs(trace)) == 2 * n_finished,
            "running trials",
        )
        workers = workers_of(process.pid)
        assert len(workers) == 2
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not any(map(psutil.Process.is_running, workers)), "the workers to end")


def test_a_journal_whose_last_line_was_cut_continues(project: Project) -> None:
    sweep("sweep.n_trials=3")
    journal = Path("results/cheap/study.journal")
    journal.write_bytes(journal.read_bytes()[:-10])
    sweep("sweep.n_trials=3")
    assert len(assert_whole(3).complete) == 3


def test_a_resumed_sampler_does_not_replay_its_suggestions(project: Project) -> None:
    for sampler in ("random", "tpe"):
        name = f"sweep.name={sampler}"
        sweep(name, f"sweep/sampler={sampler}", "sweep.n_trials=4")
        sweep(name, f"sweep/sampler={sampler}", "sweep.n_trials=8", extend=True)
        assert len(set(points(assert_whole(8, sampler)))) == 8


def test_no_more_workers_start_than_trials_are_left(project: Project) -> None:
    class Listener(Watcher):
        def began(self, study: object, n_trials: int, n_workers: int) -> None:
            started_workers.append(n_workers)

    started_workers: list[int] = []
    workers = "sweep.executor.workers=2"
    sweep("sweep.n_trials=3", workers, watcher=Listener())
    sweep("sweep.n_trials=4", workers, watcher=Listener(), extend=True)
    assert len(assert_whole(4).complete) == 4
    assert started_workers == [2, 1]


# Stopped


@pytest.mark.parametrize("signum", some_long([signal.SIGINT, signal.SIGTERM], [signal.SIGINT]))
def test_a_signal_stops_at_the_end_of_the_epoch_and_keeps_the_trial_for_later(
    project: Project, signum: signal.Signals
) -> None:
    overrides = ("sweep.n_trials=3", "sweep.plots=true")
    let_pass(1)
    process, trace = start(project, *overrides)
    wait_for(lambda: len(runs(trace)) == 2, "the second trial")
    process.send_signal(signum)
    wait_to_say(process, f"stopping after the running epochs ({signum.name} received)")
    let_all_pass()
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    study = stored()
    assert [t.outcome for t in study.trials] == [Outcome.COMPLETE, Outcome.RUNNING]
    for path in ("leaderboard.csv", "leaderboard.md", "best.yaml", "plots"):
        assert (Path("results/cheap") / path).exists(), path
    interrupted = runs(trace)[1]
    again(project, *overrides)
    after = assert_whole(3)
    assert len(after.complete) == 3
    assert points(after)[1] == point(interrupted)
    assert len(runs(trace)) == 4


TWO_SWEEPS = """
import besom
for name in ("first", "second"):
    words = ["trainer.seconds=0.2", "trainer.trace=trace", "sweep.n_trials=50"]
    besom.sweep("cheap", [*words, f"sweep.name={name}"])
"""


@pytest.mark.long
def test_from_python_a_signal_ends_the_script_that_sweeps_too(project: Project) -> None:
    command = [sys.executable, "-c", TWO_SWEEPS]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(runs(project.root / "trace")) >= 2, "the second trial")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt: SIGINT received" in err
    assert Path("results/first/leaderboard.md").exists()
    assert not Path("results/second").exists()


def test_from_python_a_sweep_without_any_success_is_an_error(project: Project) -> None:
    broken = ["trainer.fault=raise", "sweep.max_failures=2"]
    with pytest.raises(BesomError, match=r"No trial of cheap has succeeded; .*leaderboard\.md"):
        besom.sweep("cheap", broken)


def test_two_signals_stop_at_once(project: Project) -> None:
    process, trace = start(project, "trainer.seconds=300")
    wait_for(lambda: runs(trace), "the first trial")
    process.send_signal(signal.SIGINT)
    wait_to_say(process, "stopping")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)  # after one signal, an epoch is waited for for 60 s
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [t.outcome for t in stored().trials] == [Outcome.RUNNING]


@pytest.mark.parametrize("signum", some_long([signal.SIGINT, signal.SIGTERM], [signal.SIGTERM]))
def test_a_signal_while_the_workers_get_ready_leaves_nothing_behind(
    project: Project, signum: signal.Signals
) -> None:
    project.write(
        "slow_to_import.py", "import time\ntime.sleep(300)\nfrom sweep_trials import quadratic\n"
    )
    process = project.spawn("sweep", "cheap", "sweep.trial_function=slow_to_import.quadratic")
    wait_for(lambda: workers_of(process.pid), "a worker")
    time.sleep(0.2)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not Path("results").exists()


# One coordinator


def test_a_second_coordinator_is_told_who_has_the_study(project: Project) -> None:
    let_pass(0)
    process, trace = start(project, "sweep.n_trials=1")
    wait_for(lambda: runs(trace), "the first trial")
    words = (f"trainer.trace={trace}", *SLOW, "sweep.n_trials=1")
    refused = project.besom("sweep", "cheap", *words)
    fresh = project.besom("sweep", "cheap", "--fresh")
    let_all_pass()
    assert refused.exit_code == 2
    assert f"process {process.pid} on " in refused.output
    assert " since " in refused.output
    assert fresh.exit_code == 2
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(assert_whole(1).complete) == 1


def test_a_lock_file_without_its_process_is_no_lock(project: Project) -> None:
    sweep("sweep.n_trials=1")
    Path("results/cheap/coordinator.lock").write_text(
        json.dumps({"host": "elsewhere", "pid": 1, "since": 1.0})
    )
    sweep("sweep.n_trials=2", extend=True)
    assert_whole(2)


# The same command again


def test_a_finished_sweep_given_again_starts_no_worker(project: Project) -> None:
    first = sweep("sweep.n_trials=2")
    shutil.rmtree("results/cheap/logs")
    second = sweep("sweep.n_trials=2")
    assert second.study.trials == first.study.trials
    assert (second.ending, second.exit_code) == (Ending.DONE, 0)
    assert not Path("results/cheap/logs").exists()


def test_a_changed_task_is_refused_with_each_value_that_changed(project: Project) -> None:
    sweep("sweep.n_trials=1")
    before = Path("results/cheap/study.journal").read_bytes()
    changes = ("optimizer=sgd", "trainer.epochs=9", "sweep.objective.epoch=last")
    for flags in ({}, {"extend": True}):
        with pytest.raises(StudyError) as caught:
            sweep("sweep.n_trials=1", *changes, **flags)
        message = str(caught.value)
        assert "trainer.epochs: 3 -> 9" in message
        assert 'sweep.objective.epoch: "best" -> "last"' in message
        assert '"keras.optimizers.Adam" -> "keras.optimizers.SGD"' in message
        for remedy in ("Undo the change", "sweep.name=NAME", "--fresh"):
            assert remedy in message
    assert Path("results/cheap/study.journal").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "sweep.space.model.dropout.high=0.4",
        "sweep/sampler=tpe",
        "sweep/pruner=median",
        "seed=5",
        "sweep.vary_seed=true",
        "data.validation_split=0.3",
        "sweep.trial_function=sweep_trials.other",
    ],
)
def test_what_makes_values_incomparable_is_a_change_of_the_task(
    project: Project, change: str
) -> None:
    from besom.store import study_identity
    from besom.study import make_plan

    old, new = make_plan("cheap").config, make_plan("cheap", [change]).config
    with pytest.raises(StudyError, match="made with a different config"):
        study_identity.check_same_task("cheap", old, new, extend=True)


def test_a_nan_in_the_config_is_no_change_of_the_task(project: Project) -> None:
    sweep("+trainer.fill=nan", "sweep.n_trials=1")
    assert sweep("+trainer.fill=nan", "sweep.n_trials=1").ending is Ending.DONE
    with pytest.raises(StudyError, match=r"trainer\.fill: NaN -> 1"):
        sweep("+trainer.fill=1", "sweep.n_trials=1")


def test_a_larger_budget_needs_the_word_extend(project: Project) -> None:
    sweep("sweep.n_trials=1")
    with pytest.raises(StudyError) as caught:
        sweep("sweep.n_trials=3", "sweep.executor.workers=2")
    assert "sweep.n_trials" in str(caught.value) or "n_trials: 1 -> 3" in str(caught.value)
    assert "--extend" in str(caught.value)
    sweep("sweep.n_trials=3", "sweep.executor.workers=2", extend=True)
    assert_whole(3)
    with pytest.raises(StudyError, match="takes a larger budget"):
        sweep("sweep.n_trials=2", extend=True)


def test_an_extension_is_what_the_next_command_continues(project: Project) -> None:
    sweep("sweep.n_trials=1")
    sweep("sweep.n_trials=2", extend=True)
    sweep("sweep.n_trials=2")
    assert_whole(2)


def test_another_folder_or_name_of_the_results_is_no_change_of_the_task(project: Project) -> None:
    sweep("sweep.n_trials=1")
    Path("results").rename("moved")
    sweep("sweep.n_trials=1", "results_dir=moved")
    assert not Path("results").exists()


def test_changed_data_is_refused(project: Project) -> None:
    sweep("sweep.n_trials=1", "+data.fingerprint=one")
    with pytest.raises(StudyError, match="a different config"):
        sweep("sweep.n_trials=1", "+data.fingerprint=two")


def test_data_that_changed_under_the_same_config_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        "their_trials.py",
        "import os, sweep_trials\nfrom sweep_trials import quadratic\n"
        "def prepare(config):\n"
        "    return {'data': {'fingerprint': os.environ['FINGERPRINT']}}\n",
    )
    monkeypatch.syspath_prepend(str(project.root))
    theirs = "sweep.trial_function=their_trials.quadratic"
    monkeypatch.setenv("FINGERPRINT", "aa")
    sweep(theirs, "sweep.n_trials=1")
    monkeypatch.setenv("FINGERPRINT", "bb")
    with pytest.raises(StudyError, match="fingerprint was aa, now it is bb"):
        sweep(theirs, "sweep.n_trials=2", extend=True)
    assert len(stored().trials) == 1


def test_fresh_archives_the_old_study_whole(project: Project) -> None:
    sweep("sweep.n_trials=2")
    old = stored()
    journal = Path("results/cheap/study.journal").read_bytes()
    for _ in range(2):
        sweep("sweep.n_trials=1", "trainer.epochs=2", fresh=True)
    assert_whole(1)
    archived = sorted(Path("results/archive").iterdir())
    assert len(archived) == 2
    assert all(path.name.startswith("cheap-") for path in archived)
    assert journal in [(path / "study.journal").read_bytes() for path in archived]
    assert len(old.trials) == 2


def test_fresh_forgets_no_opening_of_the_test_images(project: Project) -> None:
    sweep("sweep.n_trials=1")
    folder = Path("results/cheap")
    log_opening(folder, "cheap", trial=0, seed=7, command="confirm")
    sweep("sweep.n_trials=1", "trainer.epochs=2", fresh=True)
    assert [o.seed for o in read_openings(folder)] == [7]
    (archived,) = Path("results/archive").iterdir()
    assert read_openings(archived) == read_openings(folder)


def test_fresh_on_a_study_that_is_not_there_just_begins(project: Project) -> None:
    sweep("sweep.n_trials=1", fresh=True)
    assert_whole(1)
    assert not Path("results/archive").exists()


def test_a_damaged_journal_is_refused_and_fresh_archives_it(project: Project) -> None:
    sweep("sweep.n_trials=1")
    journal = Path("results/cheap/study.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], b"damage\n", *lines[2:]]))
    with pytest.raises(StudyError, match="line 3 is not a journal record"):
        sweep("sweep.n_trials=1")
    sweep("sweep.n_trials=1", fresh=True)
    assert_whole(1)
    archived = next(Path("results/archive").iterdir())
    assert b"damage\n" in (archived / "study.journal").read_bytes()
