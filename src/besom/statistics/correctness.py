"""From the packed bits that trials store to one matrix: which trial got which image right.

Comparisons between trials hold only where all were judged on the same images; what is not known to
be so is kept apart here, so that nothing above has to think of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from besom.equality import same
from besom.errors import StudyError
from besom.store.records import TrialRecord

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
