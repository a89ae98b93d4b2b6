"""What of this machine a sweep may use: cores, memory and GPUs, found without TensorFlow.

Containers count: the limits of this process's control groups (cgroups(7), version 1 and 2)
count, not the size of the machine around them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from besom.errors import ConfigError
from besom.text.values import given_text

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_STATM = "/proc/self/statm"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

#: What the workers may use of the machine's memory; the rest is the coordinator's and the system's.
_WORKERS_MEMORY = 0.8
#: TensorFlow, Keras and a small dataset take half of it: no more workers by default than fit.
_LEAST_WORKER_MEMORY = 1024**3

#: Beyond any machine's, in any unit.
_MOST_MEMORY = 1e30
_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(i?)(b?))\s*", re.IGNORECASE)


def available_cores() -> int:
    """Return the whole cores this process may use: its affinity, less where a cgroup caps it."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    for folder in _cgroup_folders("cpu"):
        # Version 2: "max 100000" or "150000 100000"; version 1: one file each, -1 for no limit.
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        quota = quota or _read(folder / "cpu.cfs_quota_us")
        period = period or _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def total_memory() -> int:
    """Return the bytes of memory this process and its workers may use together."""
    total = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    for folder in _cgroup_folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _read(folder / name)
            if limit.isdecimal():
                total = min(total, int(limit))
    return total


def workers_memory() -> int:
    """Return the bytes that workers may use together: the rest is the coordinator's."""
    return int(total_memory() * _WORKERS_MEMORY)


def workers_in_memory() -> int:
    """Return how many workers have the memory that each needs at least; 1 or more."""
    return max(1, workers_memory() // _LEAST_WORKER_MEMORY)


def resident_memory() -> int:
    """Return this process's resident memory in bytes."""
    try:
        with open(_STATM, "rb", buffering=0) as statm:  # noqa: PTH123 - once a trial, so fast
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except OSError:  # no /proc: macOS
        import psutil

        return int(psutil.Process().memory_info().rss)


class OutOfMemoryKills:
    """Which deaths the kernel's out-of-memory killer explains, counted from now on."""

    def __init__(self) -> None:
        self._explained = oom_kills()

    def explain(self, status: int | None) -> bool:
        """Whether it explains a process that ended with ``status``; each kill explains one."""
        if status != -signal.SIGKILL or oom_kills() <= self._explained:
            return False
        self._explained += 1
        return True


def oom_kills() -> int:
    """Return how often the kernel has killed a process for lack of memory, near this process.

    Counted in its own cgroup where there is one, else on the whole machine; 0 if unknown.
    """
    for folder in _cgroup_folders("memory"):
        for name in ("memory.events", "memory.oom_control"):
            if (count := _counter(folder / name)) is not None:
                return count
    return _counter(Path("/proc/vmstat")) or 0


def parse_memory(value: str | int, name: str) -> int:
    """Return the bytes that ``value`` means: bytes as a number, or text such as ``"4 GiB"``.

    ``K``, ``M``, ``G`` and ``T`` alone are powers of 1024, as Docker and Slurm take them.

    Raises:
        ConfigError: it is neither; ``name`` is what the message calls it.
    """
    size = 0
    if found := _MEMORY.fullmatch(str(value)):
        number, letter, binary, byte = found.groups()
        base = 1000 if byte and not binary else 1024
        size = int(min(float(number), _MOST_MEMORY) * base ** " kmgt".index(letter.lower() or " "))
    if isinstance(value, bool) or size < 1:
        raise ConfigError(
            f"{name} is {given_text(value)}, expected an amount of memory: a number of bytes or a "
            "text such as '4 GiB', '800 MB' or '2G'."
        )
    return size


def format_memory(n_bytes: int) -> str:
    """Return ``n_bytes`` for a person, such as ``"1.5 GiB"``."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def visible_gpus() -> list[str]:
    """Return the GPUs this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Those that variable lists, else all that the driver knows, and of a GPU cut into MIG instances
    those instead; none where there is no NVIDIA driver.
    """
    present = _gpus_of_driver()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not present:
        return present
    entries = [entry.strip() for entry in visible.split(",")]
    # As CUDA does: the first entry that is none ends the list.
    end = next((i for i, entry in enumerate(entries) if entry in ("", "-1")), len(entries))
    return entries[:end]


def _gpus_of_driver() -> list[str]:
    """Ask ``nvidia-smi``, whose order is the PCI bus's; without it, count what the driver shows."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return [str(number) for number, _ in enumerate(_driver_folders())]
    gpus: list[str] = []
    for line in listed.splitlines():
        if found := re.match(r"GPU (\d+):", line):
            gpus.append(found[1])
        elif found := re.search(r"\(UUID: (MIG-[^)]+)\)", line):
            if gpus and gpus[-1].isdecimal():
                gpus.pop()  # CUDA no longer takes a GPU as a whole once it is cut
            gpus.append(found[1])
    return gpus


def _driver_folders() -> list[Path]:
    folder = Path("/proc/driver/nvidia/gpus")
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _cgroup_folders(controller: str) -> list[Path]:
    """Return the folders of this process's cgroups for ``controller``, its own before those above.

    A container may see its path from outside while only its own folder is mounted: what is missing
    is skipped, and the mount itself comes last.
    """
    if sys.platform != "linux":
        return []
    folders: list[Path] = []
    for line in _read(_OWN_CGROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = _CGROUPS / controller if controllers else _CGROUPS
        own = mount / path.strip("/")
        above = [mount / parent for parent in own.relative_to(mount).parents]
        folders += [folder for folder in dict.fromkeys([own, *above]) if folder.is_dir()]
    return folders


def _counter(path: Path) -> int | None:
    """Return the ``oom_kill`` line of a kernel's file of counters, None if it has none."""
    found = re.search(r"^oom_kill (\d+)$", _read(path), re.MULTILINE)
    return int(found[1]) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
