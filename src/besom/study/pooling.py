"""From the runs of a trial, over folds and repeats, to the one result that the trial counts with.

The folds partition the examples, so what the runs of a repeat are worth on theirs is put together
in the order of the folds: each example is predicted once, by a model that has not seen it. Repeats
predict the same examples again, so they are averaged example by example. Errors, ties and
corrections then rest on all examples, by the same tests as those of a single run.

A trial has one counted epoch: the best of the mean curve, among the epochs that all runs reached.
Each run's own best epoch would be lucky by itself, and no epoch to train a final model for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.seam import UNEXAMINED, TrialResult
from besom.store.records import Objective
from besom.study.objective import best_epoch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EndedRun:
    """Which of a trial's runs has ended, and what it took.

    Attributes:
        repeat: counted from 0.
        fold: counted from 0; None without folds.
        seed: the one that it ran with.
        seconds: how long it took in its worker.
    """

    repeat: int = 0
    fold: int | None = None
    seed: int = 0
    seconds: float = 0.0


def pooled(
    runs: Sequence[tuple[EndedRun, TrialResult]], objectives: Sequence[Objective]
) -> TrialResult:
    """Pool the results of a trial's runs into that of the trial.

    Its history has the epochs that all runs reached, each the mean over runs: of a share or a mean
    over the examples weighted by how many each run judged, so that it is that of the examples
    pooled; of any other metric (an AUC, what was measured while training) the plain mean. Numbers
    are means too.

    Args:
        runs: at least one; in any order. Not all of them are needed: of a trial that is stopped
            early, those that have ended are pooled.
        objectives: the study's. The first decides which epoch counts.
    """
    ordered = sorted(runs, key=lambda run: (run[0].repeat, run[0].fold or 0))
    results = [result for _, result in ordered]
    n_epochs = min(result.epochs for result in results)
    metrics = [m for m in results[0].history if all(m in r.history for r in results)]
    history = {
        metric: _mean_curve(metric, results, objectives, n_epochs).tolist() for metric in metrics
    }
    counted = _counted_epoch(objectives, history) if n_epochs else None
    repeats = [list(group) for _, group in groupby(ordered, key=lambda run: run[0].repeat)]
    by_repeat = [[result for _, result in of_repeat] for of_repeat in repeats]
    whole = TrialResult(
        history=history,
        numbers=_mean_numbers(results),
        best_epoch=counted,
        stopped_early=any(result.stopped_early for result in results),
        n_validation=sum(result.n_validation for result in by_repeat[0]),
        environment=_environment(results),
    )
    whole.runs = [_entry(run, result, whole, objectives[0]) for run, result in ordered]
    folds = [[run.fold for run, _ in of_repeat] for of_repeat in repeats]
    if counted is not None and all(of_repeat == folds[0] for of_repeat in folds):
        _pool_examples(whole, by_repeat, objectives)
    return whole


def _mean_curve(
    metric: str, results: Sequence[TrialResult], objectives: Sequence[Objective], n_epochs: int
) -> Floats:
    """The mean over runs of a metric after each epoch, shape (n_epochs,)."""
    curves = np.array([result.history[metric][:n_epochs] for result in results], dtype=np.float64)
    sizes = [result.n_validation for result in results]
    weighted = all(sizes) and _is_mean_over_examples(metric, results, objectives)
    return np.asarray(np.average(curves, axis=0, weights=sizes if weighted else None))


def _is_mean_over_examples(
    metric: str, results: Sequence[TrialResult], objectives: Sequence[Objective]
) -> bool:
    kinds = {result.per_example.get(metric, {}).get("kind") for result in results}
    if kinds & {"share", "mean", "other"}:
        return kinds <= {"share", "mean"}
    # A share may have the bits of what is right alone.
    return any(o.metric == metric and o.is_share for o in objectives)


def _counted_epoch(objectives: Sequence[Objective], history: Mapping[str, list[float]]) -> int:
    """By the first objective that picks its epoch, as in ``objective_values``; else the last."""
    picking = (best_epoch(o, history) for o in objectives if o.epoch == "best")
    last = max(len(values) for values in history.values())
    return next((epoch for epoch in picking if epoch is not None), last)


def _mean_numbers(results: Sequence[TrialResult]) -> dict[str, float]:
    """The mean of each number that all runs have; what is the same in all stays what it is."""
    found: dict[str, float] = {}
    for name, first in results[0].numbers.items():
        values = [result.numbers[name] for result in results if name in result.numbers]
        if len(values) == len(results):
            found[name] = first if len(set(values)) == 1 else float(np.mean(values))
    return found


def _environment(results: Sequence[TrialResult]) -> dict[str, Any]:
    """The first run's, with the remarks of all, and what no run could examine."""
    found = dict(results[0].environment)
    for key in ("remarks", UNEXAMINED):
        merged: dict[str, Any] = {}
        for result in results:
            merged = {**result.environment.get(key, {}), **merged}
        if merged:
            found[key] = merged
    if "n_classes_unjudged" in found:
        # A class that one fold does not have is judged in another.
        found["n_classes_unjudged"] = min(
            result.environment.get("n_classes_unjudged", 0) for result in results
        )
    return found


