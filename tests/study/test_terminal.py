"""``besom sweep`` on a real terminal: what it shows, what Ctrl-C does, and what it leaves there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sweeping import let_all_pass, let_pass, stored

from besom.store.records import Outcome
from records_factory import make_study
from reporting_world import store
from user_project import Project, wait_for

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

BESOM = [sys.executable, "-m", "besom"]
#: Makes the terminal the process's own, so that Ctrl-C typed into it is a signal.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
_PIECES = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b")


class Terminal:
    """A process on a pseudo-terminal, and all that it has written there."""

    def __init__(self, *words: str, columns: int = 100, rows: int = 24) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns, rows)
        unset = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")
        environment = {k: v for k, v in os.environ.items() if k not in unset}
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _TAKE_TERMINAL, *BESOM[1:], *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self.written = ""
        self.seen = ""  # every screen there was, one after the other

    def resize(self, columns: int, rows: int = 24) -> None:
        """The kernel tells the process with SIGWINCH."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, enough: Callable[[], object], what: str) -> None:
        """Read on until it is enough."""
        until = time.monotonic() + 40.0
        while not enough():
            assert time.monotonic() < until, f"waited too long for {what}:\n{self.screen()}"
            if not self._read():
                break
        assert enough(), f"ended without {what}:\n{self.screen()}"

    def shows(self, *words: str) -> bool:
        """Whether all of these are on the screen, wherever a line was broken."""
        return all(each in " ".join(self.screen().split()) for each in words)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(10)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.5)[0]:
            return True
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # Linux's word for the end
            return False
        self.written += piece.decode(errors="replace")
        self.seen += self.screen() + "\n"
        return bool(piece)

    def screen(self) -> str:
        """What stands on it: as much of a terminal as rich makes use of."""
        lines, row, column = [""], 0, 0
        for piece in _PIECES.finditer(self.written):
            text, command = piece[0], piece[2]
            if command == "A":
                row = max(0, row - int(piece[1] or 1))
            elif command == "K":
                lines[row] = ""
            elif text == "\r":
                column = 0
            elif text == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif command is None:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + text + line[column + len(text) :]
                column += len(text)
        return "\n".join(line.rstrip() for line in lines)

    @property
    def cursor_is_shown(self) -> bool:
        return self.written.rfind("\x1b[?25h") >= self.written.rfind("\x1b[?25l")


@contextlib.contextmanager
def terminal(*words: str, columns: int = 100, rows: int = 24) -> Iterator[Terminal]:
    opened = Terminal(*words, columns=columns, rows=rows)
    try:
        yield opened
    finally:
        opened.close()


def test_a_terminal_shows_the_sweep_as_it_runs_and_is_left_tidy(project: Project) -> None:
    """Resized meanwhile, to a width at which nothing fits any more."""
    project.write(
        "chatty.py",
        "import os\nfrom sweep_trials import prepare, quadratic\n"
        "def f(config, report):\n"
        "    os.write(2, b'I tensorflow/core: chatter\\n'); return quadratic(config, report)\n",
    )
    space = "sweep.space.model.dropout=[0.25,0.3,0.45]"
    rate = "sweep.space.optimizer.learning_rate={low: 0.005, high: 0.02, log: true}"
    breaks = ("trainer.fault=raise", "trainer.fault_above=0.4", "seed=2", space, rate)
    slow = ("trainer.seconds=0.2", "trainer.epochs=3", "sweep.n_trials=7")
    function = ("sweep.trial_function=chatty.f", "sweep.executor.workers=2")
    with terminal("sweep", "cheap", *breaks, *slow, *function) as shown:
        # A panel shows how things stand a few times a second: not each number is ever on it.
        promised = (
            *("cheap", "/7", "ETA ", "worker 0", "worker 1", r"trial [1-6]", r"epoch [123]"),
            *(r"val_accuracy 0\.", r"best val_accuracy 0\.", "over the baseline"),
            *(r"\d complete, \d error", r"error: ValueError: the layer \[red\] is missing"),
        )
        for words in promised:
            shown.wait_for(lambda words=words: re.search(words, shown.seen), words)
        shown.resize(40)
        assert shown.end() == 0
        final = shown.screen()
        assert "chatter" not in shown.written
        assert "chatter" in Path("results/cheap/logs/worker-0.log").read_text()
    assert shown.cursor_is_shown
    for gone in ("ETA", "worker 1", "starting the workers", "Traceback"):
        assert gone not in final, gone
    assert re.search(r"Leaderboard of\s+cheap", final)
    assert re.search(r"Written:\s+results/cheap/", final)
    assert len(stored().trials) == 7


def test_ctrl_c_on_a_narrow_terminal_stops_after_the_epoch_and_says_so(project: Project) -> None:
    let_pass(0)
    name = "sweep.name=a_name_that_takes_more_room_than_there_is"
    with terminal("sweep", "cheap", "sweep.n_trials=4", name, columns=40) as shown:
        shown.wait_for(lambda: shown.shows("trial 0 epoch 1"), "the first epoch")
        panel = [line for line in shown.screen().splitlines() if line]
        assert max(map(len, panel)) <= 40
        shown.type("\x03")
        told = ("stopping after the running epochs", "a second Ctrl-C stops at once")
        shown.wait_for(lambda: shown.shows(*told), "word of it")
        assert not shown.shows("ETA")
        let_all_pass()
        assert shown.end() == 130
        final = " ".join(shown.screen().split())
    assert "Stopped: SIGINT received. Run the same command again to continue." in final
    assert "Traceback" not in shown.written
    assert shown.cursor_is_shown
    study = stored("a_name_that_takes_more_room_than_there_is")
    assert [trial.outcome for trial in study.trials] == [Outcome.RUNNING]
    written = {path.name for path in next(Path("results").iterdir()).iterdir()}
    assert {"leaderboard.csv", "leaderboard.md", "study.journal"} <= written


