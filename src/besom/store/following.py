"""Reading a study on while another process writes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.trial import TrialState

from besom.errors import BesomError
from besom.store.optuna_private import all_trials
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord
from besom.store.storage import load_optuna_study
from besom.store.stored_records import Known, read_study

#: Bytes at the beginning of a journal, which name the process that made it.
_HEAD = 120


class Followed(NamedTuple):
    """A study, and what its records do not have: how far its running trials are.

    Attributes:
        study: as of now.
        epochs: of a running trial that has reported: its last epoch, and the value after it. Only
            sweeps with a pruner store these.
    """

    study: StudyRecord
    epochs: Mapping[int, tuple[int, float]]


class StudyFollower:
    """Reads a study again and again, and each time only what is new.

    A journal is read on from where the last reading ended, and a line that is not whole yet waits.
    A journal that another file has replaced is read from its beginning.

    Args:
        results_dir: the folder of the study's folder.
        name: the study's.
    """

    def __init__(self, results_dir: Path, name: str) -> None:
        self._results_dir, self._name = results_dir, name
        self._paths = StudyPaths.of(results_dir, name)
        self._study: optuna.Study | None = None
        self._known: Known = {}
        self._stat: tuple[int, ...] = ()  # of the journal, when it was read last
        self._begins: object = None  # what tells the study from another in its place
        self._last: Followed | BesomError | None = None
        #: How many times it has been read from its beginning.
        self.n_openings = 0

    def read(self) -> Followed:
        """The study as of now; the same object as before, if nothing has been written since.

        Raises:
            StudyError: it is gone, damaged, or has not begun.
        """
        if self._has_changed() or self._last is None:
            try:
                self._last = self._read()
            except BesomError as error:
                self._study, self._last = None, error
        if isinstance(self._last, BesomError):
            raise self._last
        return self._last

    def _has_changed(self) -> bool:
        """Whether anything may have been written; forgets a study that is no longer there."""
        try:
            found = os.stat(self._paths.journal)  # noqa: PTH116 (hot)
            stat = _signature(found)
            if stat == self._stat:
                return False
            # A file that is deleted leaves its number to the next, but no two begin alike.
            with open(self._paths.journal, "rb", opener=_at_once) as file:
                begins: object = (found.st_ino, file.read(_HEAD))
        except OSError:  # it is in a database, or nowhere
            stat, begins = (), self._database()
        if begins != self._begins or (stat and stat[-1] < self._stat[-1]):
            self._study = None
        self._stat, self._begins = stat, begins
        return True

    def _database(self) -> object:
        """What tells one database from another, without opening anything yet."""
        try:
            return _signature(os.stat(self._paths.storage_url))  # noqa: PTH116
        except OSError:
            return None

    def _read(self) -> Followed:
        if self._study is not None:
            try:
                return self._read_on(self._study)
            except Exception:  # Optuna raises all sorts of things; what follows says what is wrong
                self._study = None
        self._known = {}
        self.n_openings += 1
        self._study = load_optuna_study(self._results_dir, self._name)
        return self._read_on(self._study)

    def _read_on(self, study: optuna.Study) -> Followed:
        record = read_study(study, self._paths.root, self._known)
        epochs = {}
        for trial in all_trials(study, states=(TrialState.RUNNING,)):
            if reported := trial.intermediate_values:
                last = max(reported)
                epochs[trial.number] = (last, reported[last])
        return Followed(replace(record, name=self._name), epochs)


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for who might write into a pipe of this name."""
    return os.open(path, flags | os.O_NONBLOCK)
