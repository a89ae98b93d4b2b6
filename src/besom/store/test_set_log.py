"""The log of who has seen the test images: written before they are opened, never after.

A test set that is looked at often becomes a second validation set. Only ``besom train`` and
``besom confirm`` can open it. Each opening is a line in ``test_openings.csv``: of a study's config
in the study's folder, of any other in the folder of plain trainings (``outside``).
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
    """One model that was measured on the test images.

    Attributes:
        date: when, as ISO 8601 in UTC.
        study: the study whose config it was; empty if it was no study's.
        trial: the trial whose config it was; None if that is not known.
        seed: the seed it was trained with.
        command: ``confirm`` or ``train``; after it, in brackets, what ``train`` had changed in the
            trial's config.
        data: the dataset's name and the fingerprint of its training images; empty if not known.
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

    Call it before the test images are opened: an opening that was logged and then did not happen
    does no harm, one that happened and was not logged does.

    Args:
        folder: the study's folder, ``results/<name>``, or ``outside(results)``.
        study, trial, seed, command, data: see ``Opening``.

    Raises:
        StudyError: the file cannot be written; the test images must stay closed then.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    opening = (now, study, "" if trial is None else trial, seed, command, data)
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # two writers would write two headings
            size = os.fstat(descriptor).st_size
            text = _line(COLUMNS) if size == 0 else ""
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = "\n"  # the last writer died in the middle of its line
            text += _line(opening[: _n_columns(descriptor)])
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StudyError(
            f"{path} cannot be written: {error.strerror}. Every opening of the test images is "
            "logged first, so they stay closed. Make room or permission, and try again."
        ) from error


def _n_columns(descriptor: int) -> int:
    """How many columns the file's heading has: an earlier besom logged no data."""
    heading = os.pread(descriptor, 200, 0).decode(errors="replace").partition("\n")[0]
    return heading.count(",") + 1 if heading else len(COLUMNS)


def data_named(facts: Mapping[str, object]) -> str:
    """What ``Opening.data`` is of a worker's facts on its data; empty where they say nothing."""
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
    """The folder that has the log of openings in no study's name: that of plain trainings."""
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


def said_outside(results_dir: Path, data: str | None) -> str:
    """A sentence on the openings in no study's log, for people; empty if there is none."""
    found = openings_outside(results_dir, data)
    if not found:
        return ""
    whose = f"the test images of {data}" if data else "test images"
    return f"Beside that, `besom train` has opened {whose} {said(found)}, in no study's name."


def n_configs(openings: Sequence[Opening]) -> int:
    """For how many configs: a trial that ``train`` took with changes is another one, by them."""
    return len({(o.study, o.trial, o.command.partition(" (")[2]) for o in openings})


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
    csv.writer(buffer, lineterminator="\n").writerow(
        [csv_text(value) if isinstance(value, str) else value for value in values]
    )
    return buffer.getvalue()
