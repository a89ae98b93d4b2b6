"""Studies in the trackers that people already look at: TensorBoard, MLflow, Weights & Biases.

A tracker only shows a study: it is written from the records, and a study is never read from it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from besom.errors import BesomError, ConfigError, StudyError, did_you_mean
from besom.store.records import StudyRecord, TrialRecord
from besom.trackers.tracker import TrackedTrial, Tracker, failure_text, is_tracked

__all__ = [
    "SHOW_RUNNING",
    "TRACKERS",
    "TrackedTrial",
    "Tracker",
    "check_tracker",
    "export_to",
    "failure_text",
    "is_tracked",
    "open_tracker",
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


def open_tracker(name: str, study: StudyRecord, folder: Path) -> Tracker:
    """Open a tracker for a study; what it needs is loaded now.

    Args:
        name: one of ``TRACKERS``.
        study: as it stands.
        folder: where its files go.
    """
    module, _, kind = TRACKERS[name][0].rpartition(".")
    opened: Tracker = getattr(importlib.import_module(module), kind)(study, folder)
    return opened


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
    chosen = [trial for trial in trials if is_tracked(trial)]
    try:
        tracker = open_tracker(name, study, folder)
        for trial in chosen:
            tracker.write(TrackedTrial.of(study, trial))
        tracker.close(study)
    except (BesomError, OSError):
        raise
    except Exception as error:  # of a server that cannot be reached, say, each has its own kind
        raise StudyError(f"{name} failed: {failure_text(error)}.") from error
    return len(chosen), tracker.place
