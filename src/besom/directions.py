"""Which way a metric is better, where nobody has said: by the words of its name."""

from __future__ import annotations

import re
from typing import Literal

#: Words of losses and errors, as Keras and people call them.
_LOSSES = {
    *("loss", "logloss", "error", "errors", "err", "mse", "mae", "mape", "msle", "rmse", "nll"),
    *("crossentropy", "entropy", "divergence", "kld", "perplexity", "regret", "poisson", "hinge"),
    *("huber", "cosh", "logcosh", "brier"),
}
#: Words of what one pays, or gets wrong.
_COSTS = {
    *("params", "bytes", "size", "memory", "seconds", "ms", "time", "latency", "flops", "energy"),
    *("cost", "costs", "false"),
}


def usual_direction(metric: str) -> Literal["minimize", "maximize"]:
    """``minimize`` for a name with the word of a loss, an error or a cost in it, else ``maximize``.

    Words are parted as in ``val_error_rate`` and in ``BinaryCrossentropy``.
    """
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", metric)}
    return "minimize" if words & (_LOSSES | _COSTS) else "maximize"
