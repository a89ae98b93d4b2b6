"""The test-set log: who has used the test part of the data, written before it is read.

A test set that is used often becomes a second validation set. Only ``besom train`` and
``besom confirm`` can open it. Each use is a line in ``test_openings.csv``: of a study's config in
the study's folder, of any other in the folder of ``besom train`` (``outside``).
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from besom.errors import StudyError
from besom.store.paths import TrainPaths
from besom.text.values import csv_text, read_text

FILE = "test_openings.csv"
COLUMNS = ("date", "study", "trial", "seed", "command", "data")


@dataclass(frozen=True)
class Opening:
    """One model that was measured on the test set.

    Attributes:
        date: when, as ISO 8601 in UTC.
        study: the study whose config it was; empty if there is none.
        trial: the trial whose config it was; None if that is not known.
        seed: the seed it was trained with.
        command: ``confirm`` or ``train``; after it, in brackets, what ``train`` had changed in the
            trial's config.
        data: the dataset's name and the fingerprint of its training part; empty if not known.
    """

    date: str
    study: str
    trial: int | None
    seed: int
    command: str
    data: str = ""


def log_opening(
    folder: Path, study: str, trial: int | None, seed: int, command: str, data: str = ""
) -> None:
    """Append a line to ``<folder>/test_openings.csv``; it is on disk when this returns.

    Call it before the test set is opened: an opening that was logged and then did not happen
    does no harm, one that happened and was not logged does.

    Args:
        folder: the study's folder, ``results/<name>``, or ``outside(results)``.
        study, trial, seed, command, data: see ``Opening``.

    Raises:
        StudyError: the file cannot be written; the test set must not be opened then.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _append(folder, [Opening(now, study, trial, seed, command, data)])


def keep_outside(study: Path) -> None:
    """Copy the log of a study that is deleted to those outside any study.

    Args:
        study: its folder.

    Raises:
        StudyError: a log cannot be read or written.
    """
    known = set(openings_outside(study.parent))
    _append(outside(study.parent), [o for o in read_openings(study) if o not in known])


def _append(folder: Path, openings: Sequence[Opening]) -> None:
    if not openings:
        return
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # two writers would write two headings
            size = os.fstat(descriptor).st_size
            text = _line(COLUMNS) if size == 0 else ""
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = "\n"  # the last writer was killed in the middle of its line
            text += "".join(map(_as_line, openings))
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StudyError(
            f"{path} cannot be written: {error.strerror}. Each use of the test set is logged "
            "first, so it was not opened. Free disk space or fix the permissions, then try again."
        ) from error


def data_named(facts: Mapping[str, object]) -> str:
    """``Opening.data`` from a worker's facts about its data; empty where they are missing."""
    return " ".join(str(facts[fact]) for fact in ("name", "fingerprint") if fact in facts)


def read_openings(folder: Path) -> list[Opening]:
    """Every opening that was logged in a folder, oldest first; a line cut short counts as one too.

    Raises:
        StudyError: the file cannot be read.
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{folder / FILE} cannot be read: {error}.") from error
    rows = list(csv.DictReader(io.StringIO(text), restval=""))
    return [
        Opening(
            row.get("date", ""),
            read_text(row.get("study", "")),
            _number(row.get("trial", "")),
            _number(row.get("seed", "")) or 0,
            read_text(row.get("command", "")),
            read_text(row.get("data", "")),
        )
        for row in rows
    ]


def outside(results_dir: Path) -> Path:
    """The folder with the log of openings outside any study: that of ``besom train``."""
    return TrainPaths.folder(results_dir)


def openings_outside(results_dir: Path, data: str | None = None) -> list[Opening]:
    """The openings under a results folder that are in no study's log, oldest first.

    Args:
        results_dir: the results folder.
        data: only those of the dataset of this name (``mnist``); None: all.

    Raises:
        StudyError: the file cannot be read.
    """
    found = read_openings(outside(results_dir))
    return [o for o in found if data is None or o.data.rpartition(" ")[0] == data]


def how_often_outside(results_dir: Path, data: str | None) -> str:
    """A sentence on the openings outside any study, for people; empty if there are none."""
    found = openings_outside(results_dir, data)
    if not found:
        return ""
    whose = f"the test set of {data}" if data else "test sets"
    who = "`besom train`"
    if any(o.command == "confirm" for o in found):
        who += " and studies that have been deleted"
    have = "has" if who.endswith("`") else "have"
    return f"In addition, {who} {have} opened {whose} {how_often(found)}, outside any study."


def how_often(openings: Sequence[Opening]) -> str:
    """How often, for people: ``30 times, first on 2025-03-01``."""
    if not openings:
        return "never"
    times = "once" if len(openings) == 1 else f"{len(openings)} times"
    return f"{times}, first on {openings[0].date[:10]}"


def _as_line(opening: Opening) -> str:
    values = vars(opening).values()
    return _line(["" if value is None else value for value in values])


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(
        [csv_text(value) if isinstance(value, str) else value for value in values]
    )
    return buffer.getvalue()
