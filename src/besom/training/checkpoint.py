"""The state of a run between two epochs, so that a screened trial goes on instead of starting over.

Held are the weights, the optimizer's and the random generators' state, the history and what the
watch knows: a run that is interrupted and continued gives the same numbers as one that is not.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from besom.training.watch import Watch

log = logging.getLogger("besom")


def save(path: Path, model: Any, watch: Watch) -> None:
    """Write the state after the last epoch, in one atomic step.

    A full disk costs the state, not the trial: whoever continues it then begins at the beginning.

    Args:
        path: the file; its folder is made.
        model: the compiled model, its optimizer built.
        watch: the run's watch.
    """
    arrays = {f"model{i}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"best{i}": w for i, w in enumerate(watch.best_weights or ())}
    if watch.correct_by_epoch:
        rows = [np.frombuffer(row, np.uint8) for row in watch.correct_by_epoch]
        arrays["correct_by_epoch"] = np.stack(rows)
    state = {"history": watch.history, "best_epoch": watch.best_epoch, "best": watch.best}
    arrays["state"] = np.array(json.dumps(state))
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(partial, path)  # noqa: PTH105
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        log.warning("The trial's state is not kept in %s: %s", path, error)


def restore(path: Path, model: Any, watch: Watch) -> int:
    """Put the state back into a freshly built run of the same config.

    Args:
        path: what ``save`` wrote; where it is missing, the run begins at the beginning.
        model: the compiled model, its optimizer built.
        watch: the run's watch, empty.

    Returns:
        The epochs already run.
    """
    if not path.is_file():
        return 0
    with np.load(path, allow_pickle=False) as stored:
        for i, variable in enumerate(model.variables):
            variable.assign(stored[f"model{i}"])
        for i, variable in enumerate(model.optimizer.variables):
            variable.assign(stored[f"optimizer{i}"])
        state = json.loads(str(stored["state"]))
        best = [stored[f"best{i}"] for i in range(len(model.weights)) if f"best{i}" in stored]
        correct = stored.get("correct_by_epoch")
    return watch.resume(
        state["history"],
        state["best_epoch"],
        state["best"],
        best or None,
        None if correct is None else [row.tobytes() for row in correct],
    )
