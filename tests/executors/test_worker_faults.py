"""What a coordinator is promised when trials, workers or the coordinator itself break.

Every test runs real processes, and ``no_orphans`` holds that none is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from besom.errors import BesomError
from besom.executors import pooled_executor, resources
from besom.executors.base import Epoch, Failed, FailureKind, Finished, Ready, Started
from besom.executors.local.executor import LocalExecutor
from besom.executors.local.worker_process import WorkerProcess
from user_project import marked, wait_for

TESTS = str(Path(__file__).parents[1])
DIED = FailureKind.WORKER_DIED


def fails_then_recovers(swarm, **options) -> Failed:
    """Run the broken trial, then see that a worker still (or again) takes trials."""
    failed = swarm.run_one(**options)
    assert isinstance(failed, Failed)
    swarm.warm_up()
    return failed


def process_of(swarm, worker) -> WorkerProcess:
    """What the coordinator holds of a worker: it tells what has not been listened to yet."""
    return swarm.executor._pool.slots[worker].process


def test_an_exception_is_an_error_with_its_traceback_and_the_worker_goes_on(drive):
    swarm = drive("raiser")
    failed = fails_then_recovers(swarm, config={"message": "first line\nsecond"})
    assert (failed.kind, failed.reason) == (FailureKind.ERROR, "ValueError: first line")
    assert "second" in failed.detail
    assert "in raiser" in failed.detail
    assert "worker.py" not in failed.detail
    assert len(swarm.pids()) == 1


def test_what_a_user_can_mend_is_an_error_in_its_own_words(drive):
    failed = fails_then_recovers(drive("user_error"))
    assert failed.reason == "The images are 28 x 28, the model expects 32 x 32."


def test_a_nan_at_epoch_2_is_divergence(drive):
    swarm = drive("diverger")
    failed = fails_then_recovers(swarm)
    assert (failed.kind, failed.reason) == (FailureKind.DIVERGED, "loss is nan at epoch 2")
    assert [epoch.epoch for epoch in swarm.of(Epoch)] == [1]
    assert len(swarm.pids()) == 1


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("system_exit", "SystemExit: 3"),
        ("wrong_type", "TypeError: the trial function returned a float, expected a"),
        ("unpicklable", r"TypeError: environment['lock'] is a _thread.lock: only dicts"),
    ],
)
def test_a_result_that_cannot_be_sent_is_an_error_and_the_worker_goes_on(drive, function, reason):
    swarm = drive(function)
    failed = fails_then_recovers(swarm)
    assert failed.kind is FailureKind.ERROR
    assert failed.reason.startswith(reason)
    assert len(swarm.pids()) == 1


@pytest.mark.parametrize("code", [0, 3])
def test_a_trial_that_ends_its_process_is_a_dead_worker_with_its_exit_code(drive, code):
    failed = fails_then_recovers(drive("exiter"), config={"code": code})
    assert (failed.kind, failed.reason) == (DIED, f"ended with exit code {code}")


def test_a_segmentation_fault_is_a_dead_worker_and_its_last_words_are_kept(drive):
    failed = fails_then_recovers(drive("segfaulter"))
    assert (failed.kind, failed.reason) == (DIED, "killed by SIGSEGV (segmentation fault)")
    assert "about to read the null pointer" in failed.detail
    assert "in segfaulter" in failed.detail


def test_a_hanging_trial_is_killed_at_its_limit_with_what_it_has_spawned(drive):
    swarm = drive("hanger_with_child")
    swarm.warm_up()
    start = time.monotonic()
    failed = swarm.run_one(timeout_s=0.5)
    assert 0.5 <= time.monotonic() - start < 5.0
    assert (failed.kind, failed.reason) == (FailureKind.TIMEOUT, "ran longer than 0.5 s")
    assert 0.5 <= failed.usage.seconds < 5.0
    swarm.warm_up()
    assert len(psutil.Process().children(recursive=True)) == 1


def test_a_result_that_came_in_time_counts_even_if_it_is_heard_too_late(drive, monkeypatch):
    busy_s = 0.0
    clock = lambda: time.monotonic() + busy_s  # noqa: E731
    monkeypatch.setattr(pooled_executor, "SuspendAwareClock", lambda: clock)
    swarm = drive("sleeper")
    swarm.warm_up()
    swarm.executor.submit(0, {"seconds": 0.05}, timeout_s=300.0)
    wait_for(process_of(swarm, 0).waits, "the result")
    busy_s = 600.0  # so long the coordinator does not listen
    swarm.listen(lambda: bool(swarm.of(Finished)))
    assert swarm.of(Failed) == []


def test_a_trial_that_runs_out_of_memory_says_so_and_its_worker_is_replaced(drive):
    swarm = drive("allocator")
    failed = fails_then_recovers(swarm)
    assert failed.kind is FailureKind.OUT_OF_MEMORY
    assert failed.reason.startswith("out of memory (MemoryError")
    assert len(swarm.pids()) == 2  # the limit it set died with it


def test_an_abort_for_want_of_memory_is_named(drive):
    failed = fails_then_recovers(drive("aborting_allocator"))
    assert (failed.kind, failed.reason) == (DIED, "out of memory (killed by SIGABRT)")


def test_the_kernels_out_of_memory_killer_is_named_once_for_each_kill(drive, monkeypatch):
    before = resources.oom_kills()
    swarm = drive("killed")
    swarm.warm_up()
    monkeypatch.setattr(resources, "oom_kills", lambda: before + 1)
    first, second = swarm.run_one(), swarm.run_one()
    assert first.reason == "out of memory (killed by SIGKILL, the kernel's out-of-memory killer)"
    assert second.reason == "killed by SIGKILL"


def test_a_killed_worker_loses_its_trial_only_and_is_replaced(drive):
    swarm = drive("hanger", workers=2)
    swarm.warm_up()
    swarm.executor.submit(0, {})
    swarm.executor.submit(1, {})
    swarm.listen(lambda: len(swarm.of(Epoch)) == 2)
    victim = {ready.worker: ready.facts["pid"] for ready in swarm.of(Ready)}[0]
    os.kill(victim, signal.SIGKILL)
    swarm.listen(lambda: swarm.executor.idle == 1)
    assert [(failed.trial, failed.kind) for failed in swarm.of(Failed)] == [(0, DIED)]
    assert swarm.executor.n_workers == 2


def test_all_workers_killed_at_once_are_all_replaced(drive):
    swarm = drive("hanger", workers=4)
    swarm.warm_up()
    for trial in range(4):
        swarm.executor.submit(trial, {})
    swarm.listen(lambda: len(swarm.of(Epoch)) == 4)
    for pid in swarm.pids():
        os.kill(pid, signal.SIGKILL)
    swarm.listen(lambda: swarm.executor.idle == 4)
    assert sorted(failed.trial for failed in swarm.of(Failed)) == [0, 1, 2, 3]
    assert {failed.reason for failed in swarm.of(Failed)} == {"killed by SIGKILL"}


def test_an_idle_worker_that_is_killed_is_replaced_and_its_replacement_says_why(drive):
    swarm = drive("quadratic")
    swarm.warm_up()
    os.kill(swarm.pids()[0], signal.SIGKILL)
    swarm.listen(lambda: len(swarm.of(Ready)) == 2)
    swarm.run_one()
    os.kill(swarm.pids()[1], signal.SIGKILL)  # idle again, but not fruitless
    swarm.listen(lambda: len(swarm.of(Ready)) == 3)
    killed = "killed by SIGKILL"
    assert [ready.replaces for ready in swarm.of(Ready)] == ["", killed, killed]


def test_a_replacement_does_not_say_again_what_a_trials_end_has_said(drive):
    swarm = drive("killed")
    swarm.run_one()
    swarm.warm_up()
    assert [ready.replaces for ready in swarm.of(Ready)] == ["", ""]


def test_a_trial_handed_to_a_worker_that_is_dead_already_runs_on_its_replacement(drive):
    swarm = drive("quadratic", workers=2)
    swarm.warm_up()
    for pid in swarm.pids():
        os.kill(pid, signal.SIGKILL)
        psutil.Process(pid).wait(5) if psutil.pid_exists(pid) else None
    swarm.executor.submit(0, {})
    swarm.executor.submit(1, {})
    swarm.listen(lambda: len(swarm.of(Finished)) == 2)
    assert sorted(started.trial for started in swarm.of(Started)) == [0, 1]
    assert swarm.of(Failed) == []


def test_a_trial_that_its_worker_had_not_taken_up_when_it_died_has_not_begun(drive):
    swarm = drive("quadratic", workers=2)
    swarm.warm_up()
    for pid in swarm.pids():
        os.kill(pid, signal.SIGSTOP)  # alive, so it can be sent a trial, and will not read it
    swarm.executor.submit(0, {})
    os.kill(swarm.pids()[0], signal.SIGKILL)
    os.kill(swarm.pids()[1], signal.SIGKILL)
    swarm.listen(lambda: bool(swarm.of(Failed)))
    (failed,) = swarm.of(Failed)
    assert failed.kind is FailureKind.NOT_BEGUN
    assert failed.reason == "killed by SIGKILL before the trial began"


def test_a_trial_that_had_begun_is_not_taken_for_one_that_had_not(drive):
    """Also where its worker dies with an answer unread."""
    swarm = drive("quadratic")
    swarm.warm_up()
    swarm.executor.submit(0, {})
    swarm.listen(lambda: bool(swarm.of(Epoch)), answer=False)
    os.kill(swarm.pids()[0], signal.SIGSTOP)
    swarm.executor.answer(0, stop=False)
    os.kill(swarm.pids()[0], signal.SIGKILL)
    swarm.listen(lambda: bool(swarm.of(Failed)))
    assert [failed.kind for failed in swarm.of(Failed)] == [FailureKind.WORKER_DIED]


def test_an_answer_to_a_worker_that_has_died_does_no_harm(drive):
    swarm = drive("quadratic")
    swarm.warm_up()
    swarm.executor.submit(0, {})
    swarm.listen(lambda: bool(swarm.of(Epoch)), answer=False)
    os.kill(swarm.pids()[0], signal.SIGKILL)
    time.sleep(0.1)
    swarm.executor.answer(0, stop=False)
    swarm.listen(lambda: bool(swarm.of(Failed)))
    swarm.executor.answer(0, stop=False)


def test_a_trial_that_closes_the_workers_descriptors_fails_and_hangs_nothing(drive):
    failed = fails_then_recovers(drive("descriptor_closer"))
    assert failed.kind is DIED
    assert failed.reason.startswith("lost its connection to the coordinator")


def test_a_thread_that_outlives_its_trial_cannot_report_into_the_next(drive):
    swarm = drive("late_reporter")
    swarm.run_one()
    said = swarm.run_one().result.environment["said"]
    assert said == "trial 0 is over: it can report no more epochs"
    assert swarm.of(Epoch) == []


def test_workers_that_keep_dying_while_they_prepare_end_the_sweep_with_their_log(
    drive, tmp_path, monkeypatch
):
    (tmp_path / "dying_trial.py").write_text(
        "import os, sys\nprint('no CUDA for you'); sys.stdout.flush(); os._exit(9)"
    )
    monkeypatch.chdir(tmp_path)
    swarm = drive("dying_trial:run")
    with pytest.raises(BesomError, match=r"(?s)2 times in a row: ended with exit code 9.*no CUDA"):
        swarm.warm_up()


def test_a_worker_that_dies_once_while_it_prepares_is_forgiven(drive, tmp_path, monkeypatch):
    (tmp_path / "shy_trial.py").write_text(
        textwrap.dedent("""
            import os, pathlib
            from besom.seam import TrialResult
            if not pathlib.Path("tried").exists():
                pathlib.Path("tried").touch()
                os._exit(9)
            def run(config, report): return TrialResult()
        """)
    )
    monkeypatch.chdir(tmp_path)
    assert isinstance(drive("shy_trial:run").run_one(), Finished)


def test_what_happened_before_a_fatal_error_is_told_first(drive, tmp_path, monkeypatch):
    """A finished trial is never lost to another worker's failure to prepare."""
    (tmp_path / "half_trial.py").write_text(
        textwrap.dedent("""
            import os, pathlib, time
            from besom.errors import DataError
            from besom.seam import TrialResult

            def prepare(config):
                if os.environ["BESOM_WORKER"] == "1":
                    while not pathlib.Path("deleted").exists():
                        time.sleep(0.02)
                    raise DataError("the dataset was deleted")

            def run(config, report):
                return TrialResult()
        """)
    )
    monkeypatch.chdir(tmp_path)
    swarm = drive("half_trial:run", workers=2)
    swarm.listen(lambda: swarm.executor.idle == 1)
    swarm.executor.submit(0, {})
    wait_for(process_of(swarm, 0).waits, "the result")
    Path("deleted").touch()
    wait_for(process_of(swarm, 1).has_ended, "the other worker to end")
    swarm.listen(lambda: bool(swarm.of(Finished)))
    with pytest.raises(BesomError, match="the dataset was deleted"):
        swarm.listen(lambda: False)


