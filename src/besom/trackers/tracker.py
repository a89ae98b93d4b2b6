"""One trial as trackers want it, and what every tracker can do."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.storage_url import hide_passwords
from besom.text.printable import one_line
from besom.text.values import value_text

#: Nothing was trained for these, or not yet.
_NOT_WRITTEN = (Outcome.RUNNING, Outcome.DUPLICATE, Outcome.WARM_START, Outcome.INFEASIBLE)


def is_tracked(trial: TrialRecord) -> bool:
    """Whether a trial is written to trackers: it has ended, and something was trained for it."""
    return trial.outcome not in _NOT_WRITTEN


def study_key(study: StudyRecord) -> str:
    """Tells a study from any other, also from an archived one that had the same name."""
    created = str(study.facts.get("created", study.name))
    return hashlib.blake2b(created.encode(), digest_size=8).hexdigest()


def failure_text(error: Exception) -> str:
    """What went wrong in a tracker: one line, without the password of a server's address."""
    first = next(iter(str(error).strip().splitlines()), "")
    return hide_passwords(one_line(f"{type(error).__name__}: {first}")).rstrip(".: ")


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as trackers want it.

    Attributes:
        number: the trial's.
        params: dotted config path to what was sampled; lists and mappings are text.
        curves: metric name to its value after each epoch (epoch 1 first).
        scores: ``score/<metric>`` to the value that the leaderboard ranks by, for each objective.
        numbers: everything else that is known once.
        about: what is known of it in words: study, outcome, reason, origin, seed.
        outcome: how it ended.
        started_s, finished_s: seconds since the Unix epoch.
    """

    number: int
    params: dict[str, bool | int | float | str]
    curves: dict[str, list[float]]
    scores: dict[str, float]
    numbers: dict[str, float]
    about: dict[str, str]
    outcome: Outcome
    started_s: float
    finished_s: float

    @classmethod
    def of(cls, study: StudyRecord, trial: TrialRecord) -> TrackedTrial:
        """What a study knows of a trial."""
        finished = trial.finished or (trial.started or 0.0) + trial.seconds
        values = zip(study.objectives, trial.values or (), strict=False)
        about = {
            "study": study.name,
            "trial": str(trial.number),
            "outcome": str(trial.outcome),
            "reason": trial.reason,
            "origin": str(trial.origin),
            "seed": str(trial.seed),
        }
        cost = {"seconds": trial.seconds, "cpu_seconds": trial.cpu_seconds}
        best = {"best_epoch": float(trial.best_epoch)} if trial.best_epoch else {}
        return cls(
            number=trial.number,
            params={path: _plain(value) for path, value in trial.params.items()},
            curves=trial.history,
            scores={f"score/{objective.metric}": value for objective, value in values},
            numbers={**cost, **best, **trial.numbers},
            about={key: text for key, text in about.items() if text},
            outcome=trial.outcome,
            started_s=trial.started if trial.started is not None else finished - trial.seconds,
            finished_s=finished,
        )

    @property
    def name(self) -> str:
        """What people read."""
        return f"trial {self.number}"

    def epochs(self) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Each epoch (from 1), about when it ended, and its metrics."""
        n_epochs = max(map(len, self.curves.values()), default=0)
        took = self.finished_s - self.started_s
        for epoch in range(1, n_epochs + 1):
            metrics = {m: vs[epoch - 1] for m, vs in self.curves.items() if len(vs) >= epoch}
            yield epoch, self.started_s + took * epoch / n_epochs, metrics


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else value_text(value)


class Tracker(ABC):
    """Where the trials of one study are written, besides the study.

    Args:
        study: as it stands; its trials are given one by one.
        folder: where files go; it is made if need be.
    """

    def __init__(self, study: StudyRecord, folder: Path) -> None:
        self._study, self._folder = study, folder

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it writes, or how to look at it, for people."""

    @abstractmethod
    def has(self, number: int) -> bool:
        """Whether a trial has been written, now or earlier."""

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: B027
        """An epoch (from 1) of a trial has ended that still runs; ``write`` will follow.

        Called for those in ``SHOW_RUNNING``. Another epoch 1 means that the trial began anew.
        """

    @abstractmethod
    def write(self, trial: TrackedTrial) -> None:
        """Write a trial, in place of what was written of it before."""

    @abstractmethod
    def close(self, study: StudyRecord) -> None:
        """Write what is known once all trials are; ``study`` is as it stands now."""
