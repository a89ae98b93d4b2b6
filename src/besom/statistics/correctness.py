"""From the packed bits that trials store to matrices: which trial got which example right.

Comparisons between trials hold only where all were judged on the same examples; what is not known
to be so is kept apart here, so that nothing above has to think of it.

With ``epoch: best`` a trial's score is that of its luckiest epoch, so a correction for the picking
must know the others too (``candidates``). Which epochs could have been picked at all is decided
from their scores alone; only of those are the stored predictions unpacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from besom.equality import same
from besom.errors import StudyError
from besom.store.records import Objective, TrialRecord

#: One row per trial, one column per validation example: True where the trial is right.
Correctness = NDArray[np.bool_]


def has_predictions(trial: TrialRecord) -> bool:
    """Return whether the trial stored which validation images it got right."""
    return trial.correct is not None and trial.n_validation > 0


def same_images(trial: TrialRecord, other: TrialRecord) -> bool:
    """Return whether both stored their predictions and, by all that is known, of the same images.

    Known are the number of images and the data's fingerprint, which changes with the images held
    out; where a record has none, the config's ``data`` node, which decides them.
    """
    if not (has_predictions(trial) and has_predictions(other)):
        return False
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


#: A row whose lead over another is this many standard deviations is not overtaken in any number of
#: draws that can be made.
REACH = 8

#: No more candidates than this take part, the best by score: time and memory stay bounded. Among
#: 20,000 unrelated equals, with 1.27 points of luck, that leaves 0.01 of them in the score.
MOST = 2000

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Candidates:
    """What could have been picked.

    Attributes:
        correct: shape ``(n_candidates, n_images)``; a trial's rows stand together, the one that
            counts first, and the first trial's before all others.
        trial: shape ``(n_candidates,)``: the index of the trial that each row belongs to.
        n_unknown: trials whose epoch was picked from several, of which only that one is known.
        n_epochs: from how many, at most; 1 if there is no such trial.
    """

    correct: Correctness
    trial: Indices
    n_unknown: int
    n_epochs: int


def n_epochs_picked_from(trial: TrialRecord, objective: Objective) -> int:
    """Return among how many epochs the trial's score is the best; 1 if it was not picked."""
    if objective.epoch != "best":
        return 1
    return max(len(trial.history.get(objective.metric, ())), 1)


def candidates(trials: Sequence[TrialRecord], objective: Objective) -> Candidates:
    """Return what the best of the trials was picked from.

    Args:
        trials: the first has the best score; each score is a share of the same images, which the
            trial's bits confirm.
        objective: by which they were picked.

    Raises:
        StudyError: a trial's stored predictions are damaged.
    """
    n_images = trials[0].n_validation
    right = [_right(trial, objective) for trial in trials]
    within_reach = _within_reach(right, n_images)
    unknown = [
        n_epochs
        for trial in trials
        if trial.correct_by_epoch is None
        and (n_epochs := n_epochs_picked_from(trial, objective)) > 1
    ]
    rows, owners = [], []
    for index, epochs in within_reach.items():
        trial = trials[index]
        found = _unpacked(trial, right[index]) if len(right[index]) > 1 else None
        if found is None:
            if len(right[index]) > 1:
                unknown.append(len(right[index]))
            rows.append(correctness_matrix([trial]))
        else:
            rows.append(found[epochs])
        owners += [index] * len(rows[-1])
    return Candidates(
        correct=np.vstack(rows),
        trial=np.array(owners, dtype=np.intp),
        n_unknown=len(unknown),
        n_epochs=max(unknown, default=1),
    )


def _right(trial: TrialRecord, objective: Objective) -> NDArray[np.int64]:
    """How many images were right at each epoch whose predictions are stored: one, or all."""
    right: NDArray[np.int64]
    if trial.correct_by_epoch is None or n_epochs_picked_from(trial, objective) == 1:
        right = correctness_matrix([trial]).sum(axis=1, dtype=np.int64)
    else:
        values = np.array(trial.history[objective.metric], dtype=np.float64)
        share = values if objective.sign > 0 else 1.0 - values
        right = np.rint(share * trial.n_validation).astype(np.int64)
    return right


def _within_reach(right: Sequence[NDArray[np.int64]], n_images: int) -> dict[int, Indices]:
    """The epochs that might be best in some draw, best first, by the trial that they belong to.

    ``selection`` asks the same of the images on which two rows differ; these are at most the errors
    of both, which the scores tell.
    """
    every = np.concatenate(right)
    lead, errors = every.max() - every, 2 * n_images - every.max() - every
    near = np.flatnonzero(lead**2 <= REACH**2 * errors)
    best = near[np.argsort(-every[near], kind="stable")][:MOST]
    sizes = [len(epochs) for epochs in right]
    starts = np.cumsum([0, *sizes])
    owners = np.searchsorted(starts, best, side="right") - 1
    return {int(i): best[owners == i] - starts[i] for i in np.unique(owners)}


def _unpacked(trial: TrialRecord, right: NDArray[np.int64]) -> Correctness | None:
    """One row for each epoch; None if they are not what the history says."""
    assert trial.correct_by_epoch is not None
    try:
        rows = trial.correct_by_epoch.unpack(trial.n_validation)
    except ValueError as error:
        raise StudyError(
            f"trial {trial.number} stores predictions of its epochs that cannot be read ({error}): "
            "its record is damaged"
        ) from error
    same = len(rows) == len(right) and bool((rows.sum(axis=1) == right).all())
    return rows if same else None
