"""From what an engine kept of each example to what a trial gives back of it.

Only what comes to the metric itself is given back. A loss that an engine measured with another part
in it, or a metric that is averaged over batches, has nothing to stand on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from besom.errors import reason_of
from besom.training.data.examples import Examples, Stream
from besom.training.epochs.batches import cached, evaluation_batches
from besom.training.epochs.per_example import BootstrapScores, agrees, draws_of
from besom.training.epochs.rows import CORRECT, Kept, Rows
from besom.training.trial import KeptOfTrial, bare


def kept_of_trial(
    model: Any,
    part: Examples | Stream,
    wanted: Mapping[str, list[float]],
    counted: int,
    keeping: Rows,
    rows: Kept | None,
    by_epoch: list[Kept],
    batch_size: int,
) -> KeptOfTrial:
    """Return what is known of each example by the metrics wanted.

    Args:
        model: with the weights that count.
        part: the examples, as they were matched to the model.
        wanted: metric, such as ``val_loss``, to its value after each epoch, or its only one.
        counted: the position in these lists of the epoch that counts.
        keeping: said what is kept of each example.
        rows: what was, by the weights that count.
        by_epoch: the numbers of every epoch; of another number of them: not known.
        batch_size: examples predicted at once.
    """
    found, rows = KeptOfTrial(), rows or {}
    left: dict[str, str] = {}
    for metric, values in wanted.items():
        name, value = bare(metric), values[counted]
        if (right := rows.get(CORRECT)) is not None and _are_share(right, value):
            continue  # it has its bits
        if (row := rows.get(name)) is None:
            left[name] = metric
        elif not agrees(float(row.mean(dtype=np.float64)), value, _luck(row)):
            found.reasons[metric] = "has a part that is of a batch"
        else:
            kind = keeping.per_example.kinds[name] if keeping.per_example else "mean"
            epochs = [kept[name] for kept in by_epoch if name in kept]
            found.per_example[metric] = _packed(kind, row, epochs if _fit(epochs, values) else [])
    if left:
        _draw(
            found, model, part, {n: wanted[m][counted] for n, m in left.items()}, left, batch_size
        )
    return found


def _draw(
    found: KeptOfTrial,
    model: Any,
    part: Examples | Stream,
    values: Mapping[str, float],
    metrics: Mapping[str, str],
    batch_size: int,
) -> None:
    """Add what is known of the metrics that do not come apart into examples."""
    try:
        drawn = draws_of(model, evaluation_batches(cached(part), batch_size), values)
    except Exception as error:  # what is optional never decides a trial's outcome
        drawn = dict.fromkeys(values, f"cannot be drawn: {reason_of(error)}")
    for name, scores in drawn.items():
        if isinstance(scores, BootstrapScores):
            both = np.stack([scores.drawn, scores.left_out]).astype("<f4")
            usable = np.isfinite(both).all(axis=0)  # a draw may lack a class
            if usable.all():
                found.per_example[metrics[name]] = {"kind": "other", "values": both.tobytes()}
            else:
                found.reasons[metrics[name]] = "is undefined on some bootstrap draws"
        else:
            found.reasons[metrics[name]] = scores


def _are_share(right: np.ndarray[Any, Any], value: float) -> bool:
    share = float(right.mean())
    return min(abs(share - value), abs(1.0 - share - value)) <= 0.5 / right.size


def _luck(row: np.ndarray[Any, Any]) -> float:
    return float(row.std(dtype=np.float64)) / math.sqrt(row.size)


def _fit(epochs: list[Any], values: list[float]) -> bool:
    """Whether the numbers of every epoch are known, and are what the history says."""
    return len(epochs) == len(values) > 1 and all(
        agrees(float(row.mean(dtype=np.float64)), value, _luck(row))
        for row, value in zip(epochs, values, strict=True)
    )


def _packed(kind: str, row: Any, epochs: list[Any]) -> dict[str, Any]:
    def packed(numbers: Any) -> bytes:
        bits = np.packbits(numbers > 0.5) if kind == "share" else numbers.astype("<f4")
        return bytes(bits.tobytes())

    more = {"by_epoch": [packed(numbers) for numbers in epochs]} if epochs else {}
    return {"kind": kind, "values": packed(row), **more}
