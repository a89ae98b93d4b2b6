"""One trial as trackers want it, and what every tracker can do."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from besom.errors import BesomError
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.storage_url import hide_passwords
from besom.text.printable import cut, one_line, visible
from besom.text.values import value_text

#: Nothing was trained for these, or not yet.
_NOT_WRITTEN = (Outcome.RUNNING, Outcome.DUPLICATE, Outcome.WARM_START, Outcome.INFEASIBLE)

#: Characters of a text; MLflow takes no longer tags.
LONGEST_TEXT = 5000

#: Larger whole numbers are text: they may be no floating-point number.
_TOO_LARGE = 2**63


def is_tracked(trial: TrialRecord) -> bool:
    """Whether a trial is written to trackers: it has ended, and something was trained for it."""
    return trial.outcome not in _NOT_WRITTEN


def failure_text(error: Exception) -> str:
    """What went wrong in a tracker: one line, without the password of a server's address."""
    first = next(iter(str(error).strip().splitlines()), "")
    said = first if isinstance(error, BesomError) else f"{type(error).__name__}: {first}"
    return hide_passwords(one_line(said)).rstrip(".: ")


@dataclass(frozen=True)
class TrackedStudy:
    """A study as trackers want it.

    Attributes:
        name: the study's.
        key: tells it from any other, also from an archived one that had the same name.
        metrics: of its objectives, the first one first.
    """

    name: str
    key: str
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, study: StudyRecord) -> TrackedStudy:
        """What trackers are told of a study."""
        created = str(study.facts.get("created", study.name))
        key = hashlib.blake2b(created.encode(), digest_size=8).hexdigest()
        return cls(study.name, key, tuple(objective.metric for objective in study.objectives))


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as trackers want it.

    Attributes:
        number: the trial's.
        params: dotted config path to what was sampled; lists and mappings are text. Texts have
            nothing hidden in them, and at most ``LONGEST_TEXT`` characters.
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
            params={visible(path): _plain(value) for path, value in trial.params.items()},
            curves={visible(name): curve for name, curve in trial.history.items()},
            scores={f"score/{visible(o.metric)}": value for o, value in values},
            numbers={**cost, **best, **{visible(n): v for n, v in trial.numbers.items()}},
            about={key: _text(text) for key, text in about.items() if text},
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


def tracked_trials(study: StudyRecord) -> list[TrackedTrial]:
    """Every trial of a study that is written to trackers."""
    return [TrackedTrial.of(study, trial) for trial in study.trials if is_tracked(trial)]


def _plain(value: Any) -> bool | int | float | str:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < _TOO_LARGE:
        return value
    return _text(value if isinstance(value, str) else value_text(value))


def _text(text: str) -> str:
    return cut(visible(text), LONGEST_TEXT)


class Tracker(ABC):
    """Where the trials of one study are written, besides the study.

    Args:
        study: its trials are given one by one.
        folder: where files go; it is made if need be.
    """

    def __init__(self, study: TrackedStudy, folder: Path) -> None:
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
    def close(self, trials: Sequence[TrackedTrial], best: TrackedTrial | None) -> None:
        """Write what is known once all trials are.

        Args:
            trials: all of the study, also those that were not written now.
            best: the best of them; None where none has completed.
        """
