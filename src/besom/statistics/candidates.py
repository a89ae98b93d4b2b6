"""What the best trial was picked from: trials, and where the best epoch counts, their epochs.

With ``epoch: best`` a trial's score is that of its luckiest epoch, so a correction for the picking
must know the others too (``candidates``). Which epochs could have been picked at all is decided
from their scores alone; only of those are the stored predictions unpacked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.errors import StudyError
from besom.statistics.correctness import ScoredRow, bits_of
from besom.statistics.kinds import REACH, Table, stacked
from besom.store.records import Objective, TrialRecord

#: No more candidates than this take part, the best by score: time and memory stay bounded. Among
#: 20,000 unrelated equals, with 1.27 points of luck, that leaves 0.01 of them in the score.
MOST = 2000

#: Nor more numbers than this, of metrics that have a number for each example.
_MOST_NUMBERS = 50_000_000

#: The mean of an epoch's stored numbers may differ from the history by so much of it, and by a
#: hundredth of its standard error: they may be float16.
_ROUNDING = 1e-3

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Candidates:
    """What could have been picked.

    Attributes:
        table: a row each; a trial's rows stand together, the one that counts first, and the first
            trial's before all others.
        trial: shape ``(n_candidates,)``: the index of the trial that each row belongs to.
        n_unknown: trials whose epoch was picked from several, of which only that one is known.
        n_epochs: from how many, at most; 1 if there is no such trial.
    """

    table: Table
    trial: Indices
    n_unknown: int
    n_epochs: int


def n_epochs_picked_from(trial: TrialRecord, objective: Objective) -> int:
    """Return among how many epochs the trial's score is the best; 1 if it was not picked."""
    if objective.epoch != "best":
        return 1
    return max(len(trial.history.get(objective.metric, ())), 1)


def candidates(
    trials: Sequence[TrialRecord], objective: Objective, known: Sequence[ScoredRow]
) -> Candidates:
    """Return what the best of the trials was picked from.

    Args:
        trials: the first has the best score; all were judged on the same examples.
        objective: by which they were picked.
        known: what each of them scored.

    Raises:
        StudyError: a trial's stored bits are damaged.
    """
    scores = [_scores(trial, objective, row) for trial, row in zip(trials, known, strict=True)]
    n_examples, most = None, MOST
    if known[0].kind == "share":
        n_examples = trials[0].n_validation
    elif known[0].kind == "mean":
        most = max(min(MOST, _MOST_NUMBERS // known[0].row.size), 2)
    within_reach = _within_reach(scores, n_examples, most)
    unknown = [
        n_epochs
        for trial, of_epochs in zip(trials, scores, strict=True)
        if len(of_epochs) == 1 and (n_epochs := n_epochs_picked_from(trial, objective)) > 1
    ]
    rows: list[Any] = []
    owners: list[int] = []
    for index, epochs in within_reach.items():
        n_epochs, found = len(scores[index]), None
        if n_epochs > 1:
            found = _by_epoch(trials[index], objective, scores[index])
            if found is None:
                unknown.append(n_epochs)
        mine = [known[index].row] if found is None else list(found[epochs])
        rows += mine
        owners += [index] * len(mine)
    return Candidates(
        table=stacked(*rows),
        trial=np.array(owners, dtype=np.intp),
        n_unknown=len(unknown),
        n_epochs=max(unknown, default=1),
    )


def _scores(trial: TrialRecord, objective: Objective, known: ScoredRow) -> NDArray[np.float64]:
    """The score of each epoch that is stored, one or all; of shares the number right."""
    n_epochs = n_epochs_picked_from(trial, objective)
    is_stored = known.kind != "other" and n_epochs > 1
    if known.kind == "share":
        is_stored &= bits_of(trial, objective)[1] is not None
    elif is_stored:
        is_stored = trial.per_example.has_epochs(objective.metric)
    values = np.array([known.value], dtype=np.float64)
    if is_stored:
        values = np.array(trial.history[objective.metric], dtype=np.float64)
    if known.kind != "share":
        return objective.sign * values
    return np.rint((values if objective.sign > 0 else 1.0 - values) * trial.n_validation)


def _within_reach(
    scores: Sequence[NDArray[np.float64]], n_examples: int | None, most: int
) -> dict[int, Indices]:
    """The epochs that might be best in some draw, best first, by the trial that they belong to.

    ``selection`` asks the same of the examples on which two rows differ; of shares these are at
    most the errors of both, which the scores tell. Of other metrics the scores do not tell.
    """
    every = np.concatenate(scores)
    near = np.arange(len(every))
    if n_examples is not None:
        lead, errors = every.max() - every, 2 * n_examples - every.max() - every
        near = np.flatnonzero(lead**2 <= REACH**2 * errors)
    best = near[np.argsort(-every[near], kind="stable")][:most]
    sizes = [len(epochs) for epochs in scores]
    starts = np.cumsum([0, *sizes])
    owners = np.searchsorted(starts, best, side="right") - 1
    return {int(i): best[owners == i] - starts[i] for i in np.unique(owners)}


def _by_epoch(
    trial: TrialRecord, objective: Objective, scores: NDArray[np.float64]
) -> NDArray[Any] | None:
    """One row for each epoch; None if they are not what the history says, or are lost."""
    if trial.per_example.kind(objective.metric) == "mean":
        numbers = trial.per_example.by_epoch(objective.metric)
        n_units = trial.per_example.n_units(objective.metric, trial.n_validation)
        if numbers is None or numbers.shape != (len(scores), n_units):
            return None
        rows = objective.sign * numbers.astype(np.float32)
        off = np.abs(rows.mean(axis=1, dtype=np.float64) - scores)
        luck = rows.std(axis=1, dtype=np.float64) / math.sqrt(n_units)
        return rows if bool((off <= _ROUNDING * np.abs(scores) + luck / 100.0).all()) else None
    _, stored, are_right = bits_of(trial, objective)
    assert stored is not None
    try:
        bits = stored.unpack(trial.n_validation)
    except ValueError as error:
        raise StudyError(
            f"trial {trial.number} stores predictions of its epochs that cannot be read ({error}): "
            "its record is damaged"
        ) from error
    right = bits if are_right else ~bits
    same = len(right) == len(scores) and bool((right.sum(axis=1) == scores).all())
    return right if same else None
