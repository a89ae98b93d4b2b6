"""Whole sweeps on Ray: on a played cluster where nodes come and go, and on a real Ray."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest
from sweeping import assert_whole, let_all_pass, let_pass, runs, stored, sweep

from besom.errors import BesomError
from besom.executors.base import Epoch, Event, Executor, Failed, FailureKind, Finished
from besom.executors.ray import RayExecutor
from besom.executors.run_loop import LOSSES, RunLoop, TrialSource, TrialTask
from besom.executors.stop import Ending
from besom.seam import TrialResult
from besom.store.records import Outcome
from besom.study.watcher import Watcher
from user_project import CHEAP_SWEEP, Project, wait_for

TESTS = str(Path(__file__).parents[1])
LOST, DIED = FailureKind.NODE_LOST, FailureKind.WORKER_DIED
IDLE = FailureKind.NOT_BEGUN


class OneAtATime(Executor):
    """One worker whose trials end as the script says."""

    n_workers = 1

    def __init__(self, *ends: FailureKind | None) -> None:
        self.ends, self.waiting = list(ends), list[Event]()

    @property
    def idle(self) -> int:
        return 1 - len(self.waiting)

    def submit(self, trial, config, timeout_s=None) -> None:
        kind = self.ends.pop(0)
        ended = Finished(trial, 0, TrialResult(), usage=None)  # type: ignore[arg-type]
        self.waiting = [ended if kind is None else Failed(trial, 0, kind, kind.value)]

    def events(self, timeout_s=None) -> list[Event]:
        events, self.waiting = self.waiting, []
        return events


class OneTrial(TrialSource):
    def __init__(self) -> None:
        self.left, self.retries, self.ended = 1, list[str](), list[Finished | Failed]()

    def has_next(self) -> bool:
        return self.left > 0

    def next_trial(self) -> TrialTask:
        self.left -= 1
        return TrialTask(0, {})

    def on_retry(self, trial: int, reason: str) -> None:
        self.retries.append(reason)

    def on_ended(self, event, was_stopped) -> None:
        self.ended.append(event)


@pytest.mark.parametrize(
    ("ends", "n_retries", "kind"),
    [
        ((LOST,) * LOSSES + (None,), LOSSES, None),
        ((LOST,) * (LOSSES + 1), LOSSES, LOST),
        ((IDLE, DIED, IDLE, None), 3, None),
        ((IDLE,) * (LOSSES + 1), LOSSES, IDLE),
        ((LOST, DIED, LOST, None), 3, None),
        ((DIED, LOST, DIED), 2, DIED),
    ],
)
def test_a_lost_node_or_a_worker_that_died_idle_does_not_use_up_a_trials_one_retry(
    ends, n_retries, kind
) -> None:
    source = OneTrial()
    assert RunLoop(OneAtATime(*ends), source).run() is Ending.DONE
    assert len(source.retries) == n_retries
    assert [getattr(event, "kind", None) for event in source.ended] == [kind]


class Collapsing(OneAtATime):
    """The cluster ends while a trial runs, just when a signal has come."""

    stop = staticmethod(lambda: None)

    def submit(self, trial, config, timeout_s=None) -> None:
        self.waiting = [Epoch(trial, 0, 1, {})]

    def events(self, timeout_s=None) -> list[Event]:
        self.stop()
        raise BesomError("The connection to Ray was lost")


def test_a_signal_that_also_ends_the_cluster_ends_the_sweep_in_good_order() -> None:
    kept = list[int]()
    source, executor = OneTrial(), Collapsing()
    source.on_interrupted = kept.append  # type: ignore[method-assign]
    loop = RunLoop(executor, source)
    executor.stop = lambda: loop.stop.interrupt("SIGTERM received")
    assert loop.run() is Ending.INTERRUPTED
    assert kept == [0]
    with pytest.raises(BesomError, match="was lost"):
        RunLoop(Collapsing(), OneTrial()).run()


# A played cluster


class FakeRay(RayExecutor):
    driver = "fake_ray_driver"


@pytest.fixture
def nodes(project: Project, monkeypatch: pytest.MonkeyPatch, no_orphans: str) -> Path:
    paths = os.pathsep.join([TESTS, str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", paths)
    monkeypatch.setenv("BESOM_FAKE_RAY", str(project.root))
    nodes = project.root / "nodes.json"
    nodes.write_text('{"a": 1, "b": 1}')
    return nodes


class Notes(Watcher):
    def __init__(self) -> None:
        self.nodes, self.retries = dict[int, str](), list[str]()
        self.at_epoch = self.at_retry = lambda: None
        self.trained = set[int]()

    def placed(self, worker, node) -> None:
        self.nodes[worker] = node

    def epoch(self, trial, worker, epoch, metrics) -> None:
        self.trained.add(worker)
        self.at_epoch()

    def retried(self, trial, reason) -> None:
        self.retries.append(reason)
        self.at_retry()


def test_a_sweep_loses_no_trial_with_a_node(nodes: Path) -> None:
    notes, only_a = Notes(), nodes.with_name("only-a.json")
    only_a.write_text('{"a": 1}')
    let_pass(0)  # until node b is lost, in the midst of a trial

    def lose_b() -> None:
        if len(notes.trained) == 2 and only_a.exists():
            only_a.replace(nodes)

    notes.at_epoch, notes.at_retry = lose_b, let_all_pass
    words = ("sweep.n_trials=6", "trainer.seconds=0.05")
    sweep(*words, watcher=notes, executor=FakeRay("auto"))
    study = assert_whole(6)
    assert len(study.complete) == 6
    assert set(notes.nodes.values()) == {"a", "b"}
    assert notes.retries == ["its node b was lost (Ray notices that after 15 to 50 s)"]


def test_a_lost_cluster_is_one_error_and_a_resume_runs_what_is_left(nodes: Path) -> None:
    notes, end = Notes(), nodes.with_name("end")
    words = ("sweep.n_trials=6", "trainer.seconds=0.05")
    let_pass(2)

    def end_in_the_midst() -> None:
        if len(stored().complete) >= 2:
            end.touch()

    notes.at_epoch = end_in_the_midst
    with pytest.raises(BesomError, match="The connection to Ray was lost"):
        sweep(*words, watcher=notes, executor=FakeRay("auto"))
    assert [t for t in stored().trials if t.outcome is Outcome.RUNNING]
    end.unlink()
    let_all_pass()
    sweep(*words, executor=FakeRay("auto"))
    assert len(assert_whole(6).complete) == 6


# A real one


ON_RAY = CHEAP_SWEEP.replace("{workers: 1, gpus: none}", "{workers: 2}").replace(
    "  - override sweep/sampler", "  - override sweep/executor: ray\n  - override sweep/sampler"
)


@pytest.mark.long
def test_the_same_config_and_seeds_give_the_same_values_as_on_local(project, no_orphans) -> None:
    words = ("sweep.n_trials=6", "sweep.executor.workers=1")
    local = sweep(*words, "sweep.name=here").study
    project.write("sweeps/cheap.yaml", ON_RAY)
    on_ray = sweep(*words, "sweep.name=there").study
    assert len(assert_whole(6, "there").complete) == 6
    assert [t.history for t in on_ray.trials] == [t.history for t in local.trials]
    assert [t.values for t in on_ray.trials] == [t.values for t in local.trials]


def on_ray(project: Project, *words: str, **options):
    project.write("sweeps/cheap.yaml", ON_RAY)
    trace = project.root / "trace"
    words = ("sweep", "cheap", f"trainer.trace={trace}", "trainer.seconds=0.2", *words)
    process = project.spawn(*words, start_new_session=True, **options)
    wait_for(lambda: len(runs(trace)) > 2, "trials on Ray")
    return process, trace


@pytest.mark.long
@pytest.mark.parametrize("reach", ["its group", "every process"])
def test_a_sigterm_ends_the_sweep_in_good_order_whomever_it_reaches(
    project: Project, no_orphans: str, reach: str
) -> None:
    process, trace = on_ray(project, "sweep.n_trials=16")
    if reach == "every process":  # as a batch system sends it
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGTERM)
    (os.killpg if reach == "its group" else os.kill)(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False), (out, err)
    assert {t.outcome for t in stored().trials} == {Outcome.COMPLETE, Outcome.RUNNING}
    project.write("sweeps/cheap.yaml", CHEAP_SWEEP)  # what is left runs anywhere
    words = ("sweep.n_trials=16", f"trainer.trace={trace}", "trainer.seconds=0.2")
    sweep(*words, "sweep.executor.workers=2", extend=True)
    assert len(assert_whole(16).complete) == 16


@pytest.mark.long
def test_nothing_of_ray_outlives_a_killed_coordinator(project: Project, no_orphans: str) -> None:
    process, _ = on_ray(project, "sweep.n_trials=90")
    process.kill()
    process.communicate(timeout=30)


@pytest.mark.long
def test_a_killed_driver_is_one_message_and_exit_code_2(project: Project, no_orphans: str) -> None:
    process, _ = on_ray(project, "sweep.n_trials=90")
    (driver,) = psutil.Process(process.pid).children()
    driver.kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, (out, err)
    assert "The connection to Ray was lost" in err
    assert "Traceback" not in err
    assert "Ray" not in out  # its own words stay in its log
