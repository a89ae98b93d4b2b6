"""Executors under test, and the check that none of them leaves a process behind."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from besom.executors.local.executor import LocalExecutor

TESTS = str(Path(__file__).parents[1])
if TESTS not in sys.path:  # workers import cheap_trials by way of this
    sys.path.insert(0, TESTS)

from executor_drive import Drive  # noqa: E402
from user_project import MARK, marked, wait_for  # noqa: E402


@pytest.fixture
def no_orphans(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fail a test after which any process that descends from it is alive."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    # Less than the minute that a child sleeps.
    wait_for(lambda: not marked(mark), "no process of the test to be left", timeout_s=25.0)
    assert psutil.Process().children() == []  # no zombie either: every worker was reaped


@pytest.fixture
def drive(no_orphans: str, tmp_path: Path) -> Iterator[Callable[..., Drive]]:
    """Start an executor of a cheap trial function: ``drive("quadratic", workers=2)``."""
    started: list[LocalExecutor] = []

    def start(
        function: str, base: dict[str, Any] | None = None, log: bool = True, **parameters: Any
    ) -> Drive:
        executor = LocalExecutor(**{"workers": 1, "gpus": "none", **parameters})
        started.append(executor)
        name = function if ":" in function else f"cheap_trials:{function}"
        executor.start(name, base or {}, str(tmp_path / "logs") if log else None)
        return Drive(executor)

    yield start
    for executor in started:
        executor.close(grace_s=0.2)
