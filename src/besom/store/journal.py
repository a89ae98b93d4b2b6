"""Optuna's journal file, written by one coordinator that may die or run out of disk at any time.

The file is Optuna's own format (``optuna.storages.journal.JournalFileBackend`` reads it too). What
differs: no lock file per write, since ``besom.store.lock`` admits one writer; what has been written
is synced to the disk when a trial has ended, and workers do not wait for it; a line cut short by a
crash or a full disk is dropped instead of making the study unreadable.

Trials are numbered by their lines, so a lost or changed line would silently change all trials that
follow. Each record therefore ends with ``seq``, which counts from 1, and
``crc``, the CRC-32 of the line before it. Optuna ignores both. Lines without them, from
before there were numbers or of another program, are valid anywhere and not counted.
"""

from __future__ import annotations

import json
import os
import shlex
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from optuna.storages.journal import BaseJournalBackend

from besom.errors import StudyError
from besom.store.append_only import all_or_nothing, drop_cut_line, write_all
from besom.store.optuna_private import JournalOperation
from besom.store.paths import write_atomically

#: Records that must survive a power cut: what a study is, and that a trial has ended.
_DURABLE = {
    int(JournalOperation.CREATE_STUDY),
    int(JournalOperation.SET_STUDY_USER_ATTR),
    int(JournalOperation.SET_TRIAL_STATE_VALUES),
}


