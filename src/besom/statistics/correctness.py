"""From what trials store of each example to tables: what each trial scored on each.

Comparisons between trials hold only where all were judged on the same examples; what is not known
to be so is kept apart here, so that nothing above has to think of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.equality import same
from besom.errors import StudyError
from besom.metrics import within_place
from besom.statistics.kinds import DrawnScores, Table, stacked
from besom.statistics.ranking import ranks
from besom.store.predictions import EpochBits
from besom.store.records import Objective, StudyRecord, TrialRecord

#: One row per trial, one column per validation example: True where the trial is right.
Correctness = NDArray[np.bool_]


def has_predictions(trial: TrialRecord) -> bool:
    """Return whether the trial stored which validation images it got right."""
    return trial.correct is not None and trial.n_validation > 0


def same_images(trial: TrialRecord, other: TrialRecord) -> bool:
    """Return whether both stored which examples they got right, of the same ones if known."""
    return has_predictions(trial) and has_predictions(other) and same_examples(trial, other)


def same_examples(trial: TrialRecord, other: TrialRecord) -> bool:
    """Return whether both were judged on the same validation examples, by all that is known.

    Known are the number of examples and the data's fingerprint, which changes with those held out;
    where a record has none, the config's ``data`` node, which decides them.
    """
    if trial.n_validation != other.n_validation:
        return False
    mine, theirs = _fingerprint(trial), _fingerprint(other)
    if mine is not None and theirs is not None:
        return mine == theirs
    return same(trial.config.get("data"), other.config.get("data"))


def _fingerprint(trial: TrialRecord) -> object:
    facts = trial.environment.get("data")
    return facts.get("fingerprint") if isinstance(facts, dict) else None


def correctness_matrix(trials: Sequence[TrialRecord]) -> Correctness:
    """Return which trial classifies which validation image right.

    Trials without bits have no row to give: choose by ``has_predictions`` or ``same_images`` first.

    Args:
        trials: records with ``correct`` set (``numpy.packbits``) and equal ``n_validation``.

    Returns:
        Booleans of shape ``(len(trials), n_validation)``; ``(0, 0)`` for no trials.

    Raises:
        StudyError: a trial has no bits, fewer bits than images, or another number of images.
    """
    if not trials:
        return np.zeros((0, 0), dtype=np.bool_)
    n_images = trials[0].n_validation
    matrix = np.empty((len(trials), n_images), dtype=np.bool_)
    for row, trial in zip(matrix, trials, strict=True):
        if trial.correct is None or trial.n_validation <= 0:
            raise StudyError(
                f"trial {trial.number} did not store which validation examples it got right, so it "
                "cannot be compared example by example; leave it out of the comparison"
            )
        if trial.n_validation != n_images:
            raise StudyError(
                f"trial {trial.number} was judged on {trial.n_validation} validation examples and "
                f"trial {trials[0].number} on {n_images}; only trials judged on the same examples "
                "can be compared"
            )
        right = unpacked(trial.correct, n_images)
        if right is None:
            raise StudyError(
                f"trial {trial.number} stores {len(trial.correct)} bytes of predictions where "
                f"{n_images} images need {-(-n_images // 8)}: its record is damaged"
            )
        row[:] = right
    return matrix


def unpacked(packed: bytes, n_images: int) -> NDArray[np.bool_] | None:
    """Return one boolean an image from the bits of ``numpy.packbits``.

    None where these are not as many bytes as so many images need.
    """
    if len(packed) != -(-n_images // 8):
        return None
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=n_images)
    return bits.view(np.bool_)


#: The one metric that the bits of what is classified right are, where no metric is named with them.
_OF_RIGHT = ("accuracy", "acc")


@dataclass(frozen=True)
class ScoredRow:
    """What one trial scored on each validation example by one metric; larger is better.

    Attributes:
        kind: ``share``, ``mean`` or ``other``.
        row: one row of a table, see ``besom.statistics.kinds``.
        value: the metric, as it was measured.
        exact: what it is ranked by: of a share that of its bits, so that trials which got equally
            many examples right are equal, however Keras has rounded.
    """

    kind: str
    row: Any
    value: float
    exact: float


def scored(trial: TrialRecord, objective: Objective, value: float) -> ScoredRow | None:
    """Return what a trial scored on each example, by the metric and at the epoch of ``value``.

    What is stored is stored by metric. Bits without a metric are those of what is classified right,
    which is the accuracy and nothing else. That another metric has nearly the same value proves
    nothing.

    Returns:
        None where nothing is stored by this metric, or only of another epoch than the value's.

    Raises:
        StudyError: the bits are damaged. A file of numbers may be lost.
    """
    n, metric, sign = trial.n_validation, objective.metric, objective.sign
    kind = trial.per_example.kind(metric)
    if n < 1 or not _is_of_counted_epoch(trial, metric, value):
        return None
    if kind is None:
        is_right = objective.is_share and sign > 0 and within_place(metric) in _OF_RIGHT
        if trial.correct is None or not is_right:
            return None
    if kind in (None, "share"):
        right = _rights(trial, objective)
        share = float(right.mean() if sign > 0 else 1.0 - right.mean())
        # Of the same epoch they come to the same, but for rounding.
        return ScoredRow("share", right, value, share) if abs(share - value) < 0.5 / n else None
    numbers = trial.per_example.numbers(metric)
    if numbers is None or not np.isfinite(numbers).all():
        return None
    if kind == "other":
        if numbers.ndim != 2 or numbers.shape[1] < 2:
            return None
        drawn, left_out = sign * numbers.astype(np.float64)
        scores = DrawnScores(np.array(sign * value), drawn, left_out)
        return ScoredRow("other", scores, value, value)
    if numbers.shape != (trial.per_example.n_units(metric, n),):
        return None
    return ScoredRow("mean", sign * numbers, value, value)


def _is_of_counted_epoch(trial: TrialRecord, metric: str, value: float) -> bool:
    """Whether a value is that of the epoch whose predictions are kept, by all that is known."""
    measured = trial.history.get(metric)
    if not measured or trial.best_epoch is None:
        return True
    return measured[trial.best_epoch - 1] == value


def bits_of(
    trial: TrialRecord, objective: Objective
) -> tuple[bytes | None, EpochBits | None, bool]:
    """The packed bits, those by epoch, and whether they say what is right, not what the metric is.

    Studies made before besom kept them by metric have those of what is classified right.
    """
    kept, metric = trial.per_example, objective.metric
    if kept.kind(metric) == "share":
        return kept.bits(metric), kept.bits_by_epoch(metric), objective.sign > 0
    return trial.correct, trial.correct_by_epoch, True


def _rights(trial: TrialRecord, objective: Objective) -> Correctness:
    """Which example the trial got right, shape (n,)."""
    packed, _, are_right = bits_of(trial, objective)
    row = correctness_matrix([replace(trial, correct=packed)])
    return np.asarray(row[0] if are_right else ~row[0])


def alike(trial: TrialRecord, row: ScoredRow, other: TrialRecord, best: ScoredRow) -> bool:
    """Whether two trials were judged in the same way, on the same examples, of more than one."""
    if row.kind != best.kind or trial.n_validation < 2 or not same_examples(trial, other):
        return False
    if row.kind == "other":
        return bool(row.row.drawn.shape == best.row.drawn.shape)
    return bool(row.row.shape == best.row.shape and row.row.size > 1)


def ranked(study: StudyRecord) -> list[tuple[int, TrialRecord]]:
    """Return the complete trials of a study with one objective, best first, each with its rank.

    Of trials that share the best score the first is one that can be tested, else the lowest number.
    """
    aim, complete = study.objective, study.complete
    known = [scored(trial, aim, trial.value or 0.0) for trial in complete]
    exact = [
        (trial.value or 0.0) if row is None else row.exact
        for trial, row in zip(complete, known, strict=True)
    ]
    rows = zip(ranks(exact, aim.direction), known, complete, strict=True)
    order = sorted(rows, key=lambda r: (r[0], r[0] == 1 and r[1] is None, r[2].number))
    return [(rank, trial) for rank, _, trial in order]


def table_of(trials: Sequence[ScoredRow]) -> Table:
    """One row per trial, of one kind."""
    return stacked(*(trial.row for trial in trials))
