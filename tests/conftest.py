"""Fixtures that several test modules share; what they give is in ``user_project``."""

from __future__ import annotations

import atexit
import compileall
import gc
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import besom
from user_project import CHEAP_SWEEP, MARK, TESTS, Project, marked, wait_for

STUDY = str(TESTS / "study")
if STUDY not in sys.path:  # workers import trial functions by way of this
    sys.path.insert(0, STUDY)

# The helpers lie here, and most tests work in a folder of their own, as a user does.
os.environ["BESOM_TRUSTED"] = ",".join(sorted({path.stem for path in TESTS.rglob("*.py")}))

# The key that functions given from Python are signed with is the user's; tests have their own.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="besom-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CONFIG_HOME"], ignore_errors=True)

# A suite that a script runs in the background is born deaf to Ctrl-C, and so is what it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where no bytecode is written, hundreds of processes would each compile all of besom, and each
# worker of pytest all tests. What tests write is never compiled beforehand: it changes too fast.
NO_BYTECODE = sys.dont_write_bytecode
sys.dont_write_bytecode = False
if NO_BYTECODE and "PYTEST_XDIST_WORKER" not in os.environ:
    compileall.compile_dir(Path(besom.__file__).parent, quiet=2)


#: Seconds for a test that takes minutes by itself, where it has no limit of its own.
LONG_TIMEOUT_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that train: the longest last would leave workers idle at the end.

    What takes minutes has more time than the others.
    """
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_S))
    trains = {item.path for item in items if item.get_closest_marker("tensorflow")}
    items.sort(key=lambda item: item.path not in trains)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what has been imported by now: most of it is TensorFlow's."""
    sys.dont_write_bytecode = NO_BYTECODE
    gc.collect()
    gc.freeze()


def _moved_into(root: Path, patch: pytest.MonkeyPatch) -> Project:
    """Make a folder the current one; modules in it and among the helpers can be named."""
    patch.chdir(root)
    for name in ("BESOM_RESULTS_DIR", "BESOM_STORAGE", "MLFLOW_TRACKING_URI", "WANDB_PROJECT"):
        patch.delenv(name, raising=False)
    inherited = os.environ.get("PYTHONPATH")
    paths = [STUDY, str(TESTS / "training"), str(TESTS), *([inherited] if inherited else [])]
    patch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return Project(root)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty folder with one sweep of the user's own, ``cheap``, as the current folder."""
    project = _moved_into(tmp_path, monkeypatch)
    project.write("sweeps/cheap.yaml", CHEAP_SWEEP)
    return project


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An empty folder that the tests of a module share, as the current folder."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("home")
        for path in (TESTS / "training", root):
            patch.syspath_prepend(str(path))
        yield _moved_into(root, patch)


@pytest.fixture
def no_orphans(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fail a test after which any process that descends from it is alive."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    # Not as long as others wait: what a test leaves asleep for a minute must not end meanwhile.
    wait_for(lambda: not marked(mark), "no process of the test to be left", timeout_s=30.0)
