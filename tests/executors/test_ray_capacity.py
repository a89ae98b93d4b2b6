"""Workers on a cluster that grows, shrinks and breaks: Ray is played, its workers are real."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from besom.errors import BesomError, ConfigError
from besom.executors import resources
from besom.executors.base import Epoch, Failed, FailureKind, Finished, Ready, Remark, Started
from besom.executors.local import LocalExecutor
from besom.executors.ray import RayExecutor, ray_executor
from executor_drive import Drive

TESTS = str(Path(__file__).parents[1])
SLOW = {"function": "slow_epochs", "epochs": 1000}


class FakeRay(RayExecutor):
    driver = "fake_ray_driver"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_orphans: str) -> Path:
    """Where the nodes of the played cluster are written down."""
    monkeypatch.setenv("PYTHONPATH", TESTS)
    monkeypatch.setenv("BESOM_FAKE_RAY", str(tmp_path))
    return tmp_path


def nodes(world: Path, **nodes: int) -> None:
    new = world / "new.json"
    new.write_text(json.dumps(nodes))
    new.replace(world / "nodes.json")


@pytest.fixture
def cluster(world: Path) -> Iterator[Callable[..., Drive]]:
    """Start an executor on a played cluster: ``cluster(a=2, b=1, workers=4)``."""
    started: list[RayExecutor] = []

    def start(workers: int | None = None, n_trials: int | None = None, **n: int) -> Drive:
        nodes(world, **n)
        started.append(executor := FakeRay("auto", workers=workers))
        executor.start("cheap_trials:named", {}, str(world / "logs"), n_trials=n_trials)
        (world / "logs").mkdir(exist_ok=True)
        return Drive(executor)

    yield start
    for executor in started:
        executor.close()


def begin(swarm: Drive, *trials: int) -> None:
    """Have trials run that do not end by themselves."""
    for trial in trials:
        swarm.executor.submit(trial, SLOW)
    swarm.listen(lambda: {e.trial for e in swarm.of(Epoch)} >= set(trials))


def test_there_are_as_many_workers_as_the_cluster_has_room_for(cluster):
    swarm = cluster(a=2, b=1)
    swarm.listen(lambda: swarm.executor.idle == 3)
    assert {ready.worker for ready in swarm.of(Ready)} == {0, 1, 2}
    begin(swarm, 0, 1, 2)
    assert sorted(started.node for started in swarm.of(Started)) == ["a", "a", "b"]


def test_no_more_workers_than_trials(cluster):
    swarm = cluster(a=4, n_trials=2)
    swarm.listen(lambda: swarm.executor.idle == 2)
    swarm.executor.events(timeout_s=0.3)
    assert (swarm.executor.n_workers, swarm.executor.idle) == (2, 2)


def test_workers_come_when_a_node_joins_while_trials_run(cluster, world):
    swarm = cluster(a=1)
    swarm.listen(lambda: swarm.executor.idle == 1)
    begin(swarm, 0)
    nodes(world, a=1, b=1)
    swarm.listen(lambda: swarm.executor.idle == 1)
    begin(swarm, 1)
    assert [started.node for started in swarm.of(Started)] == ["a", "b"]
    assert swarm.executor.n_workers == 2


def test_a_lost_node_is_no_dead_worker_and_its_workers_go_with_it(cluster, world):
    swarm = cluster(a=1, b=1)
    swarm.listen(lambda: swarm.executor.idle == 2)
    begin(swarm, 0, 1)
    lost = next(started for started in swarm.of(Started) if started.node == "b")
    nodes(world, a=1)
    swarm.listen(lambda: bool(swarm.of(Failed)))
    failed = swarm.of(Failed)[0]
    assert (failed.trial, failed.kind) == (lost.trial, FailureKind.NODE_LOST)
    assert failed.reason == "its node b was lost (Ray notices that after 15 to 50 s)"
    assert f"Worker {lost.worker} (process " in failed.detail
    assert "on b)" in failed.detail
    swarm.executor.events(timeout_s=0.2)
    assert swarm.executor.n_workers == 1


def test_workers_of_a_number_wait_for_a_node_in_place_of_the_lost_one(cluster, world):
    swarm = cluster(a=1, b=1, workers=2)
    swarm.listen(lambda: swarm.executor.idle == 2)
    nodes(world, a=1)
    swarm.listen(lambda: swarm.executor.idle == 1)
    assert swarm.executor.n_workers == 2
    nodes(world, a=1, c=1)
    swarm.listen(lambda: swarm.executor.idle == 2)
    assert not swarm.of(Failed)


def test_a_cluster_that_is_full_is_waited_for_and_said_so(cluster, world, monkeypatch):
    monkeypatch.setattr(ray_executor, "SAY_WAITING_AFTER_S", 0.3)
    swarm = cluster(a=0, workers=1)
    swarm.listen(lambda: bool(swarm.of(Remark)))
    assert swarm.of(Remark)[0].text == (
        "waiting for room on the Ray cluster: it has 1 node, and none has CPU 1 free"
    )
    nodes(world, a=1)
    swarm.listen(lambda: swarm.executor.idle == 1)
    assert len(swarm.of(Remark)) == 1


def test_where_no_node_is_large_enough_the_sweep_says_what_a_worker_takes(cluster):
    with pytest.raises(BesomError, match=r"\(1 node\) has room for one worker, .* takes CPU 1 \("):
        cluster(a=0).listen(lambda: False)


def test_the_end_of_the_driver_is_one_message_and_no_worker_outlives_it(cluster, world):
    swarm = cluster(a=1)
    swarm.listen(lambda: swarm.executor.idle == 1)
    begin(swarm, 0)
    (world / "end").touch()
    with pytest.raises(BesomError) as error:
        swarm.listen(lambda: False)
    assert str(error.value).startswith("The connection to Ray was lost: its driver process ended")
    assert "ray-driver.log):" in str(error.value)
    assert "the head is gone" in str(error.value)


def test_a_ray_that_cannot_be_reached_is_one_message(world):
    executor = FakeRay("nowhere")
    executor.start("cheap_trials:named", {}, None)
    with pytest.raises(BesomError, match=r"cannot use Ray at 'nowhere' .*: .*no Ray at nowhere"):
        Drive(executor).listen(lambda: False)
    executor.close()


def test_workers_are_replaced_after_so_many_trials(world):
    nodes(world, a=1)
    executor = FakeRay("auto", max_trials_per_worker=2)
    executor.start("cheap_trials:process_number", {}, None)
    swarm = Drive(executor)
    swarm.run({0: {}, 1: {}, 2: {}})
    executor.close()
    first, second, third = (e.result.numbers["pid"] for e in swarm.of(Finished))
    assert first == second != third


def test_the_driver_ignores_a_sigterm_for_the_coordinator_ends_it(cluster):
    swarm = cluster(a=1)
    swarm.listen(lambda: swarm.executor.idle == 1)
    driver = next(p for p in psutil.Process().children() if "fake_ray_driver" in p.cmdline())
    os.kill(driver.pid, signal.SIGINT)
    begin(swarm, 0)


def test_a_ray_of_its_own_shares_this_machines_memory_as_local_workers_do(world, monkeypatch):
    monkeypatch.setattr(resources, "total_memory", lambda: 3 * 1024**3)  # four fifths hold two
    nodes(world, a=8)
    executor = FakeRay(None)
    assert executor.limits == LocalExecutor(workers=1, gpus="none").limits
    assert FakeRay("auto").limits.memory is None
    executor.start("cheap_trials:named", {}, str(world / "logs"))
    try:
        swarm = Drive(executor)
        swarm.listen(lambda: swarm.executor.idle == 2)
        assert executor.n_workers == 2
        assert executor.limits == LocalExecutor(workers=2, gpus="none").limits
    finally:
        executor.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": ""}, "sweep.executor.address is '', expected null"),
        ({"address": 8265}, "address is 8265"),
        ({"workers": 0}, "sweep.executor.workers is 0, expected a whole number of at least 1"),
        ({"num_cpus": -1}, "sweep.executor.num_cpus is -1"),
        ({"num_gpus": 1.5}, "num_gpus is 1.5, expected a share of one GPU such as 0.5, or a whole"),
        ({"resources": {"tpu": "two"}}, "sweep.executor.resources.tpu is 'two'"),
        ({"resources": 3}, "sweep.executor.resources is 3, expected a mapping, or null"),
        ({"num_cpus": 0}, "a worker that takes no CPU, no GPU and nothing else would fit any"),
        ({"max_worker_memory": "lots"}, "sweep.executor.max_worker_memory is 'lots'"),
    ],
)
def test_an_option_of_the_wrong_type_is_refused(options, message):
    with pytest.raises(ConfigError) as error:
        RayExecutor(**options)
    assert message in str(error.value)


def test_without_ray_the_sweep_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(ray_executor.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'besom\[ray\]'"):
        RayExecutor().start("cheap_trials:named", {}, None)
