"""Files that trials on other machines keep: as bytes, beside the trial's messages.

A trial function writes to a folder of its node, and reads a checkpoint from there. The driver, on
the coordinator's machine, reads and writes the study's folder in its stead.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from besom.executors.worker_loop import artifact_names
from besom.seam import TrialConfig
from besom.store.paths import write_atomically

#: By name, relative to the study's folder or the node's.
Files = dict[str, bytes]


def to_send(config: TrialConfig, artifacts: str | None) -> Files:
    """What a trial is to read: the checkpoint that it continues from, if that is there.

    Args:
        config: with the coordinator's ``orders``.
        artifacts: the study's folder; None: nothing is kept.
    """
    return _read(Path(artifacts), artifact_names(config, reading=True)) if artifacts else {}


class NodeFolder:
    """The folder on a node that a worker's trials write to, empty between them.

    Args:
        folder: made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: list[str] = []

    def begin(self, config: TrialConfig, files: Files) -> None:
        """Make ready for a trial.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._written = artifact_names(config, reading=False)
        for name, content in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content)

    def end(self) -> Files:
        """What the trial has written of what it was asked to."""
        files = _read(self.folder, self._written)
        shutil.rmtree(self.folder, ignore_errors=True)
        return files


def receive(files: Files, artifacts: str) -> str:
    """Write what came from a node into the study's folder.

    Returns:
        Why a file could not be written, as a remark; empty if all are.
    """
    problem = ""
    for name, content in files.items():
        try:
            write_atomically(Path(artifacts, name), content)
        except OSError as error:
            problem = problem or f"models, mistakes or checkpoints could not be kept: {error}"
    return problem


def _read(root: Path, names: list[str]) -> Files:
    """The contents of files, and of all files in folders, as far as they are there."""
    found: Files = {}
    for name in names:
        place = root / name
        files: list[Any] = [*place.rglob("*")] if place.is_dir() else [place]
        for file in files:
            with contextlib.suppress(OSError):
                if file.is_file():
                    found[file.relative_to(root).as_posix()] = file.read_bytes()
    return found
