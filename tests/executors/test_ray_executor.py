"""The Ray executor on a real Ray of its own: what its workers do, and how they end."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from besom.executors.base import Epoch, Failed, FailureKind, Finished, Ready, Started
from besom.executors.ray import RayExecutor
from executor_drive import Drive
from user_project import MARK, marked, wait_for

pytest.importorskip("ray")

pytestmark = pytest.mark.slow

DIED, ERROR = FailureKind.WORKER_DIED, FailureKind.ERROR


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def swarm(logs: Path) -> Iterator[Drive]:
    """Two workers on one Ray for all tests here: it takes ten seconds to start."""
    mark = os.environ[MARK] = uuid.uuid4().hex
    home, os.environ["HOME"] = os.environ["HOME"], str(logs)
    executor = RayExecutor(workers=2)
    try:
        executor.start("cheap_trials:named", {"name": "here"}, str(logs))
        drive = Drive(executor, patience_s=200.0)
        drive.warm_up()
        yield drive
    finally:
        executor.close()
        del os.environ[MARK]
        os.environ["HOME"] = home
    wait_for(lambda: not marked(mark), "no process of the tests to be left", timeout_s=60.0)


def run(swarm: Drive, function: str, timeout_s: float | None = None, **config) -> Finished | Failed:
    ended = swarm.run_one({"function": function, **config}, timeout_s=timeout_s)
    swarm.warm_up()
    return ended


def test_trials_report_epochs_and_return_results(swarm):
    ended = run(swarm, "quadratic", x=0.3, y=0.7)
    assert isinstance(ended, Finished)
    assert ended.result.history == {"val_accuracy": [0.5, 0.75, 0.875]}
    assert ended.usage.memory_bytes > 1e6
    assert [e.epoch for e in swarm.of(Epoch) if e.trial == ended.trial] == [1, 2, 3]
    assert swarm.of(Ready)[0].facts["name"] == "here"
    assert [e.node for e in swarm.of(Started)][-1] == ""  # all are on this machine


def test_nothing_is_written_to_the_users_home(swarm, logs):
    # (by itself Ray writes a token there, which later commands of the user's then have to give)
    assert not (logs / ".ray").exists()


def test_a_trial_that_is_told_to_stop_stops(swarm):
    swarm.stop_at = lambda epoch: epoch.epoch == 2
    ended = run(swarm, "quadratic")
    swarm.stop_at = lambda epoch: False
    assert isinstance(ended, Finished)
    assert len(ended.result.history["val_accuracy"]) == 2


FAULTS = {
    "raiser": (ERROR, "ValueError: no such layer"),
    "user_error": (ERROR, "The images are 28 x 28, the model expects 32 x 32."),
    "system_exit": (ERROR, "SystemExit: 3"),
    "wrong_type": (ERROR, "TypeError: the trial function returned a float, expected a"),
    "diverger": (FailureKind.DIVERGED, "loss is nan at epoch 2"),
    "exiter": (DIED, "ended with exit code 3"),
    "segfaulter": (DIED, "killed by SIGSEGV (segmentation fault)"),
    "killed": (DIED, "killed by SIGKILL"),
    "aborting_allocator": (DIED, "out of memory (killed by SIGABRT)"),
    "allocator": (FailureKind.OUT_OF_MEMORY, "out of memory (MemoryError)"),
}


@pytest.mark.parametrize("function", FAULTS)
def test_every_fault_is_what_it_is_on_local_and_a_worker_takes_trials_again(swarm, function):
    kind, reason = FAULTS[function]
    failed = run(swarm, function)
    assert isinstance(failed, Failed)
    assert failed.kind is kind
    assert failed.reason.startswith(reason)


def test_the_reason_a_worker_died_comes_with_what_the_trial_printed(swarm, logs):
    failed = run(swarm, "segfaulter")
    assert isinstance(failed, Failed)
    assert "about to read the null pointer" in failed.detail
    assert str(logs / f"worker-{failed.worker}.log") in failed.detail


def test_a_trial_past_its_time_is_killed_with_what_it_started(swarm):
    mark = os.environ[MARK]
    failed = run(swarm, "hanger_with_child", timeout_s=2.0)
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.reason) == (FailureKind.TIMEOUT, "ran longer than 2 s")
    assert not [p for p in marked(mark) if p.name() == "sleep"]


def has_ended(pid: int) -> bool:
    """Also of a process whose parent has yet to notice."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_an_actor_killed_from_outside_is_a_dead_worker(swarm):
    number = 900
    swarm.executor.submit(number, {"function": "slow_epochs", "epochs": 1000})
    swarm.listen(lambda: any(e.trial == number for e in swarm.of(Epoch)))
    worker = next(e.worker for e in swarm.of(Started) if e.trial == number)
    pid = [e.facts["pid"] for e in swarm.of(Ready) if e.worker == worker][-1]
    actor = psutil.Process(pid).parent()
    began = time.monotonic()
    os.kill(actor.pid, signal.SIGKILL)
    swarm.listen(lambda: any(e.trial == number for e in swarm.of(Failed)))
    assert time.monotonic() - began < 30.0  # the trial itself would run for 50 s
    failed = next(e for e in swarm.of(Failed) if e.trial == number)
    assert failed.kind is DIED
    assert failed.reason.startswith("its actor was killed or ended")
    swarm.warm_up()
    wait_for(lambda: has_ended(pid), "the actor's process to end")


def test_a_worker_computes_with_the_threads_of_its_option_and_sees_no_gpu(swarm):
    names = ["OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "CUDA_VISIBLE_DEVICES", "BESOM_WORKER"]
    ended = run(swarm, "environment", names=names)
    assert isinstance(ended, Finished)
    assert list(ended.result.environment.values()) == ["1", "1", "-1", str(ended.worker)]
