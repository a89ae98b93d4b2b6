"""Fixtures that several test modules share; what they give is in ``user_project``."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from user_project import CHEAP_SWEEP, TESTS, Project, marked, wait_for

STUDY = str(TESTS / "study")
if STUDY not in sys.path:  # workers import trial functions by way of this
    sys.path.insert(0, STUDY)

# The helpers lie here, and most tests work in a folder of their own, as a user does.
os.environ["BESOM_TRUSTED"] = ",".join(sorted({path.stem for path in TESTS.rglob("*.py")}))

# A suite that a script runs in the background is born deaf to Ctrl-C, and so is what it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty folder with one sweep of the user's own, ``cheap``, as the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("BESOM_RESULTS_DIR", "BESOM_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    inherited = os.environ.get("PYTHONPATH")
    paths = [str(TESTS / "study"), str(TESTS), *([inherited] if inherited else [])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    project = Project(tmp_path)
    project.write("sweeps/cheap.yaml", CHEAP_SWEEP)
    return project


@pytest.fixture
def no_orphans(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fail a test after which any process that descends from it is alive."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv("BESOM_TEST_RUN", mark)
    yield mark
    wait_for(lambda: not marked(mark), "no process of the test to be left")
