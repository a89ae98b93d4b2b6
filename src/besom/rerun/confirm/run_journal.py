"""The runs of all confirmations of a study, one line of JSON each, appended as they end.

Plain lines rather than an Optuna study: nothing is asked or sampled here, and anyone who wants the
spread of the seeds can read it with any tool. A run counts once its line has ended with a newline;
what a killed process left of a line is dropped.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from besom.equality import SameFields
from besom.errors import StudyError
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.store.append_only import all_or_nothing, drop_cut_line, write_all
from besom.store.paths import StudyPaths
from besom.store.predictions import KeptExamples
from besom.store.records import Outcome
from besom.text.printable import storable

FILE = Path("confirm") / "runs.jsonl"


@dataclass(frozen=True, eq=False)
class RunRecord(SameFields):
    """One run that ended.

    Attributes:
        key: the hash of the config it ran with, seed included (``ConfirmPlan.key_of``).
        trial: the trial whose config it was.
        seed: its seed.
        split_seed: the seed of its validation split; None if the config has none.
        on: ``test`` if the test images were measured, else ``validation``.
        outcome: ``complete``, or why there is no score.
        reason: one line, where it is not complete.
        detail: everything known about a failure, such as the traceback.
        history: metric name to its value after each epoch.
        numbers: what is known once, such as ``test_accuracy`` and ``n_params``.
        best_epoch: the epoch (from 1) whose weights count; None if unknown.
        seconds, cpu_seconds: what it cost.
        finished: seconds since the Unix epoch.
        environment: versions, device and data, as the worker saw them.
        n_images: how many images it was measured on; 0 if unknown.
        correct: one bit for each of them (``numpy.packbits``), set where it is right; None if not
            known. In the file, base64.
        per_example: what is kept of each of them by the objective's metric.
        look: which confirmation with new runs, from 1, made it: each ends with a report, and
            every look at the same examples is a chance for luck.
    """

    key: str
    trial: int
    seed: int
    on: str
    outcome: Outcome
    split_seed: int | None = None
    reason: str = ""
    detail: str = ""
    history: dict[str, list[float]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    finished: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    n_images: int = 0
    correct: bytes | None = None
    per_example: KeptExamples = field(default_factory=KeptExamples)
    look: int = 1

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return max((len(values) for values in self.history.values()), default=0)


def numbers_of(journal: Path, on: str, key: str) -> Path:
    """The file with what is kept of each example of a run, beside those of the study's trials."""
    return StudyPaths(journal.parents[1]).predictions / f"confirm-{on}-{key}.npz"


class RunJournal:
    """Appends runs; each is on disk when ``append`` returns. A context manager.

    Args:
        path: the file; made if it is not there.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_cut_line(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)

    def __enter__(self) -> RunJournal:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    def append(self, run: RunRecord) -> None:
        """Write a run, all of it or nothing.

        Raises:
            StudyError: the disk is full or the file cannot be written; it is then as before.
        """
        line = asdict(run)
        line["correct"] = run.correct and base64.b64encode(run.correct).decode("ascii")
        line["per_example"] = dict(run.per_example.stored)
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            with all_or_nothing(self._descriptor):
                write_all(self._descriptor, data)
                os.fsync(self._descriptor)
        except OSError as error:
            raise StudyError(
                f"{self._path} cannot be written: {error.strerror}. No finished run is lost. Free "
                "disk space or fix the permissions, then run the same command again to continue."
            ) from error


def read_runs(path: Path) -> list[RunRecord]:
    """Every run, in the order in which they ended; none if there is no file.

    Raises:
        StudyError: a line is damaged.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last newline never ended
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}.") from error
    return [_parse(path, number, line) for number, line in enumerate(lines, start=1)]


def _parse(path: Path, number: int, line: bytes) -> RunRecord:
    try:
        stored = storable(json.loads(line))
        known = {f.name for f in fields(RunRecord)}
        values = {name: value for name, value in stored.items() if name in known}
        values["outcome"] = Outcome(values["outcome"])
        if values.get("correct") is not None:
            values["correct"] = base64.b64decode(values["correct"], validate=True)
        kept = {metric: dict(known) for metric, known in values.get("per_example", {}).items()}
        file = numbers_of(path, values["on"], values["key"]) if kept else None
        return RunRecord(**{**values, "per_example": KeptExamples(kept, file)})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StudyError(
            f"{path} is damaged: line {number} is not a run ({error!r}). Restore the file from a "
            "copy, or delete that line: its run is then made again."
        ) from error


def find_runs(plan: ConfirmPlan, runs: Iterable[RunRecord]) -> dict[tuple[int, int], RunRecord]:
    """The runs that need not be made again, by trial and seed; of several, the latest.

    A complete run that measured the test images was trained in the same way, so it also answers for
    validation, if none did that measured those; a failed one answers only for the images it failed
    on.
    """
    answers: dict[str, RunRecord] = {}
    for run in runs:
        complete = run.outcome is Outcome.COMPLETE
        fits = run.on == plan.on or (complete and plan.on == "validation")
        known = answers.get(run.key)
        better = known is not None and known.on == plan.on != run.on and not known.outcome.failed
        if fits and not better and not (run.outcome.failed and plan.retry_failed):
            answers[run.key] = run
    wanted = {
        (t.number, seed): plan.key_of(t.number, seed) for t in plan.entrants for seed in plan.seeds
    }
    return {at: answers[key] for at, key in wanted.items() if key in answers}
