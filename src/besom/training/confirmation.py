"""A confirmation: trains like any trial, then measures the test examples, once, at the very end.

The only way from a worker to the test set; only ``besom confirm --on test`` names it, after it has
logged the use. Training never sees them: they are not passed to it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime, trial

#: Workers prepare as for any trial: that opens no test example.
prepare, prepare_another = trial.prepare, trial.prepare_another


def run_confirmation(config: TrialConfig, report: Report) -> TrialResult:
    """Train one model after ``config`` and measure it on the test examples.

    The result is that of ``besom.training.trial.run_trial``, its history bit for bit. ``numbers``
    has, beside that one's, ``test_loss`` and ``test_<metric>`` for each metric, by the weights that
    count, and ``n_test``, the number of test examples; none of these if ``report`` stopped the run.
    The examples that count here are those: ``n_validation`` is their number, and ``correct`` has a
    bit for each of them.

    Raises:
        NoTestImages: the dataset has no test part; nothing was trained then.
        TrialDiverged: a metric became NaN or infinite while training.
        ConfigError, DataError: the config cannot be trained, or the data cannot be loaded.
    """
    runtime.start()
    from besom.training.epochs.rows import CORRECT
    from besom.training.trainer import judge

    test = _test(json.dumps(config["data"], sort_keys=True))
    size = config.get("trainer", {}).get("evaluation_batch_size")
    n_test = test.examples.n
    right: bytes | None = None

    def measure(fitted: Any) -> Mapping[str, float]:
        nonlocal right
        measured, rows = judge(
            fitted.model,
            test.x,
            test.y,
            test.scale,
            size,
            fitted.engine,
            test.sample_weight,
            fitted.keeping,
        )
        each = (rows or {}).get(CORRECT)
        right = None if each is None else np.packbits(each).tobytes()
        return {"n_test": n_test, **{f"test_{name}": v for name, v in measured.items()}}

    result = trial.train(config, report, measure)
    return replace(result, n_validation=n_test, correct=right, correct_by_epoch=None)


@functools.lru_cache(maxsize=1)
def _test(node: str) -> Any:
    """The test part of this data, checked against its training part; opened once in a process."""
    from besom.training.data.loading import load_test

    config = {"data": json.loads(node)}
    return load_test(config["data"], runtime.training_data(config))
