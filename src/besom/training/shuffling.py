"""The order in which a run sees its images: one permutation an epoch, from the run's seed alone.

NumPy's, not TensorFlow's: it is the same on every device and version, for every engine, and it
does not depend on what ran before in the process.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray[Any, Any]:
    """Return the permutation of ``range(n)`` for ``epoch`` (from 1): int32, shape (n,)."""
    order = np.arange(n, dtype=np.int32)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order