def _entry(
    run: EndedRun, result: TrialResult, whole: TrialResult, objective: Objective
) -> dict[str, Any]:
    """What is stored of a run, see ``besom.store.records.TrialRecord``."""
    curve = result.history.get(objective.metric)
    value = result.numbers.get(objective.metric)
    if curve and whole.best_epoch is not None:
        value = curve[(whole.best_epoch if objective.epoch == "best" else whole.epochs) - 1]
    return {
        "repeat": run.repeat,
        "fold": run.fold,
        "seed": run.seed,
        "value": value,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "seconds": run.seconds,
    }


def _pool_examples(
    whole: TrialResult,
    by_repeat: Sequence[Sequence[TrialResult]],
    objectives: Sequence[Objective],
) -> None:
    """Fill in what is known of each example, where it is of all runs."""
    results = [result for of_repeat in by_repeat for result in of_repeat]
    metrics = [m for m in results[0].per_example if all(m in r.per_example for r in results)]
    for metric in metrics:
        kinds = {result.per_example[metric]["kind"] for result in results}
        if kinds == {"other"}:
            known = _pooled_draws(metric, whole, by_repeat)
        else:
            parts = [
                [_rows_of(run.per_example[metric], run, whole) for run in repeat]
                for repeat in by_repeat
            ]
            known = None if "other" in kinds else _pooled_rows(metric, whole, parts, by_repeat)
        if known is not None:
            whole.per_example[metric] = known
    _pool_rights(whole, by_repeat, objectives)


def _pool_rights(
    whole: TrialResult,
    by_repeat: Sequence[Sequence[TrialResult]],
    objectives: Sequence[Objective],
) -> None:
    """Fill in which examples are right; with repeats, how often, for the metrics that say so."""
    rights = [[_rights_of(result, whole) for result in repeat] for repeat in by_repeat]
    if len(by_repeat) == 1:
        packed = _packed_epochs(_concatenated(rights[0]), whole, "share")
        if packed is not None:
            whole.correct, whole.correct_by_epoch = packed["values"], packed.get("by_epoch")
        return
    right = _averaged(rights)
    wrong = {epoch: 1.0 - row for epoch, row in right.items()}
    for metric in (o.metric for o in objectives if not o.is_loss and o.metric in whole.history):
        found = next((r for r in (right, wrong) if _come_to(whole.history[metric], r)), {})
        known = _packed_epochs(found, whole, "mean")
        if known is not None and metric not in whole.per_example:
            whole.per_example[metric] = known


#: One row for each epoch of the pooled history; only the counted one's where that is all there is.
_Rows = Mapping[int, NDArray[Any]]


def _decoded(kind: str, packed: bytes, n: int) -> NDArray[Any]:
    if kind == "share":
        return np.unpackbits(np.frombuffer(packed, np.uint8), count=n).view(np.bool_)
    return np.frombuffer(packed, "<f4")


def _rows_of(known: Mapping[str, Any], result: TrialResult, whole: TrialResult) -> _Rows:
    """What is known of the examples of a run, as ``TrialResult.per_example`` has it."""
    kind, n = known["kind"], result.n_validation
    if by_epoch := known.get("by_epoch"):
        return {epoch: _decoded(kind, by_epoch[epoch], n) for epoch in range(whole.epochs)}
    own = result.best_epoch or result.epochs
    if known["values"] is None or own != whole.best_epoch:
        return {}  # what is known is of another epoch than the one that counts
    return {own - 1: _decoded(kind, known["values"], n)}


def _rights_of(result: TrialResult, whole: TrialResult) -> _Rows:
    rights = {"kind": "share", "values": result.correct, "by_epoch": result.correct_by_epoch}
    return _rows_of(rights, result, whole)


def _concatenated(parts: Sequence[_Rows]) -> _Rows:
    epochs = [e for e in parts[0] if all(e in part for part in parts)]
    return {e: np.concatenate([part[e] for part in parts]) for e in epochs}