def test_ctrl_c_twice_stops_at_once(project: Project) -> None:
    with terminal("sweep", "cheap", "trainer.seconds=300") as shown:
        shown.wait_for(lambda: shown.shows("worker 0", "trial 0"), "the first trial")
        shown.type("\x03")
        shown.wait_for(lambda: shown.shows("a second Ctrl-C"), "word of it")
        shown.type("\x03")
        typed = time.monotonic()
        assert shown.end() == 130
        assert time.monotonic() - typed < 50, "after one Ctrl-C, an epoch is waited for for 60 s"
    assert "besom: interrupted" in shown.screen()
    assert "Traceback" not in shown.written
    assert shown.cursor_is_shown


def test_ctrl_z_gives_the_cursor_back_and_what_was_suspended_counts_against_no_limit(
    project: Project,
) -> None:
    let_pass(0)
    limits = ("sweep.trial_timeout_s=3.5", "sweep.timeout_s=4")
    with terminal("sweep", "cheap", "sweep.n_trials=1", *limits) as shown:
        shown.wait_for(lambda: shown.shows("trial 0 epoch 1"), "the first epoch")
        assert not shown.cursor_is_shown
        shown.type("\x1a")
        process = psutil.Process(shown.process.pid)
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED, "Ctrl-Z")
        shown.wait_for(lambda: shown.cursor_is_shown, "the cursor")
        time.sleep(4.1)
        process.resume()  # SIGCONT, as the shell's `fg` does
        let_all_pass()
        assert shown.end() == 0
    assert shown.cursor_is_shown
    assert len(stored().complete) == 1


# Before anything runs


@pytest.mark.parametrize("imported", ["rich", "optuna"], ids=["on the way", "in the command"])
def test_ctrl_c_in_the_midst_of_an_import_is_no_traceback(project: Project, imported: str) -> None:
    project.write(
        f"shadows/{imported}/__init__.py",
        "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(300)\n",
    )
    with spawned(project) as process:
        wait_for(Path("importing").exists, "the import")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "besom: interrupted\n")
    assert not Path("results").exists()


def test_ctrl_c_where_python_drops_exceptions_ends_the_command_all_the_same(
    project: Project,
) -> None:
    project.write(
        "shadows/optuna/__init__.py",
        "import os, signal, time\n"
        "class Interrupted:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "Interrupted()\n"
        "time.sleep(300)\n",
    )
    with spawned(project) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "besom: interrupted\n")


#: Has Python make the file ``born`` as soon as Ctrl-C is handled.
BORN = """
import signal
set_handler = signal.signal
def noting(signum, handler):
    before = set_handler(signum, handler)
    if signum == signal.SIGINT:
        open("born", "w").close()
    return before
signal.signal = noting
"""


def test_ctrl_c_at_any_early_moment_ends_with_130_and_no_traceback(project: Project) -> None:
    """From the moment on that Python's own handler is replaced."""
    project.write("shadows/sitecustomize.py", BORN)
    moments = random.Random(3)
    for _ in range(4):
        Path("born").unlink(missing_ok=True)
        with spawned(project) as process:
            wait_for(Path("born").exists, "a handler")
            time.sleep(moments.uniform(0.0, 0.9))
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert "interrupted" in err or "Aborted" in err


@pytest.mark.long
def test_several_ctrl_c_in_quick_succession_end_with_130_and_no_traceback(
    project: Project,
) -> None:
    """While it starts, while trials run, and while the first one ends it."""
    project.write("shadows/sitecustomize.py", BORN)
    for moment, gap, n in [(0.3, 0.01, 3), (0.8, 0.15, 2), (2.0, 0.05, 2), (3.5, 0.02, 4)]:
        Path("born").unlink(missing_ok=True)
        with spawned(project) as process:
            wait_for(Path("born").exists, "a handler")
            time.sleep(moment)
            for _ in range(n):
                process.send_signal(signal.SIGINT)
                time.sleep(gap)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err


@contextlib.contextmanager
def spawned(project: Project) -> Iterator[subprocess.Popen[str]]:
    """``python -m besom sweep cheap``, where the folder ``shadows`` comes first for imports."""
    paths = os.pathsep.join([str(project.root / "shadows"), os.environ["PYTHONPATH"]])
    process = subprocess.Popen(
        [*BESOM, "sweep", "cheap", "trainer.seconds=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command_begins_where_ctrl_c_is_heard() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    scripts = tomllib.loads(pyproject.read_text())["project"]["scripts"]
    assert scripts == {"besom": "besom.__main__:main"}


def test_a_leaderboard_that_is_longer_than_the_terminal_is_paged_and_a_short_one_is_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(Path("results"), make_study(20, name="one"))
    monkeypatch.setenv("PAGER", "sed s/^/paged:/")
    with terminal("leaderboard", "one", rows=15) as shown:
        assert shown.end() == 0
        assert "paged:" in shown.written
    with terminal("leaderboard", "one", rows=60) as shown:
        assert shown.end() == 0
        assert "Leaderboard of one" in shown.written
        assert "paged:" not in shown.written
