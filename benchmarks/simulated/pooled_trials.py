"""Trials of several runs whose truth is known: what each model does on each example is made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from besom.seam import TrialResult
from besom.store.predictions import EpochBits, KeptExamples, keep
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.store.stored_records import kept_of
from besom.study.objective import objective_values
from besom.study.pooling import EndedRun, pooled

ACCURACY = Objective("val_accuracy", "maximize")
LOSS = Objective("val_loss", "minimize")
AUC = Objective("val_auc", "maximize")


def share_run(right: Any, best: int | None = None) -> TrialResult:
    """A run by which examples it has right after each epoch, shape (n_epochs, n)."""
    right = np.atleast_2d(np.asarray(right, bool))
    curve = right.mean(axis=1)
    best = int(curve.argmax()) + 1 if best is None else best
    bits = [np.packbits(row).tobytes() for row in right]
    return TrialResult(
        history={"val_accuracy": curve.tolist()},
        numbers={"n_params": 10, "seconds_per_epoch": 0.5 * best},
        best_epoch=best,
        n_validation=right.shape[1],
        correct=bits[best - 1],
        correct_by_epoch=bits,
    )


def mean_run(numbers: Any, metric: str = "val_loss", units: int | None = None) -> TrialResult:
    """A run by the number of each example, or group, after each epoch, shape (n_epochs, n)."""
    numbers = np.atleast_2d(np.asarray(numbers, "<f4"))
    curve = numbers.mean(axis=1, dtype=np.float64)
    best = int(curve.argmin()) + 1
    rows = [row.tobytes() for row in numbers]
    known: dict[str, Any] = {"kind": "mean", "values": rows[best - 1]}
    if len(rows) > 1:
        known["by_epoch"] = rows
    if units is not None:
        known["units"] = numbers.shape[1]
    return TrialResult(
        history={metric: curve.tolist()},
        best_epoch=best,
        n_validation=units or numbers.shape[1],
        per_example={metric: known},
    )


def drawn_run(curve: Sequence[float], drawn: Any, n: int = 100) -> TrialResult:
    """A run of a metric of the kind ``other``, with its draws, shape (2, n_draws)."""
    scores = np.asarray(drawn, "<f4").tobytes()
    return TrialResult(
        history={"val_auc": list(curve)},
        best_epoch=int(np.argmax(curve)) + 1,
        n_validation=n,
        per_example={"val_auc": {"kind": "other", "values": scores}},
    )


def in_folds(right: Any, n_folds: int) -> list[TrialResult]:
    """Runs on consecutive folds of what is right of all examples, shape (n_epochs, n)."""
    return [share_run(part) for part in np.array_split(np.atleast_2d(right), n_folds, axis=-1)]


def as_runs(results: Sequence[Sequence[TrialResult]]) -> list[tuple[EndedRun, TrialResult]]:
    """By repeat and fold."""
    return [
        (EndedRun(repeat, fold if len(of_repeat) > 1 else None, seed=repeat, seconds=2.0), result)
        for repeat, of_repeat in enumerate(results)
        for fold, result in enumerate(of_repeat)
    ]


def trial_of(
    number: int,
    results: Sequence[Sequence[TrialResult]],
    objective: Objective = ACCURACY,
    folder: Path | None = None,
    **more: Any,
) -> TrialRecord:
    """The complete trial that these runs are, by repeat and fold, as it is stored.

    Without a folder, no numbers of single examples are stored.
    """
    whole = pooled(as_runs(results), [objective])
    kept = KeptExamples()
    if folder is not None:
        kept = keep(whole.per_example, folder / f"{number}.npz", list(whole.per_example))
    by_epoch = whole.correct_by_epoch
    facts = {
        **kept_of(whole),
        "per_example": kept,
        "correct_by_epoch": EpochBits.pack(by_epoch) if by_epoch else None,
    }
    values = tuple(objective_values([objective], whole.history, whole.numbers))
    return TrialRecord(number, Outcome.COMPLETE, values, **facts, **more)


def study_of(trials: Sequence[TrialRecord], objective: Objective = ACCURACY) -> StudyRecord:
    return StudyRecord("folds", (objective,), tuple(trials))