COORDINATOR = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
from besom.executors.base import Epoch
from besom.executors.local import LocalExecutor

def coordinate():
    executor = LocalExecutor(workers=2, gpus="none")
    executor.start("cheap_trials:" + sys.argv[2], {}, None)
    print("started", flush=True)
    running, epochs = 0, 0
    while True:
        while executor.idle:
            executor.submit(running, {})
            running += 1
        for event in executor.events():
            if isinstance(event, Epoch):
                executor.answer(event.trial, False)
                epochs += 1
                if epochs == 2:
                    print("hanging", flush=True)

if "--thread" in sys.argv:
    thread = threading.Thread(target=coordinate)
    thread.start()
    thread.join()
else:
    coordinate()
"""


@pytest.mark.parametrize("thread", [[], ["--thread"]], ids=["main thread", "another thread"])
def test_workers_and_their_children_are_gone_soon_after_the_coordinator_is_killed(
    no_orphans, thread
):
    """The trials are in a long C call that never lets go of the interpreter."""
    with subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, TESTS, "hanger_with_child", *thread],
        stdout=subprocess.PIPE,
    ) as coordinator:
        assert coordinator.stdout.readline() == b"started\n"
        assert coordinator.stdout.readline() == b"hanging\n"
        time.sleep(0.1)
        assert len(marked(no_orphans)) == 5  # the coordinator, its workers, their children
        coordinator.kill()
        coordinator.wait()
        # Their children would sleep for a minute.
        wait_for(lambda: not marked(no_orphans), "the children to be gone", timeout_s=20.0)


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.02, 0.04, 0.08])
def test_a_worker_being_born_does_not_outlive_its_coordinator(no_orphans, delay_s):
    with subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, TESTS, "hanger"], stdout=subprocess.PIPE
    ) as coordinator:
        assert coordinator.stdout.readline() == b"started\n"
        time.sleep(delay_s)
        coordinator.kill()


def test_a_terminals_interrupt_does_not_reach_the_workers(drive):
    swarm = drive("slow_epochs")
    swarm.warm_up()
    (pid,) = swarm.pids()
    assert os.getsid(pid) == pid != os.getsid(0)
    swarm.executor.submit(0, {})
    swarm.listen(lambda: bool(swarm.of(Epoch)))
    os.kill(pid, signal.SIGINT)
    swarm.listen(lambda: bool(swarm.of(Finished)))


def coordinate(executor: LocalExecutor, interrupt: threading.Timer) -> None:
    """Run trials until interrupted; then closing may take little longer than its grace."""
    number = 0
    try:
        interrupt.start()
        executor.start("cheap_trials:quadratic", {}, None)
        while True:
            while executor.idle:
                executor.submit(number, {})
                number += 1
            for event in executor.events():
                if isinstance(event, Epoch):
                    executor.answer(event.trial, False)
    finally:
        start = time.monotonic()
        executor.close(grace_s=1.0)
        assert time.monotonic() - start < 6.0


@pytest.mark.parametrize("moment_s", [0.0, 0.001, 0.002, 0.004, 0.008, 0.05, 0.2])
def test_an_interrupt_of_the_coordinator_at_any_moment_leaves_it_closable(no_orphans, moment_s):
    interrupt = threading.Timer(moment_s, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        coordinate(LocalExecutor(workers=2, gpus="none"), interrupt)
    interrupt.join()
