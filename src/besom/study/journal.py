"""Optuna's journal file, written by one coordinator that may die or run out of disk at any time.

The file is Optuna's own format (``optuna.storages.journal.JournalFileBackend`` reads it too). What
differs: no lock file a write, since ``besom.study.lock`` admits one writer; one fsync for each
trial's end instead of one for each record; a line cut short by a crash or a full disk is dropped
instead of making the study unreadable.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation

from besom.errors import StudyError

#: Records that must survive a power cut: what a study is, and that a trial has ended.
_DURABLE = {
    int(JournalOperation.CREATE_STUDY),
    int(JournalOperation.SET_STUDY_USER_ATTR),
    int(JournalOperation.SET_TRIAL_STATE_VALUES),
}


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
        if writable:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._drop_cut_line()
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            weakref.finalize(self, os.close, self._descriptor)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records from number ``log_number_from`` on.

        Raises:
            StudyError: a record is damaged.
        """
        if log_number_from >= len(self._offsets):
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
        data = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        size = os.fstat(self._descriptor).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            if any(log["op_code"] in _DURABLE for log in logs):
                os.fdatasync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, size)
            raise StudyError(
                f"{self._path} cannot be written: {error.strerror}. No finished trial is lost. "
                "Make room or permission, then give the same command again to continue."
            ) from error

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

    def _drop_cut_line(self) -> None:
        """A write that never ended tells nothing: the record counts only with its newline."""
        if not self._path.exists() or not (size := self._path.stat().st_size):
            return
        with self._path.open("rb+") as file:
            end, block = size, b""
            while b"\n" not in block and end > 0:
                start = max(0, end - 65536)
                file.seek(start)
                block = file.read(end - start)
                end = start if b"\n" not in block else end
            keep = start + block.rfind(b"\n") + 1
            if keep < size:
                file.truncate(keep)
