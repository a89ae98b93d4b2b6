"""One coordinator a study: who holds it is told, and a dead one holds nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from besom.errors import StudyError
from besom.store.holder import Command
from besom.store.lock import CoordinatorLock

HOLDER = """
import sys, time
from pathlib import Path
from besom.store.lock import CoordinatorLock
with CoordinatorLock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study" / "coordinator.lock"


def hold_elsewhere(path: Path, command: Command = "sweep") -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLDER, str(path), command]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_coordinator_is_told_host_process_and_since_when(path: Path) -> None:
    with hold_elsewhere(path) as process:
        with pytest.raises(StudyError) as caught, CoordinatorLock(path, "sweep"):
            pass
        process.kill()
    message = str(caught.value)
    assert f"process {process.pid} on {socket.gethostname()} since " in message
    assert re.search(time.strftime(r"since %Y-%m-%d \d\d:\d\d:\d\d"), message)
    assert "sweep.name=NAME" in message
    assert str(path.parent) in message


@pytest.mark.parametrize(
    ("holder", "doing"), [("sweep", "being swept by"), ("confirm", "being confirmed by")]
)
@pytest.mark.parametrize(("asker", "advised"), [("sweep", True), ("confirm", False)])
def test_who_is_refused_is_told_which_command_has_the_study(
    path: Path, holder: Command, doing: str, asker: Command, advised: bool
) -> None:
    with hold_elsewhere(path, holder) as process:
        with pytest.raises(StudyError, match=doing) as caught, CoordinatorLock(path, asker):
            pass
        process.kill()
    assert ("sweep.name=NAME" in str(caught.value)) is advised  # a study is confirmed as it is


def test_a_killed_coordinator_holds_nothing_whatever_it_left_in_the_file(path: Path) -> None:
    with hold_elsewhere(path) as process:
        process.send_signal(signal.SIGKILL)
    assert json.loads(path.read_text())["pid"] == process.pid
    with CoordinatorLock(path, "sweep"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_lock_is_free_again_after_its_block(path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), CoordinatorLock(path, "sweep"):
            raise RuntimeError
    with CoordinatorLock(path, "sweep"):
        pass
    assert path.read_text() == ""


def test_the_same_process_cannot_hold_it_twice(path: Path) -> None:
    with (
        CoordinatorLock(path, "sweep"),
        pytest.raises(StudyError, match=f"process {os.getpid()} "),
        CoordinatorLock(path, "sweep"),
    ):
        pass


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"pid": 3}', '{"since": "x"}'])
def test_a_lock_file_that_says_nothing_is_still_a_lock(path: Path, text: str) -> None:
    with hold_elsewhere(path) as process:
        path.write_text(text)
        with pytest.raises(StudyError, match="another process"), CoordinatorLock(path, "sweep"):
            pass
        process.kill()
