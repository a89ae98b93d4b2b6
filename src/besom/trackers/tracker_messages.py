"""What the coordinator and a tracker's process say to each other.

The coordinator sends ``OpenTracker``, then trials and epochs, then ``CloseTracker``. The process
answers once, with ``TrackerWritten`` or ``TrackerBroken``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from besom.trackers.tracker import TrackedStudy, TrackedTrial


@dataclass(frozen=True)
class OpenTracker:
    """The first message.

    Attributes:
        name, study, folder: what the tracker is opened with.
        lacking: trials that are written only where the tracker does not have them.
        sys_path: where the coordinator imports from.
    """

    name: str
    study: TrackedStudy
    folder: Path
    lacking: tuple[TrackedTrial, ...]
    sys_path: tuple[str, ...]


@dataclass(frozen=True)
class EpochOf:
    """An epoch of a running trial; ``epoch`` counts from 1."""

    trial: int
    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class CloseTracker:
    """No trial will follow; see ``Tracker.close``."""

    trials: Sequence[TrackedTrial]
    best: TrackedTrial | None


@dataclass(frozen=True)
class TrackerWritten:
    """The answer to ``CloseTracker``: where everything is, for people."""

    place: str


@dataclass(frozen=True)
class TrackerBroken:
    """The tracker failed, and gets no more trials."""

    failure: str
