"""A user's project folder, with one cheap sweep in it, and a look at the processes of a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

TESTS = Path(__file__).parent

#: Inherited by every process that a test starts, however far from its parents it ends up.
MARK = "BESOM_TEST_RUN"

#: A sweep that needs no TensorFlow: its trial function is tests/study/sweep_trials.py. Plots would
#: take half of its time.
CHEAP_SWEEP = """
defaults:
  - sweep
  - override sweep/pruner: none
  - override sweep/sampler: random
  - _self_
trainer:
  epochs: 3
  seconds: 0.0
  fault: null
  fault_above: 0.0
  once: null
  trace: null
  unprepared: null
sweep:
  n_trials: 5
  plots: false
  trial_function: sweep_trials.quadratic
  executor: {workers: 1, gpus: none}
  space:
    model.dropout: {type: float, low: 0.0, high: 0.5}
    optimizer.learning_rate: {type: float, low: 1.0e-4, high: 1.0e-1, log: true}
"""


@dataclass
class Project:
    """A user's folder, the current one."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        """Write a file of the user's."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def besom(self, *words: str) -> Result:
        """Give a command in this process, which then forgets the modules of this folder."""
        from besom.cli import main

        try:
            return CliRunner().invoke(main, list(words))
        finally:
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None)).startswith(f"{self.root}{os.sep}"):
                    del sys.modules[name]

    def done(self, *words: str) -> str:
        """Give a command in this process that has to succeed; return what it said."""
        result = self.besom(*words)
        assert result.exit_code == 0, f"{result.output}{result.exception!r}"
        assert "Traceback" not in result.output
        return result.output

    def spawn(self, *words: str, **options: object) -> subprocess.Popen[str]:
        """Give a command in a process of its own."""
        command = [sys.executable, "-c", "from besom.cli import main; main()", *words]
        return subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )  # type: ignore[call-overload,no-any-return]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Give a command in a process of its own, and wait for it."""
        process = self.spawn(*words)
        out, err = process.communicate(timeout=280)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def results(self) -> list[str]:
        """Every file under ``results``."""
        return sorted(str(p.relative_to(self.root)) for p in (self.root / "results").rglob("*"))


def some_long(given: Iterable[Any], quick: str | list[Any]) -> list[Any]:
    """Parameters of a test; all but those in ``quick`` run with what takes minutes."""
    always = quick.split() if isinstance(quick, str) else quick
    every = list(given)
    assert all(one in every for one in always)
    return [one if one in always else pytest.param(one, marks=pytest.mark.long) for one in every]


def run_long(*cases: tuple[Any, ...]) -> list[Any]:
    """Cases of a test, of several parameters each, that run with what takes minutes."""
    return [pytest.param(*case, marks=pytest.mark.long) for case in cases]


def edit_journal(journal: Path, edit: Callable[[str], str]) -> None:
    """Rewrite a journal as if other code had written it: its records have no number then."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        line.pop("seq", None)
        line.pop("crc", None)
    journal.write_text(edit("".join(json.dumps(line) + "\n" for line in lines)))


def marked(mark: str) -> list[psutil.Process]:
    """Every living process that inherited the mark, however far from its parents."""
    found = []
    for process in psutil.process_iter():
        try:
            inherits = process.environ().get(MARK) == mark
            if inherits and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(happened: Callable[[], object], what: str, timeout_s: float = 90.0) -> None:
    """Wait until it happened; a test that waits too long has failed."""
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, f"waited too long for {what}"
        time.sleep(0.02)
