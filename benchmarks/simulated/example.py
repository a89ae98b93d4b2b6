"""The worked example of ``docs/what-may-i-claim.md``: a study of 100 trials on 10,000 examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from besom.statistics import claim
from simulated.studies import sweep_of
from simulated.worlds import spread


def worked_example() -> dict[str, Any]:
    """The row ``example``: the sentence, and every number that the page may say of the study."""
    right, truth = spread(100, 10_000, 0.975, np.random.default_rng(6))
    found = claim(sweep_of(right))
    first, second = list(found.rows)[:2]
    gain = found.baseline
    if found.corrected is None or found.standard_error is None or gain is None:
        raise ValueError(f"nothing is claimed: {found.text}")
    numbers = {
        "leader": first,
        "leader's right": f"{int(right[first].sum()):,}",
        "leader's score": _percent(right[first].mean()),
        "leader's error": _percent(found.rows[first].standard_error or 0.0),
        "corrected": _percent(found.corrected),
        "corrected error": _percent(found.standard_error),
        "leader's truth": _percent(truth[first]),
        "n tied": len(found.tied),
        "second": second,
        "second's score": _percent(right[second].mean()),
        "best": int(truth.argmax()),
        "best's truth": _percent(truth.max()),
        "raw gain": _percent(gain.raw),
        "gain": _percent(gain.gain),
        "gain's error": _percent(gain.standard_error),
        "gain's low": _percent(gain.interval.low),
        "gain's high": _percent(gain.interval.high),
        "true gain": _percent(truth[first] - truth[0]),
    }
    return {
        "cell": "example",
        "text": found.text,
        "numbers": {k: str(v) for k, v in numbers.items()},
    }


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
