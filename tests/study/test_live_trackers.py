"""``sweep.trackers`` and ``sweep.notify``: what a sweep tells others, and what cannot stop it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

import psutil
import pytest
from sweeping import assert_whole, let_all_pass, let_pass, stored, sweep, wait_to_say

import besom
from besom.cli import main
from besom.errors import ConfigError, TrustError
from besom.store.records import Outcome, TrialRecord
from besom.study import live_trackers
from besom.study.watcher import Watcher
from besom.trackers import TRACKERS as TRACKERS_KNOWN
from besom.trackers import TrackedStudy, open_tracker
from tensorboard_runs import points, read_run
from user_project import Project, wait_for

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

TRACKERS = Path("results/cheap/trackers")


class Listener(Watcher):
    """Keeps what a sweep remarks."""

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def remarked(self, text: str) -> None:
        self.remarks.append(text)


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def written() -> list[str]:
    return sorted(path.name for path in (TRACKERS / "tensorboard").glob("trial-*"))


def test_each_trial_of_a_sweep_goes_to_its_trackers(project: Project) -> None:
    sweep("sweep.trackers=[tensorboard]", "sweep.n_trials=3")
    assert_whole(3)
    assert written() == ["trial-0", "trial-1", "trial-2"]
    assert (TRACKERS / "tensorboard/events.out.tfevents.besom").exists()
    for trial in stored().trials:
        run = read_run(TRACKERS / "tensorboard" / f"trial-{trial.number}")
        for metric, values in trial.history.items():
            assert [step for step, _ in points(run, metric)] == [*range(1, len(values) + 1)]
            assert [value for _, value in points(run, metric)] == pytest.approx(values)


def test_the_runs_of_a_trial_are_not_taken_for_epochs_of_their_trials(project: Project) -> None:
    sweep("sweep.trackers=[tensorboard]", "sweep.n_trials=2", "sweep.repeats=2")
    for trial in stored().trials:
        run = read_run(TRACKERS / "tensorboard" / f"trial-{trial.number}")
        assert [step for step, _ in points(run, "val_accuracy")] == [1, 2, 3]


def test_a_sweep_that_continues_writes_what_a_new_tracker_lacks(project: Project) -> None:
    sweep("sweep.n_trials=2")
    assert not TRACKERS.exists()
    sweep("sweep.n_trials=2", "sweep.trackers=[tensorboard]")
    assert written() == ["trial-0", "trial-1"]
    sweep("sweep.n_trials=3", "sweep.trackers=[tensorboard]", extend=True)
    assert written() == ["trial-0", "trial-1", "trial-2"]


def test_a_tracker_that_fails_is_mentioned_once_and_stops_nothing(project: Project) -> None:
    TRACKERS.mkdir(parents=True)
    (TRACKERS / "tensorboard").write_text("in the way of the folder")
    heard = Listener()
    outcome = sweep("sweep.trackers=[tensorboard]", "sweep.n_trials=4", watcher=heard)
    assert outcome.exit_code == 0
    assert_whole(4)
    (remark,) = [text for text in heard.remarks if "tracker" in text]
    assert remark.startswith("the tracker tensorboard failed and gets no more trials: ")
    assert remark.endswith("Later, `besom export cheap --to tensorboard` writes all of it")
    assert "besom-tensorboard" not in names_of_threads()


def tracker_processes() -> list[psutil.Process]:
    """The processes that trackers write in."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie's, too
            if "besom.trackers.tracker_main" in process.cmdline():
                found.append(process)
    return found


class Stopper(Listener):
    """Suspends the process of the tracker when the first trial has ended."""

    def finished(self, trial: TrialRecord) -> None:
        if trial.number == 0:
            wait_for(tracker_processes, "the tracker to be started")
            tracker_processes()[0].suspend()


def test_a_tracker_that_hangs_holds_up_no_trial_and_the_end_not_for_long(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_trackers, "GRACE_S", 0.2)
    heard = Stopper()
    sweep("sweep.trackers=[tensorboard]", "sweep.n_trials=3", watcher=heard)
    assert_whole(3)
    assert [text for text in heard.remarks if "tracker" in text] == [
        "the tracker tensorboard has not written everything. Later, `besom export cheap --to "
        "tensorboard` writes all of it"
    ]
    assert "besom-tensorboard" not in names_of_threads()
    assert not tracker_processes()


