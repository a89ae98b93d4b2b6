"""The log of who has seen a study's test images: written before they are opened, never after.

A test set that is looked at often becomes a second validation set. Only ``besom train`` and
``besom confirm`` can open it. Each opening is a line here, and ``confirm`` says how many there are.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from besom.errors import StudyError

FILE = "test_openings.csv"
COLUMNS = ("date", "study", "trial", "seed", "command")


@dataclass(frozen=True)
class Opening:
    """One model that was measured on the test images.

    Attributes:
        date: when, as ISO 8601 in UTC.
        study: the study whose config it was.
        trial: the trial whose config it was; None if that is not known.
        seed: the seed it was trained with.
        command: ``confirm`` or ``train``.
    """

    date: str
    study: str
    trial: int | None
    seed: int
    command: str


def log_opening(folder: Path, study: str, trial: int | None, seed: int, command: str) -> None:
    """Append a line to ``<folder>/test_openings.csv``; it is on disk when this returns.

    Call it before the test images are opened: an opening that was logged and then did not happen
    does no harm, one that happened and was not logged does.

    Args:
        folder: the study's folder, ``results/<name>``.
        study, trial, seed, command: see ``Opening``.

    Raises:
        StudyError: the file cannot be written; the test images must stay closed then.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # two writers would write two headings
            size = os.fstat(descriptor).st_size
            text = _line(COLUMNS) if size == 0 else ""
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = "\n"  # the last writer died in the middle of its line
            text += _line((now, study, "" if trial is None else trial, seed, command))
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StudyError(
            f"{path} cannot be written: {error.strerror}. Every opening of the test images is "
            "logged first, so they stay closed. Make room or permission, and try again."
        ) from error


def read_openings(folder: Path) -> list[Opening]:
    """Every opening that was logged, oldest first; a line cut short counts as one too.

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
            row.get("study", ""),
            _number(row.get("trial", "")),
            _number(row.get("seed", "")) or 0,
            row.get("command", ""),
        )
        for row in rows
    ]


def said(openings: Sequence[Opening]) -> str:
    """How often, for people: ``30 times, first on 2025-03-01``."""
    if not openings:
        return "never"
    times = "once" if len(openings) == 1 else f"{len(openings)} times"
    return f"{times}, first on {openings[0].date[:10]}"


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
