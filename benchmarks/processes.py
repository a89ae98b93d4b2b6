"""Runs a contestant as a process of its own, and ends all that it started when its time is up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

CONTESTANTS = Path(__file__).parent / "contestants"

#: How long a contestant whose time is up may take to end in its own way.
_GRACE_S = 15.0

_ASK_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Run:
    """How a process went.

    Attributes:
        launched: when it was started, in seconds since the Unix epoch.
        ended: when it ended, or its time was up.
        timed_out: whether its time was up.
        exit_code: its own, None where it was ended.
        output: the end of what it printed.
    """

    launched: float
    ended: float
    timed_out: bool
    exit_code: int | None
    output: str

    @property
    def seconds(self) -> float:
        """From start to end."""
        return self.ended - self.launched


def run(
    command: Sequence[str | Path],
    output: Path,
    budget_s: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a command to its end, or until its budget is spent; nothing that it started is left.

    Args:
        command: program and arguments.
        output: the file for what it prints.
        budget_s: wall-clock seconds, None: no limit.
        environment: set on top of this process's.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
    with output.open("wb") as file:
        launched = time.time()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **quiet, **(environment or {})},
            start_new_session=True,
        )
        timed_out = False
        try:
            process.wait(timeout=budget_s)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            ended = time.time()
            _end(process)
    tail = output.read_text(encoding="utf-8", errors="replace")[-3000:]
    return Run(launched, ended, timed_out, None if timed_out else process.returncode, tail)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then kill it and whatever descends from it."""
    if process.poll() is not None:
        return
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        family += psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=2.0)
    for member in alive:
        member.kill()


def versions(python: str, packages: Sequence[str]) -> dict[str, str | None]:
    """Return the versions of packages that an interpreter has, None for those it has not."""
    command = [python, "-c", _ASK_VERSIONS, *packages]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{python} is no Python interpreter that runs: {error}") from error
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def lacking(found: Mapping[str, str | None]) -> str | None:
    """Return why a contestant cannot run, None if it can."""
    absent = [name for name, version in found.items() if version is None]
    return f"{', '.join(absent)} not installed" if absent else None


def besom_command() -> list[str]:
    """Return the command ``besom`` that belongs to this interpreter."""
    program = shutil.which("besom", path=str(Path(sys.executable).parent))
    return [program] if program else [sys.executable, "-c", "from besom.cli import main; main()"]