class _Syncer:
    """Syncs a file to the disk in a thread of its own, once for all requests since the last sync.

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
        """Have everything written so far synced soon; raises the error of an earlier sync."""
        with self._condition:
            if self._error is not None:
                raise self._error
            self._asked += 1
            self._condition.notify_all()

    def wait(self) -> None:
        """Return when every request so far is fulfilled; raises the error of a sync."""
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
            drops a cut last line. False: only reads, and skips a cut last line.

    Raises:
        StudyError: a line other than the last is damaged.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, writable: bool = False) -> None:
        self._path = path
        self._writable = writable
        self._offsets = [0]  # where each record begins; the last is where the next will
        self._counts = [0]  # and how many numbered ones there are before it
        self._written: int | None = None  # the number last given here; None: not looked yet
        self._at = 0  # the record that was read last
        self._own: list[bytes] = []  # the last records, as just written here: read back from memory
        if writable:
            path.parent.mkdir(parents=True, exist_ok=True)
            drop_cut_line(path)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._inode = os.fstat(self._descriptor).st_ino
            self._syncer = _Syncer(self._descriptor)
            weakref.finalize(self, self._syncer.close)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records from number ``log_number_from`` on.

        Raises:
            StudyError: a record is damaged, or the file that is written here is gone.
        """
        first = len(self._offsets) - 1 - len(self._own)
        fresh, self._own = self._own, []
        if log_number_from >= first:
            yield from map(json.loads, fresh[log_number_from - first :])
            log_number_from = len(self._offsets) - 1
        if self._size() <= self._offsets[log_number_from]:
            return
        count = self._counts[log_number_from]
        with self._path.open("rb") as file:
            file.seek(self._offsets[log_number_from])
            for number, line in enumerate(file, start=log_number_from):
                if not line.endswith(b"\n"):
                    return
                self._at = number
                record = self._parse(number, line)
                count = self._check(number, line, record, count)
                if number + 1 == len(self._offsets):
                    self._offsets.append(self._offsets[number] + len(line))
                    self._counts.append(count)
                yield record

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, all or none.

        Raises:
            StudyError: the disk is full or the file cannot be written; the journal is as before.
        """
        assert self._writable, "a reader never writes"
        if self._written is None:
            for _ in self.read_logs(len(self._offsets) - 1):
                pass
            self._written = self._counts[-1]
        lines = [_numbered(log, number) for number, log in enumerate(logs, self._written + 1)]
        try:
            with all_or_nothing(self._descriptor) as size:
                write_all(self._descriptor, b"".join(lines))
                if any(log["op_code"] in _DURABLE for log in logs):
                    self._syncer.request()
        except OSError as error:
            raise StudyError(
                f"{self._path} cannot be written: {error.strerror}. No finished trial is lost. "
                "Free disk space or fix the permissions, then run the same command again to "
                "continue."
            ) from error
        self._written += len(lines)
        if size == self._offsets[-1]:  # nobody else has written: what is read next is this
            for line in lines:
                self._offsets.append(self._offsets[-1] + len(line))
                self._counts.append(self._counts[-1] + 1)
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

    def rejected_by_optuna(self, error: Exception) -> StudyError:
        """The error for a record that is whole, but that Optuna cannot apply."""
        return self._damaged(self._at, f"does not fit the lines before it ({error!r:.200})")

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._damaged(number, f"is not a journal record ({error})") from error
        if not isinstance(record, dict) or "op_code" not in record:
            raise self._damaged(number, "is not a journal record (it has no op_code)")
        return record

    def _check(self, number: int, line: bytes, record: dict[str, Any], count: int) -> int:
        """Check a record that follows ``count`` numbered ones; return how many there are now."""
        if "seq" not in record and "crc" not in record:
            return count
        if record.get("crc") != crc32(line[: line.rfind(b',"crc":')]):
            raise self._damaged(number, "was changed after it was written")
        if record.get("seq") != count + 1:
            raise self._damaged(
                number,
                f"is besom's record {record.get('seq')}, but {count + 1} was expected: lines "
                "before it are missing, duplicated or out of order",
            )
        return count + 1

    def _damaged(self, number: int, what: str) -> StudyError:
        path = shlex.quote(str(self._path))
        return StudyError(
            f"{self._path} is damaged: line {number + 1} {what}. Restore the file from a "
            f"backup copy; or keep the trials before that line with `head -n {number} {path} > "
            f"kept && mv kept {path}`; or start again with --fresh, which keeps the damaged study "
            "in the archive."
        )

    def _size(self) -> int:
        """Of the file, in bytes.

        Raises:
            StudyError: it is no longer the file that is written here.
        """
        if not self._writable:
            return os.stat(self._path).st_size  # noqa: PTH116 (hot)
        try:
            there = os.stat(self._path)  # noqa: PTH116 (hot)
        except FileNotFoundError:
            raise StudyError(self._restore_deleted()) from None
        if there.st_ino != self._inode:
            raise StudyError(
                f"{self._path} was replaced by another file while the sweep ran, so the sweep has "
                "stopped. Its trials that are not in that file are lost. Put the right file in "
                "its place, or start a new sweep."
            )
        return there.st_size

    def _restore_deleted(self) -> str:
        """Write a deleted journal again while its content can still be read; return a message.

        If the deletion was intended, it can be repeated; lost trials cannot be.
        """
        gone = f"{self._path} was moved away or deleted while the sweep ran"
        if os.fstat(self._descriptor).st_nlink:
            return (
                f"{gone}, so the sweep has stopped. The finished trials are in the moved file: "
                "move it back, then run the same command again to continue."
            )
        try:
            content = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
            write_atomically(self._path, content)
        except OSError as error:
            return (
                f"{gone}, and cannot be written again: {error.strerror}. The sweep has stopped, "
                "and its trials are lost. Restore the file from a backup copy to continue, or "
                "start a new sweep."
            )
        return (
            f"{gone}, so the sweep has stopped. Besom has written the journal again, with every "
            "finished trial; anything else in the folder, such as kept models, is not restored. "
            "Run the same command again to continue, or delete the folder now."
        )


def _numbered(log: dict[str, Any], number: int) -> bytes:
    body = json.dumps(log, separators=(",", ":")).encode()[:-1] + b',"seq":%d' % number
    return body + b',"crc":%d}\n' % crc32(body)


def rename_in_journal(path: Path, name: str, new: str) -> None:
    """Give the study in a journal another name; in one step, so nobody may be writing to it."""
    lines = path.read_bytes().splitlines(keepends=True)
    for index, line in enumerate(lines):
        if b'"study_name"' not in line:
            continue
        record = json.loads(line)
        if (record["op_code"], record.get("study_name")) != (JournalOperation.CREATE_STUDY, name):
            continue
        record["study_name"], number = new, record.pop("seq", None)
        record.pop("crc", None)
        whole = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        lines[index] = whole if number is None else _numbered(record, number)
    write_atomically(path, b"".join(lines))
