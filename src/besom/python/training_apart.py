"""``besom.train`` with a function: ``besom train`` in a process of its own.

So TensorFlow is not loaded where the user works, and nothing of an earlier training is left over.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import besom
from besom.errors import BesomError
from besom.python.calls import Call, written_run
from besom.rerun.single_run import TrainRun
from besom.store.paths import StudyPaths, TrainPaths
from besom.trust.signed import FROM_PYTHON

_WRITTEN = "Written: "


def train_apart(
    call: Call,
    overrides: Sequence[str],
    config_dir: str | Path | None,
    trust: Sequence[str],
    say: Callable[[str], None] = print,
) -> TrainRun:
    """Train what a call says, and keep its functions and data beside the run.

    Raises:
        BesomError: whatever ``besom train`` refuses; also a training that diverges.
    """
    with tempfile.TemporaryDirectory(prefix="besom-") as place:
        brought = StudyPaths(Path(place)).from_python
        config = written_run(call, Path(place), brought)
        words = [str(config), *overrides]
        if config_dir is not None:
            words += ["--config-dir", str(config_dir)]
        for name in (*trust, FROM_PYTHON):
            words += ["--trust", name]
        paths = TrainPaths(_run(words, say))
    with paths.history.open(encoding="utf-8", newline="") as file:
        names, *epochs = csv.reader(file)
    columns = zip(*epochs, strict=True)
    history = {
        name: [float(value or "nan") for value in column]
        for name, column in zip(names, columns, strict=True)
        if name != "epoch"
    }
    test = json.loads(paths.metrics.read_text(encoding="utf-8"))["test"]
    return TrainRun(paths, history, test)


def _run(words: Sequence[str], say: Callable[[str], None]) -> Path:
    """Run ``besom train``, tell what it prints, and return the folder that it has written."""
    root = str(Path(besom.__file__).absolute().parents[1])
    path = os.pathsep.join(dict.fromkeys([root, *filter(None, sys.path)]))
    folder = ""
    with tempfile.TemporaryFile() as complaints:  # a pipe could fill up meanwhile
        process = subprocess.Popen(
            [sys.executable, "-m", "besom", "train", *words],
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(_WRITTEN):
                    folder = line.removeprefix(_WRITTEN).strip()
                else:
                    say(line.rstrip("\n"))
            process.wait()
        finally:
            process.stdout.close()
            if process.poll() is None:
                process.terminate()
                process.wait()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip()
    if process.returncode == 130:
        raise KeyboardInterrupt
    if process.returncode:
        reason = said.rpartition("besom: ")[2] or f"besom train ended with {process.returncode}."
        raise BesomError(reason)
    return Path(folder)
