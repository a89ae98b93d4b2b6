"""What goes along with messages to workers on other machines, and what comes back with theirs.

The driver packs, an actor unpacks, and the other way round. Coordinator and worker loop know
nothing of it, and workers on this machine do without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from besom.executors.base import Failed, Finished
from besom.executors.channel import FromWorker, Run, Setup, ToWorker
from besom.executors.ray.arrival import arrive, staged_root
from besom.executors.ray.cargo import Cargo, load, unload
from besom.executors.ray.carrying import Files, NodeFolder, receive, to_send
from besom.executors.ray.staging import STAGED, Staged, stage, with_absolute_paths


@dataclass(frozen=True)
class Luggage:
    """In place of a ``Setup``: what a worker makes one of, where it is."""

    staged: Staged
    cargo: Cargo | None


@dataclass(frozen=True)
class Parcel:
    """A message with files."""

    message: Any
    files: Files = field(default_factory=dict)


class Sender:
    """The driver's side.

    Args:
        setup: what a worker on this machine would get.
        folder: an empty one, to be kept until Ray has taken ``py_modules``.

    Raises:
        BesomError: the project's modules cannot be sent.
    """

    def __init__(self, setup: Setup, folder: Path) -> None:
        self._staged = stage(setup, folder)
        self._cargo: Cargo | None = None
        self.py_modules = [str(folder / STAGED)]

    def load(self, put: Callable[[bytes], Any]) -> None:
        """Put what was given from Python into the object store.

        Raises:
            BesomError: it cannot be read.
        """
        functions = self._staged.setup.trust.functions
        if functions is not None and Path(functions).is_dir():
            self._cargo = load(Path(functions), put)

    def pack(self, message: ToWorker) -> ToWorker | Luggage | Parcel:
        """What to send in place of a message."""
        match message:
            case Setup(first=first):
                setup = replace(self._staged.setup, first=first)
                return Luggage(replace(self._staged, setup=setup), self._cargo)
            case Run(config=config):
                run = replace(message, config=with_absolute_paths(config, self._staged.folder))
                return Parcel(run, to_send(config, self._staged.setup.artifacts))
        return message

    def unpack(self, answer: FromWorker | Parcel) -> FromWorker:
        """What a worker said, once the files that came along are where they belong."""
        if not isinstance(answer, Parcel):
            return answer
        message: FromWorker = answer.message
        artifacts = self._staged.setup.artifacts
        remark = receive(answer.files, artifacts) if artifacts else ""
        if remark and isinstance(message, Finished):
            _remark(message, remark)
        return message


def _remark(finished: Finished, remark: str) -> None:
    environment = finished.result.environment
    remarks = {**environment.get("remarks", {}), "models": remark}
    finished.result.environment = {**environment, "remarks": remarks}


#: Begins the name of the folder for a worker's files; its process's number ends it.
_OF = "trial-of-"


def _delete_left(store: Path) -> None:
    """Delete the files of workers that were killed."""
    for folder in store.glob(f"{_OF}*"):
        if not psutil.pid_exists(int(folder.name.removeprefix(_OF))):
            shutil.rmtree(folder, ignore_errors=True)


class Receiver:
    """The actor's side.

    Args:
        where: what to call this machine.
        get: ``ray.get``.
    """

    def __init__(self, where: str, get: Callable[[Any], bytes]) -> None:
        self._where, self._get = where, get
        self._folder: NodeFolder | None = None

    def unpack(self, message: ToWorker | Luggage | Parcel) -> ToWorker:
        """The message for the worker loop; what comes with it is there then.

        Raises:
            BesomError: this machine lacks what the worker needs.
            OSError: its disk takes no files.
        """
        match message:
            case Luggage(staged, cargo):
                store = staged_root().parents[2] / "besom"
                given = None if cargo is None else unload(cargo, store, self._get, self._where)
                _delete_left(store)
                self._folder = NodeFolder(store / f"{_OF}{os.getpid()}")
                return arrive(staged, self._where, self._folder.folder, given)
            case Parcel(run, files):
                assert self._folder is not None
                self._folder.begin(run.config, files)
                checked: Run = run
                return checked
        return message

    def pack(self, answer: FromWorker) -> FromWorker | Parcel:
        """What to answer: with the files that a trial has written, if it has ended."""
        if self._folder is None or not isinstance(answer, Finished | Failed):
            return answer
        files = self._folder.end()
        return Parcel(answer, files) if files else answer
