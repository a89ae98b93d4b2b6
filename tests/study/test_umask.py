"""Who may read and write what besom makes: the umask says it, of everything."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeping import RESULTS, sweep

from user_project import Project

pytestmark = pytest.mark.usefixtures("project", "no_orphans")


def assert_as_the_umask_says(root: Path, umask: int) -> None:
    for path in (root, *root.rglob("*")):
        full = 0o777 if path.is_dir() else 0o666
        assert stat.S_IMODE(path.stat().st_mode) == full & ~umask, path


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize(
    ("umask", "storage"),
    [(0o002, None), (0o077, "studies/study.db")],
    indirect=["umask"],
    ids=["002-journal", "077-sqlite"],
)
def test_everything_a_sweep_makes_is_as_the_umask_says(
    project: Project, umask: int, storage: str | None
) -> None:
    (project.root / "studies").mkdir()
    where = [f"sweep.storage=sqlite:///{storage}"] if storage else []
    assert project.besom("sweep", "cheap", "sweep.n_trials=2", *where, "--quiet").exit_code == 0
    again = project.besom("sweep", "cheap", "sweep.n_trials=3", "--extend", "--quiet")
    assert again.exit_code == 0
    assert_as_the_umask_says(RESULTS, umask)
    assert_as_the_umask_says(project.root / "studies", umask)


AS_A_MEMBER = """
import os
from pathlib import Path
from besom.store.paths import StudyPaths
from besom.store.journal import StudyJournal
from besom.store.lock import CoordinatorLock
paths = StudyPaths.of(Path("results"), "cheap")
os.setgroups([4242])
os.setgid(65534)
os.setuid(65534)
with CoordinatorLock(paths.lock, "sweep"):
    journal = StudyJournal(paths.journal, writable=True)
    journal.append_logs(list(journal.read_logs(0))[-1:])
    paths.leaderboard_md.with_name("new").write_text("written by a member")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_with_umask_002_a_group_can_share_a_study(project: Project) -> None:
    RESULTS.mkdir()
    project.root.chmod(0o755)
    os.chown(RESULTS, 0, 4242)
    RESULTS.chmod(0o2775)  # what is made in it belongs to the group
    before = os.umask(0o002)
    try:
        sweep("sweep.n_trials=1")
    finally:
        os.umask(before)
    done = subprocess.run([sys.executable, "-c", AS_A_MEMBER], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
