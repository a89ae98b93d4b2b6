"""What a metric is, by the words of its name: which way is better, and what its values are.

Nothing else in besom reads a metric's name. A sweep is planned with what stands here, and its
study stores it (``besom.store.records.Objective``).
"""

from __future__ import annotations

import re
from typing import Literal

#: ``share``: of the examples, those that are right (an accuracy) or wrong (an error rate), from 0
#: to 1. ``loss``: never such a share, even where it has the same value. ``number``: anything else.
MetricKind = Literal["share", "loss", "number"]

_ACCURACIES = {"accuracy", "acc"}
#: Words of losses, as Keras and people call them.
_LOSSES = {
    *("loss", "logloss", "mse", "mae", "mape", "msle", "rmse", "nll", "crossentropy", "entropy"),
    *("divergence", "kld", "perplexity", "regret", "poisson", "hinge", "huber", "cosh", "logcosh"),
    "brier",
}
#: Words of an error, which may be a loss or a share.
_ERRORS = {"error", "errors", "err"}
#: Words of what one pays, or gets wrong.
_COSTS = {
    *("params", "bytes", "size", "memory", "seconds", "ms", "time", "latency", "flops", "energy"),
    *("cost", "costs", "false"),
}
#: Words that say where a metric was measured.
_PLACES = {"val", "test", "train"}


def usual_direction(metric: str) -> Literal["minimize", "maximize"]:
    """``minimize`` for a name with the word of a loss, an error or a cost in it, else ``maximize``.

    Words are split as in ``val_error_rate`` and in ``BinaryCrossentropy``.
    """
    return "minimize" if _words(metric) & (_LOSSES | _ERRORS | _COSTS) else "maximize"


def kind_of(metric: str) -> MetricKind:
    """What the values of a metric are.

    Example:
        >>> kind_of("val_accuracy"), kind_of("error_rate"), kind_of("val_loss"), kind_of("n_params")
        ('share', 'share', 'loss', 'number')
    """
    words = _words(metric)
    if words & _LOSSES or "loss" in metric.lower():
        return "loss"
    is_error_rate = words - _PLACES == {"error", "rate"}  # not a word error rate
    if words & _ACCURACIES or "accuracy" in metric.lower() or is_error_rate:
        return "share"
    return "number"


def within_place(metric: str) -> str:
    """A metric without where it was measured: ``loss`` for ``val_loss`` and ``test_loss``."""
    place, _, name = metric.partition("_")
    return name if name and place in _PLACES - {"train"} else metric


def _words(metric: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", metric)}
