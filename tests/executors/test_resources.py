"""How a machine is measured and divided among workers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from besom.errors import ConfigError
from besom.executors import resources
from besom.executors.local.allocation import Allocation
from besom.executors.local.executor import LocalExecutor

GIB = 1024**3


def allocation(**parameters) -> Allocation:
    defaults = {
        "workers": None,
        "threads_per_worker": 1,
        "workers_per_gpu": 1,
        "max_worker_memory": "auto",
        "max_trials_per_worker": None,
        "gpus": "none",
    }
    return Allocation(**{**defaults, **parameters})


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of 16 cores and 64 GiB; returns a function that lays out its cgroups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(os, "sysconf", lambda name: 64 * GIB // 4096)
    monkeypatch.setattr(resources, "_PAGE_BYTES", 4096)
    monkeypatch.setattr(resources, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(resources, "_OWN_CGROUPS", tmp_path / "own")

    def lay_out(own: str, files: dict[str, str]) -> None:
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    lay_out("", {})
    return lay_out


def test_workers_take_all_the_cores_by_default(machine):
    assert allocation().n_workers == 16
    assert allocation(threads_per_worker=5).n_workers == 3
    assert allocation(threads_per_worker=40).n_workers == 1
    assert allocation(workers=40).n_workers == 40


def test_there_are_no_more_workers_by_default_than_have_a_gibibyte_each(machine):
    machine("0::/\n", {"memory.max": str(4 * GIB)})
    assert allocation().n_workers == 3


def test_a_containers_limits_count_and_not_the_machine_around_it(machine):
    files = {
        "a/cpu.max": "450000 100000",
        "a/b/cpu.max": "max 100000",
        "a/memory.max": str(8 * GIB),
        "a/b/memory.max": "max",
    }
    machine("0::/a/b\n", files)
    assert resources.available_cores() == 4
    assert resources.total_memory() == 8 * GIB


def test_the_limits_of_old_cgroups_count_too(machine):
    files = {
        "cpu/cpu.cfs_quota_us": "200000",
        "cpu/cpu.cfs_period_us": "100000",
        "memory/docker/1/memory.limit_in_bytes": str(2 * GIB),
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/docker/1/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    }
    machine("5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n", files)  # its cpu folder is unseen
    assert resources.available_cores() == 2
    assert resources.total_memory() == 2 * GIB
    assert resources.oom_kills() == 3


def test_kills_for_want_of_memory_are_counted_in_the_processs_own_cgroup(machine):
    machine("0::/a\n", {"a/memory.events": "low 0\noom 4\noom_kill 2\noom_group_kill 0\n"})
    assert resources.oom_kills() == 2


def test_resident_memory_follows_an_allocation():
    before = resources.resident_memory()
    block = np.ones(8 * 1024**2)
    assert resources.resident_memory() - before > 0.9 * block.nbytes


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        (12345, 12345),
        ("12345", 12345),
        ("4 GiB", 4 * GIB),
        ("4gib", 4 * GIB),
        ("1.5G", 3 * GIB // 2),
        ("800 MB", 800_000_000),
        ("64k", 65536),
        ("2T", 2048 * GIB),
    ],
)
def test_amounts_of_memory_are_read_as_people_write_them(text, n_bytes):
    assert resources.parse_memory(text, "limit") == n_bytes


@pytest.mark.parametrize("text", ["", "4 XB", "-1", "0", 0, -5, True, "GiB", "1e9"])
def test_an_amount_of_memory_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match=r"expected an amount of memory.*'4 GiB'"):
        LocalExecutor(max_worker_memory=text)


def test_memory_is_shared_out_fairly_by_default(machine):
    assert allocation(workers=8).limits.memory == int(64 * GIB * 0.8) // 8
    assert allocation(max_worker_memory="2 GiB").limits.memory == 2 * GIB
    assert allocation(max_worker_memory=None).limits.memory is None


def test_gpus_decide_the_number_of_workers(machine):
    assert allocation(gpus=[0, 3], workers_per_gpu=2).n_workers == 4
    assert allocation(gpus=[0, 3], workers=1).n_workers == 1
    with pytest.raises(ConfigError, match=r"workers is 5, but 2 GPU\(s\).* 4 place\(s\)"):
        _ = allocation(gpus=[0, 3], workers_per_gpu=2, workers=5).n_workers


@pytest.fixture
def nvidia_smi(monkeypatch):
    """Pretend that ``nvidia-smi -L`` prints the text; None: that it is not installed."""

    def pretend(text: str | None) -> None:
        def run(command, **options):
            if text is None:
                raise FileNotFoundError(command[0])
            assert command == ["nvidia-smi", "-L"]
            return subprocess.CompletedProcess(command, 0, stdout=text)

        monkeypatch.setattr(resources.subprocess, "run", run)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return pretend


TWO_GPUS = "GPU 0: NVIDIA H100 (UUID: GPU-1a)\nGPU 1: NVIDIA H100 (UUID: GPU-2b)\n"


def test_all_gpus_of_the_driver_are_found(nvidia_smi):
    nvidia_smi(TWO_GPUS)
    assert allocation(gpus="auto").gpus == ["0", "1"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("1", ["1"]), ("GPU-2b, 0", ["GPU-2b", "0"]), ("", []), ("-1", []), ("1,-1,0", ["1"])],
)
def test_gpus_hidden_from_the_coordinator_stay_hidden(nvidia_smi, monkeypatch, visible, expected):
    nvidia_smi(TWO_GPUS)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert resources.visible_gpus() == expected


def test_a_gpu_cut_into_instances_counts_as_those(nvidia_smi):
    mig = "  MIG 3g.40gb     Device  {}: (UUID: MIG-{})\n"
    first, second = TWO_GPUS.splitlines(keepends=True)
    nvidia_smi(first + second + mig.format(0, "a") + mig.format(1, "b"))
    assert resources.visible_gpus() == ["0", "MIG-a", "MIG-b"]


def test_without_nvidias_tool_the_driver_is_asked(nvidia_smi, monkeypatch, tmp_path):
    nvidia_smi(None)
    monkeypatch.setattr(resources, "_driver_folders", lambda: [Path("0000:01"), Path("0000:02")])
    assert resources.visible_gpus() == ["0", "1"]


def test_without_a_driver_a_leftover_variable_makes_no_gpu(nvidia_smi, monkeypatch):
    nvidia_smi(None)
    monkeypatch.setattr(resources, "_driver_folders", list)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert resources.visible_gpus() == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"workers": 0},
        {"workers": "2"},
        {"workers": True},
        {"threads_per_worker": 1.5},
        {"workers_per_gpu": -1},
        {"max_trials_per_worker": 0},
        {"gpus": "all"},
        {"gpus": [0, 0]},
        {"gpus": 2},
        {"gpus": [True]},
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(parameters):
    (name,) = parameters
    with pytest.raises(ConfigError, match=rf"^sweep\.executor\.{name} is .*, expected "):
        LocalExecutor(**parameters)
