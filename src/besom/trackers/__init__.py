"""Studies in the trackers that people already look at: TensorBoard, MLflow, Weights & Biases.

A tracker only shows a study: it is written from the records, and a study is never read from it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from besom.errors import ConfigError, StudyError, did_you_mean
from besom.store.records import StudyRecord, TrialRecord
from besom.trackers.tracker import TrackedStudy, TrackedTrial, Tracker, is_tracked, tracked_trials
from besom.trackers.tracker_messages import EpochOf, OpenTracker
from besom.trackers.tracker_process import TrackerProcess

__all__ = [
    "SHOW_RUNNING",
    "TRACKERS",
    "EpochOf",
    "TrackedStudy",
    "TrackedTrial",
    "Tracker",
    "TrackerProcess",
    "best_tracked",
    "check_tracker",
    "export_to",
    "is_tracked",
    "open_tracker",
    "start_tracker",
    "tracked_trials",
]

#: Each tracker: the class that writes to it, and the package that it needs. Its extra has its name.
TRACKERS = {
    "tensorboard": ("besom.trackers.tensorboard.TensorBoardTracker", "tensorboard"),
    "mlflow": ("besom.trackers.mlflow.MlflowTracker", "mlflow"),
    "wandb": ("besom.trackers.wandb.WandbTracker", "wandb"),
}

#: Those that show the epochs of running trials; the others would take long for each.
SHOW_RUNNING = ("tensorboard",)


def check_tracker(name: str, where: str) -> None:
    """Refuse a tracker that does not exist, or whose package is not installed.

    Args:
        name: what the user calls it.
        where: the key or option that names it, for the message.

    Raises:
        ConfigError: says what there is, or what to install.
    """
    if name not in TRACKERS:
        raise ConfigError(f"{where}: there is no tracker {name!r}." + did_you_mean(name, TRACKERS))
    package = TRACKERS[name][1]
    spec = find_spec(package)
    if spec is None or spec.origin is None:  # W&B leaves folders of its name in people's projects
        raise ConfigError(
            f"{where}: {name} needs {package}, which is not installed: pip install 'besom[{name}]'."
        )


def open_tracker(name: str, study: TrackedStudy, folder: Path) -> Tracker:
    """Open a tracker in this process; what it needs is loaded now.

    Args:
        name: one of ``TRACKERS``.
        study: the study that it shows.
        folder: where its files go.
    """
    module, _, kind = TRACKERS[name][0].rpartition(".")
    opened: Tracker = getattr(importlib.import_module(module), kind)(study, folder)
    return opened


def start_tracker(
    name: str,
    study: StudyRecord,
    folder: Path,
    lacking: Iterable[TrackedTrial] = (),
    log: Path | None = None,
) -> TrackerProcess:
    """Open a tracker in a process of its own.

    Args:
        name: one of ``TRACKERS``.
        study: the study that it shows.
        folder: where its files go.
        lacking: trials that are written only where the tracker does not have them.
        log: where what it prints is appended; None: nowhere.
    """
    opening = OpenTracker(name, TrackedStudy.of(study), folder, tuple(lacking), tuple(sys.path))
    return TrackerProcess(opening, log)


def best_tracked(study: StudyRecord) -> TrackedTrial | None:
    """The best trial of a study; None where none has completed."""
    from besom.report.export import best_trial  # loads pandas, which a tracker's process spares

    return TrackedTrial.of(study, best_trial(study)) if study.complete else None


def export_to(
    name: str,
    study: StudyRecord,
    trials: Iterable[TrialRecord],
    folder: Path,
) -> tuple[int, str]:
    """Write trials to a tracker, in place of what was written of them before.

    Args:
        name: one of ``TRACKERS``.
        study: the study.
        trials: those to write; what trained nothing is left out.
        folder: where the tracker's files go.

    Returns:
        How many were written, and where they are, for people.

    Raises:
        ConfigError: see ``check_tracker``.
        StudyError: the tracker failed; says how.
    """
    check_tracker(name, "--to")
    chosen = [TrackedTrial.of(study, trial) for trial in trials if is_tracked(trial)]
    tracker = start_tracker(name, study, folder)
    try:
        for trial in chosen:
            tracker.put(trial)
        tracker.end(tracked_trials(study), best_tracked(study))
        tracker.wait()
    except BaseException:
        tracker.kill()
        raise
    if tracker.place is None:
        raise StudyError(f"{name} failed: {tracker.failure}.")
    return len(chosen), tracker.place