def test_a_signal_ends_the_wait_for_a_tracker_and_the_sweep_is_done(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_trackers, "_SAY_AFTER_S", 0.0)

    class Impatient(Stopper):
        def remarked(self, text: str) -> None:
            super().remarked(text)
            if text.startswith("waiting for tensorboard to write what is left, at most 60 s"):
                signal.raise_signal(signal.SIGINT)

    heard = Impatient()
    outcome = sweep("sweep.trackers=[tensorboard]", "sweep.n_trials=2", watcher=heard)
    assert outcome.exit_code == 0
    assert heard.remarks[-1].startswith("the tracker tensorboard has not written everything.")


def test_a_tracker_whose_process_is_killed_is_mentioned_once(project: Project) -> None:
    class Killer(Listener):
        def finished(self, trial: TrialRecord) -> None:
            if trial.number == 0:
                wait_for(tracker_processes, "the tracker to be started")
                tracker_processes()[0].kill()

    heard = Killer()
    sweep("sweep.trackers=[tensorboard]", "sweep.n_trials=3", watcher=heard)
    assert_whole(3)
    (remark,) = [text for text in heard.remarks if "tracker" in text]
    assert "its process is gone (killed by SIGKILL). Later, `besom export" in remark


@pytest.mark.long
def test_a_server_that_does_not_answer_holds_up_no_trial_and_the_end_not_for_long(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setattr(live_trackers, "GRACE_S", 0.2)
        heard = Listener()
        sweep("sweep.trackers=[mlflow]", "sweep.n_trials=3", watcher=heard)
        assert_whole(3)
        assert [text for text in heard.remarks if "tracker" in text] == [
            "the tracker mlflow has not written everything. Later, `besom export cheap --to "
            "mlflow` writes all of it"
        ]
    wait_for(lambda: "besom-mlflow" not in names_of_threads(), "the request to end", 60.0)


@pytest.mark.long
def test_an_interrupted_sweep_still_writes_the_trials_that_have_ended(project: Project) -> None:
    let_pass(5)  # trackers are slower than these trials
    words = ("cheap", "sweep.trackers=[tensorboard,mlflow,wandb]", "sweep.n_trials=500")
    process = project.spawn("sweep", *words, "trainer.seconds=0.05", start_new_session=True)
    wait_for(lambda: len([*TRACKERS.glob("wandb/offline-run-*")]) > 1, "two runs of W&B", 60.0)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
    wait_to_say(process, "SIGINT received")
    let_all_pass()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, f"{out}{err}"
    assert "tracker" not in out + err
    ended = {t.number for t in stored().trials if t.outcome is not Outcome.RUNNING}
    assert len(ended) > 1
    for name in ("tensorboard", "mlflow", "wandb"):
        tracker = open_tracker(name, TrackedStudy.of(stored()), TRACKERS)
        assert {number for number in range(500) if tracker.has(number)} == ended


def test_a_tracker_that_is_no_list_is_refused_with_how_to_write_one(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.trackers takes a list: write \[a\] for one"):
        sweep("sweep.trackers=tensorboard")


def test_an_unknown_tracker_is_refused_before_anything_is_written(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.trackers: there is no tracker 'tensorbord'"):
        sweep("sweep.trackers=[tensorbord]")
    assert not Path("results").exists()


def test_what_is_tracked_and_notified_may_change_without_extend(project: Project) -> None:
    sweep("sweep.n_trials=2", "sweep.notify=true")
    sweep("sweep.n_trials=2", "sweep.trackers=[tensorboard]")


def test_export_writes_a_finished_study_to_a_tracker(project: Project) -> None:
    sweep("sweep.n_trials=2")
    said = project.done("export", "cheap", "--to", "tensorboard")
    assert said == "2 trials of cheap: tensorboard --logdir results/cheap/trackers/tensorboard\n"
    project.done("export", "cheap", "--to", "tensorboard", "--trial", "1", "-o", "elsewhere")
    assert [p.name for p in Path("elsewhere/tensorboard").glob("trial-*")] == ["trial-1"]
    assert open_tracker("tensorboard", TrackedStudy.of(stored()), TRACKERS).has(1)
    both = project.besom("export", "cheap", "--to", "tensorboard", "--model")
    assert both.exit_code == 2
    assert "--model and --to write different files" in both.output


@pytest.mark.long
def test_a_tracker_that_cannot_be_opened_is_one_message_of_export(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep("sweep.n_trials=1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://me:secret@here")
    done = project.besom("export", "cheap", "--to", "mlflow")
    assert done.exit_code == 2
    assert done.output.startswith("besom: mlflow failed: ")
    assert "nonsense" in done.output
    assert "secret" not in done.output


def test_export_knows_the_trackers_without_loading_them(project: Project) -> None:
    option = next(o for o in main.commands["export"].params if o.name == "to")
    assert option.type.choices == tuple(TRACKERS_KNOWN)


# notify

NOTIFY = "sweep.notify='env | grep ^BESOM_ | sort > told'"
TRUST = ("--trust", "sweep.notify")


def told() -> dict[str, str]:
    lines = Path("told").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_users_command_hears_how_a_sweep_ended(project: Project) -> None:
    project.done("sweep", "cheap", NOTIFY, "sweep.n_trials=3", "--quiet", *TRUST)
    best = max(stored().complete, key=lambda t: t.value or 0.0)
    heard = told()
    assert heard["BESOM_OUTCOME"] == "done"
    assert heard["BESOM_STUDY"] == "cheap"
    assert heard["BESOM_EXIT_CODE"] == "0"
    assert heard["BESOM_TRIALS"] == "3"
    assert heard["BESOM_METRIC"] == stored().objective.metric
    assert float(heard["BESOM_BEST_SCORE"]) == best.value
    assert heard["BESOM_BEST_TRIAL"] == str(best.number)
    assert Path(heard["BESOM_FOLDER"]) == Path("results/cheap").resolve()


def test_python_runs_the_command_too(project: Project) -> None:
    nodes = {"n_trials": 2, "trackers": ["tensorboard"], "progress": False}
    besom.sweep("cheap", notify="echo $BESOM_OUTCOME > told", trust=["sweep.notify"], **nodes)
    assert Path("told").read_text() == "done\n"
    assert written() == ["trial-0", "trial-1"]
    with pytest.raises(TrustError, match=r"pass --trust sweep\.notify"):
        besom.sweep("cheap", notify="touch refused", n_trials=2)
    assert not Path("refused").exists()


def test_the_users_command_hears_of_an_error_too(project: Project) -> None:
    done = project.besom("sweep", "cheap", NOTIFY, "trainer.unprepared=no data", *TRUST)
    assert done.exit_code == 2
    heard = told()
    assert heard["BESOM_OUTCOME"] == "error"
    assert heard["BESOM_EXIT_CODE"] == "2"
    assert "no data" in heard["BESOM_REASON"]
    assert "BESOM_BEST_SCORE" not in heard


def test_a_command_that_fails_is_mentioned_and_changes_nothing(project: Project) -> None:
    said = project.done("sweep", "cheap", "sweep.notify='exit 3'", "sweep.n_trials=2", *TRUST)
    assert "sweep.notify ended with exit code 3: exit 3" in said


def test_ctrl_c_ends_the_command_and_changes_nothing_of_the_sweep(project: Project) -> None:
    """The signal goes to the sweep's own process, while the command runs."""
    command = "sweep.notify='kill -INT $PPID; sleep 60'"
    done = project.run("sweep", "cheap", command, "sweep.n_trials=1", *TRUST)
    assert done.returncode == 0
    assert "sweep.notify was interrupted: kill -INT" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_command_in_a_config_runs_only_if_the_user_trusts_it(
    project: Project, options: tuple[str, ...]
) -> None:
    done = project.besom("sweep", "cheap", NOTIFY, *options)
    assert done.exit_code == 2
    assert "pass --trust sweep.notify" in done.output
    assert not Path("told").exists()
    assert not Path("results").exists()