def _averaged(parts: Sequence[Sequence[_Rows]]) -> _Rows:
    """The folds put together, and the mean over repeats of each example."""
    repeats = [_concatenated(of_repeat) for of_repeat in parts]
    epochs = [e for e in repeats[0] if all(e in rows for rows in repeats)]
    return {e: np.mean([rows[e] for rows in repeats], axis=0, dtype=np.float64) for e in epochs}


def _packed_epochs(rows: _Rows, whole: TrialResult, kind: str) -> dict[str, Any] | None:
    """As ``TrialResult.per_example`` has it; None where the epoch that counts is not known."""
    assert whole.best_epoch is not None
    if whole.best_epoch - 1 not in rows:
        return None

    def packed(row: NDArray[Any]) -> bytes:
        return (np.packbits(row) if kind == "share" else row.astype("<f4")).tobytes()

    known: dict[str, Any] = {"kind": kind, "values": packed(rows[whole.best_epoch - 1])}
    if len(rows) == whole.epochs > 1:
        known["by_epoch"] = [packed(rows[e]) for e in range(whole.epochs)]
    return known


def _come_to(values: Sequence[float], rows: _Rows) -> bool:
    """Whether the mean of what is known is the metric, after each epoch, but for rounding."""
    return all(abs(row.mean() - values[epoch]) <= 0.5 / row.size for epoch, row in rows.items())


def _pooled_rows(
    metric: str,
    whole: TrialResult,
    parts: Sequence[Sequence[_Rows]],
    by_repeat: Sequence[Sequence[TrialResult]],
) -> dict[str, Any] | None:
    """A share or a mean: one number for each example, or for each group of them."""
    known = [result.per_example[metric] for of_repeat in by_repeat for result in of_repeat]
    if len(by_repeat) == 1 and all(of_run["kind"] == "share" for of_run in known):
        return _packed_epochs(_concatenated(parts[0]), whole, "share")
    if not all("units" in of_run for of_run in known):
        return _packed_epochs(_averaged(parts), whole, "mean")
    pairs = zip(parts, by_repeat, strict=True)
    resized = [_resized(metric, rows, of_repeat) for rows, of_repeat in pairs]
    found = _packed_epochs(_averaged(resized), whole, "mean")
    n_units = sum(result.per_example[metric]["units"] for result in by_repeat[0])
    return found and {**found, "units": n_units}


def _resized(metric: str, parts: Sequence[_Rows], results: Sequence[TrialResult]) -> list[_Rows]:
    """The folds' numbers of groups, such that the mean of all is that over all examples.

    A fold's are scaled by the mean size of its groups (``besom.training.kept_examples.by_unit``),
    which may differ from fold to fold. Bringing them to that of all folds is exact for the mean;
    their scatter is that of groups that are equally large within each fold.
    """
    sizes = np.array([result.n_validation for result in results], dtype=np.float64)
    units = np.array([result.per_example[metric]["units"] for result in results])
    factors = (sizes / units) / (sizes.sum() / units.sum())
    found: list[_Rows] = []
    for factor, rows in zip(factors, parts, strict=True):
        resized = {}
        for epoch, row in rows.items():
            values = [result.history[metric][epoch] for result in results]
            mean = np.average(values, weights=sizes)
            resized[epoch] = mean + factor * (row.astype(np.float64) - mean)
        found.append(resized)
    return found


def _pooled_draws(
    metric: str, whole: TrialResult, by_repeat: Sequence[Sequence[TrialResult]]
) -> dict[str, Any] | None:
    """A metric that does not come apart: the mean over runs of its scores on each draw.

    Folds have no example in common, so the mean over folds of one draw in each is one draw of the
    mean over folds. Folds of one size were drawn alike, position by position, which examples that
    are sorted would correlate: each fold takes its draws from another place in the list, the same
    in all trials. Repeats have the same examples, and the same draws.

    Each run was drawn by the weights of its own best epoch. The draws are moved to the value that
    counts, so their scatter is that of another epoch; as a rule, a near one.
    """
    assert whole.best_epoch is not None
    drawn, own = [], []
    for of_repeat in by_repeat:
        for fold, result in enumerate(of_repeat):
            scores = np.frombuffer(result.per_example[metric]["values"], "<f4").reshape(2, -1)
            drawn.append(np.roll(scores, fold, axis=1))
            own.append(result.history[metric][(result.best_epoch or result.epochs) - 1])
    if len({scores.shape for scores in drawn}) > 1:
        return None
    moved = whole.history[metric][whole.best_epoch - 1] - float(np.mean(own))
    mean = np.mean(drawn, axis=0, dtype=np.float64) + moved
    return {"kind": "other", "values": mean.astype("<f4").tobytes()}
