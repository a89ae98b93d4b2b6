"""From what an engine kept of each example to what a trial gives back of it.

Only what comes to the metric itself is given back. A loss that an engine measured with another part
in it, or a metric that is averaged over batches, has nothing to stand on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.errors import reason_of
from besom.metrics import within_place
from besom.training.data.examples import Examples, Stream
from besom.training.epochs.batches import cached, evaluation_batches
from besom.training.epochs.per_example import (
    NO_MEAN,
    BootstrapScores,
    agrees,
    draws_of,
    is_accuracy,
)
from besom.training.epochs.rows import CORRECT, Kept, Rows


@dataclass(frozen=True)
class Examined:
    """Examples that a model was measured on, and what was kept of each.

    Attributes:
        part: the examples, as they were matched to the model.
        rows: what was kept of each, by the weights that count.
        keeping: said what is kept.
        units: (n,) numbers: examples with the same one are no independent evidence, and are
            resampled together; None: each stands for itself.
        rows_by_epoch: the numbers after each epoch; of another number of epochs: not known.
        correct_by_epoch: the packed bits after each epoch; None: not known.
        compiled_later: whether the model was compiled anew since, maybe with another loss.
    """

    part: Examples | Stream
    rows: Kept | None
    keeping: Rows
    units: Any = None
    rows_by_epoch: Sequence[Kept] = ()
    correct_by_epoch: Sequence[bytes] | None = None
    compiled_later: bool = False


#: Why a metric has nothing of its own for each example, where the model is not compiled as it was.
RECOMPILED = "was measured before the model was compiled anew"


def kept_of_trial(
    model: Any, examined: Examined, wanted: Mapping[str, list[float]], counted: int, batch_size: int
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what is known of each example by the metrics wanted.

    Args:
        model: with the weights that count.
        examined: what it was measured on.
        wanted: metric, such as ``val_loss``, to its value after each epoch, or its only one.
        counted: the position in these lists of the epoch that counts.
        batch_size: examples predicted at once.

    Returns:
        ``TrialResult.per_example``, and why a metric is not in it (``besom.seam.UNEXAMINED``).
    """
    found: dict[str, dict[str, Any]] = {}
    reasons: dict[str, str] = {}
    rows, units = examined.rows or {}, examined.units
    left: dict[str, str] = {}
    right = rows.get(CORRECT)
    rights = []
    if right is not None:
        rights = [_unpacked(bits, right.size) for bits in examined.correct_by_epoch or ()]
    for metric, values in wanted.items():
        name, value = within_place(metric), values[counted]
        is_right = right is not None and is_accuracy(model, name)
        if right is not None and is_right and _are_share(right, value, rights, values):
            if units is not None:
                found[metric] = _packed("mean", right, rights, values, units)
            continue  # else ``correct`` has its bits, those of this metric alone
        if (row := rows.get(name)) is None:
            left[name] = metric
        elif not agrees(float(row.mean(dtype=np.float64)), value, _luck(row)):
            reasons[metric] = NO_MEAN
        else:
            judge = examined.keeping.per_example
            kind = "mean" if judge is None or units is not None else judge.kinds[name]
            epochs = [kept[name] for kept in examined.rows_by_epoch if name in kept]
            found[metric] = _packed(kind, row, epochs, values, units)
    if left:
        at_epoch = {name: wanted[metric][counted] for name, metric in left.items()}
        for name, scores in _drawn(model, examined, at_epoch, batch_size).items():
            if isinstance(scores, str):
                reasons[left[name]] = scores
            else:
                found[left[name]] = {"kind": "other", "values": scores}
    if examined.compiled_later:
        reasons = {m: RECOMPILED if why == NO_MEAN else why for m, why in reasons.items()}
    return found, reasons


def _drawn(
    model: Any, examined: Examined, values: Mapping[str, float], batch_size: int
) -> dict[str, bytes | str]:
    """Scores on draws of metrics that do not come apart into examples; or why there are none."""
    try:
        batches = evaluation_batches(cached(examined.part), batch_size)
        drawn = draws_of(model, batches, values, examined.units)
    except Exception as error:  # what is optional never decides a trial's outcome
        return dict.fromkeys(values, f"cannot be drawn: {reason_of(error)}")
    found: dict[str, bytes | str] = {}
    for name, scores in drawn.items():
        if not isinstance(scores, BootstrapScores):
            found[name] = scores
            continue
        both = np.stack([scores.drawn, scores.left_out]).astype("<f4")
        finite = bool(np.isfinite(both).all())
        found[name] = both.tobytes() if finite else "is undefined on some bootstrap draws"
    return found


def _unpacked(bits: bytes, n: int) -> Any:
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=n)


def by_unit(row: Any, units: Any) -> Any:
    """One number per unit, whose mean is that of the examples, and whose scatter is its luck.

    Units differ in size, so the mean over examples is a ratio: the sum over units by their number
    of examples. This is that ratio, with the residual ``sum - ratio size`` of each unit on top
    (Cochran 1977, Sampling Techniques, section 6.4).
    """
    sizes, sums = np.bincount(units), np.bincount(units, weights=np.asarray(row, np.float64))
    ratio = sums.sum() / sizes.sum()
    return ratio + (sums - ratio * sizes) / sizes.mean()


def _are_share(right: Any, value: float, epochs: Sequence[Any], values: Sequence[float]) -> bool:
    """Whether the accuracy is the share that is right, after each epoch that is known."""
    pairs = [(right, value)]
    if len(epochs) == len(values):
        pairs += zip(epochs, values, strict=True)
    return all(abs(float(row.mean()) - at) <= 0.5 / right.size for row, at in pairs)


def _luck(row: np.ndarray[Any, Any]) -> float:
    return float(row.std(dtype=np.float64)) / math.sqrt(row.size)


def _packed(
    kind: str, row: Any, epochs: list[Any], values: list[float], units: Any
) -> dict[str, Any]:
    """As it crosses the seam; the epochs only where they are all there, and as in the history."""

    def packed(numbers: Any) -> bytes:
        if kind == "share":
            return bytes(np.packbits(numbers > 0.5).tobytes())
        numbers = numbers if units is None else by_unit(numbers, units)
        return bytes(np.asarray(numbers).astype("<f4").tobytes())

    kept: dict[str, Any] = {"kind": kind, "values": packed(row)}
    if len(epochs) == len(values) > 1 and all(
        agrees(float(numbers.mean(dtype=np.float64)), value, _luck(numbers))
        for numbers, value in zip(epochs, values, strict=True)
    ):
        kept["by_epoch"] = [packed(numbers) for numbers in epochs]
    if units is not None:
        kept["units"] = int(np.max(units)) + 1
    return kept
