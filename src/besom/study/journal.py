"""Optuna's journal file, written by one coordinator that may die or run out of disk at any time.

The file is Optuna's own format (``optuna.storages.journal.JournalFileBackend`` reads it too). What
differs: no lock file a write, since ``besom.study.lock`` admits one writer; what has been written
goes to the disk when a trial has ended, and workers do not wait for it; a line cut short by a crash
or a full disk is dropped instead of making the study unreadable.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation

from besom.errors import StudyError
from besom.study.lines import all_or_nothing, drop_cut_line, write_all

#: Records that must survive a power cut: what a study is, and that a trial has ended.
_DURABLE = {
    int(JournalOperation.CREATE_STUDY),
    int(JournalOperation.SET_STUDY_USER_ATTR),
    int(JournalOperation.SET_TRIAL_STATE_VALUES),
}


class _Syncer:
    """Brings a file to the disk in a thread of its own, once for all requests since the last time.

    A process that is killed loses nothing that was written, synced or not; only a power cut does.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._condition = threading.Condition()
        self._asked = self._done = 0
        self._error: OSError | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Have everything written so far synced soon; raises what an earlier sync met."""
        with self._condition:
            if self._error is not None:
                raise self._error
            self._asked += 1
            self._condition.notify_all()

    def wait(self) -> None:
        """Return when every request so far is fulfilled; raises what a sync met."""
        with self._condition:
            asked = self._asked
            self._condition.wait_for(lambda: self._done >= asked or self._error is not None)
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Fulfil the last requests and close the file."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._thread.join()
        os.close(self._descriptor)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._asked > self._done or self._closing)
                asked = self._asked
                if asked == self._done:
                    return
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                with self._condition:
                    self._error = error
                    self._condition.notify_all()
                return
            with self._condition:
                self._done = asked
                self._condition.notify_all()


class StudyJournal(BaseJournalBackend):
    """A journal backend for one writer and any number of readers.

    Args:
        path: the journal file.
        writable: True for the coordinator, which holds the study's lock: creates the file and
            drops a cut last line. False only reads, and passes over a cut last line.

    Raises:
        StudyError: a line other than the last is damaged.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, writable: bool = False) -> None:
        self._path = path
        self._writable = writable
        self._offsets = [0]  # where each record begins; the last is where the next will
        self._own: list[bytes] = []  # the last records, as just written here: read back from memory
        if writable:
            path.parent.mkdir(parents=True, exist_ok=True)
            drop_cut_line(path)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._syncer = _Syncer(self._descriptor)
            weakref.finalize(self, self._syncer.close)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records from number ``log_number_from`` on.

        Raises:
            StudyError: a record is damaged.
        """
        first = len(self._offsets) - 1 - len(self._own)
        fresh, self._own = self._own, []
        if log_number_from >= first:
            yield from map(json.loads, fresh[log_number_from - first :])
            log_number_from = len(self._offsets) - 1
        if os.stat(self._path).st_size <= self._offsets[log_number_from]:  # noqa: PTH116 (hot)
            return
        with self._path.open("rb") as file:
            file.seek(self._offsets[log_number_from])
            for number, line in enumerate(file, start=log_number_from):
                if not line.endswith(b"\n"):
                    return
                record = self._parse(number, line)
                if number + 1 == len(self._offsets):
                    self._offsets.append(self._offsets[number] + len(line))
                yield record

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, all or none.

        Raises:
            StudyError: the disk is full or the file cannot be written; the journal is as before.
        """
        assert self._writable, "a reader never writes"
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs]
        try:
            with all_or_nothing(self._descriptor) as size:
                write_all(self._descriptor, b"".join(lines))
                if any(log["op_code"] in _DURABLE for log in logs):
                    self._syncer.request()
        except OSError as error:
            raise StudyError(
                f"{self._path} cannot be written: {error.strerror}. No finished trial is lost. "
                "Make room or permission, then give the same command again to continue."
            ) from error
        if size == self._offsets[-1]:  # nobody else has written: what is read next is this
            for line in lines:
                self._offsets.append(self._offsets[-1] + len(line))
                self._own.append(line)

    def flush(self) -> None:
        """Wait until all that was appended is on the disk.

        Raises:
            StudyError: the disk does not take it.
        """
        try:
            self._syncer.wait()
        except OSError as error:
            raise StudyError(f"{self._path} cannot be written: {error.strerror}.") from error

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or "op_code" not in record:
                raise ValueError("no op_code")
        except ValueError as error:
            raise StudyError(
                f"{self._path} is damaged: line {number + 1} is not a journal record ({error}). "
                "Restore the file from a copy; or keep the trials before that line with "
                f"`head -n {number} {self._path} > kept && mv kept {self._path}`; or start again "
                "with --fresh, which keeps the damaged study in the archive."
            ) from error
        return record
