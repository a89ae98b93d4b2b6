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

from besom.errors import DataError
from besom.seam import Report, TrialConfig, TrialResult
from besom.training import runtime, trial

#: Workers prepare as for any trial: that opens no test example.
prepare, prepare_another = trial.prepare, trial.prepare_another


def run_confirmation(config: TrialConfig, report: Report) -> TrialResult:
    """Train one model after ``config`` and measure it on the test examples.

    The result is that of ``besom.training.trial.run_trial``, its history bit for bit. ``numbers``
    has, beside that one's, ``test_loss`` and ``test_<metric>`` for each metric, by the weights that
    count, and ``n_test``, the number of test examples; none of these if ``report`` stopped the run.
    The examples that count here are those: ``n_validation`` is their number, and ``correct`` and
    ``per_example`` are of them.

    Raises:
        NoTestImages: the dataset has no test part; nothing was trained then.
        TrialDiverged: a metric became NaN or infinite while training.
        ConfigError, DataError: the config cannot be trained, or the data cannot be loaded.
    """
    runtime.start()
    from besom.training.epochs.job import EVALUATION_BATCH_SIZE
    from besom.training.epochs.rows import CORRECT
    from besom.training.kept_examples import Examined, kept_of_trial
    from besom.training.matching import part_matched
    from besom.training.trainer import judge

    test = _test(*runtime.data_key(config))
    size = config.get("trainer", {}).get("evaluation_batch_size")
    n_test = test.examples.n
    asked = config.get("orders", {}).get("per_example", ())
    right: bytes | None = None
    kept: dict[str, dict[str, Any]] = {}

    def measure(fitted: Any) -> Mapping[str, float]:
        nonlocal right, kept
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
        numbers = {f"test_{name}": v for name, v in measured.items()}
        wanted = {metric: [numbers[metric]] for metric in asked if metric in numbers}
        part = part_matched(fitted.model, test.examples)
        examined = Examined(part, rows, fitted.keeping, _units(config["data"], test))
        kept, _ = kept_of_trial(fitted.model, examined, wanted, 0, size or EVALUATION_BATCH_SIZE)
        return {"n_test": n_test, **numbers}

    result = trial.train(config, report, measure)
    of_test = {"n_validation": n_test, "correct": right, "per_example": kept}
    return replace(result, correct_by_epoch=None, **of_test)


def _units(data: Mapping[str, Any], test: Any) -> Any:
    """What of the test part is resampled together; None where it does not say so."""
    from besom.training.data.splits.holding_out import units_of

    try:
        return units_of(data, test, f"{test.name} (test)")
    except DataError:  # the training part has groups, or an order, and this part has not
        return None


@functools.lru_cache(maxsize=1)
def _test(node: str, suggested: str) -> Any:
    """The test part of this data, checked against its training part; opened once in a process."""
    from besom.training.data.loading import load_test

    return load_test(json.loads(node), runtime.loaded(node, suggested))
