"""Saves a trained model, or the state of a run between two epochs.

With the state, a screened trial goes on instead of starting over. It holds the weights that
training goes on from, the optimizer's and the random generators' state, the history and what the
watch knows, the weights that were measured included. A run that is interrupted and continued gives
the same numbers as one that is not.

What cannot be saved costs the file, never the trial's result.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import reason_of
from besom.seam import MODEL_NOTES
from besom.training.epochs.watch import Watch


def save_model(model: Any, path: Path, data: Any = None) -> str | None:
    """Write the model as ``.keras``, in one atomic step.

    A table's model takes its columns. What the model does not say itself (the names of its classes)
    is in the archive too, as JSON.

    Args:
        model: a ``keras.Model``.
        path: the file; its folder is made.
        data: the ``besom.training.data.TrainingData`` it was trained on; None: not known.

    Returns:
        None; or, where it cannot be written for whatever reason, why and what to do about it.
        Nothing is left in its place then.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _raw_model(model, data) as exported:
            exported.save(partial)
        if data is not None and data.class_names is not None:
            with zipfile.ZipFile(partial, "a") as archive:
                archive.writestr(MODEL_NOTES, json.dumps({"class_names": _plain(data.class_names)}))
        os.replace(partial, path)  # noqa: PTH105
    except Exception as error:  # a user's layers may raise anything when asked for their config
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return f"The model cannot be saved: {reason_of(error)}. {_remedy(error)}"
    return None


def _raw_model(model: Any, data: Any) -> contextlib.AbstractContextManager[Any]:
    columns = None if data is None else data.columns
    if columns is None or not columns.is_applied:
        return contextlib.nullcontext(model)
    return columns.raw_model(model)  # type: ignore[no-any-return]


def _plain(names: Any) -> Any:
    """Class names as JSON has them."""
    if isinstance(names, Mapping):
        return {str(output): _plain(own) for output, own in names.items()}
    return None if names is None else [str(name) for name in names]


def load_kept(path: Path, data: Any) -> Any:
    """Load a model that ``save_model`` wrote, as it was trained: on what ``data`` holds.

    Args:
        path: the file.
        data: the ``besom.training.data.TrainingData`` it was trained on.
    """
    import keras

    from besom.training.fast.keras_private import producer

    model = keras.models.load_model(path, compile=False)
    is_raw = data.columns is not None and data.columns.is_applied
    return producer(model.outputs[0]) if is_raw else model


def load_model(path: Path, own: Mapping[str, Any]) -> Any:
    """Load a model that ``save_model`` wrote, as anyone does who has the file.

    Args:
        path: the file.
        own: classes and functions that it may name, by their names.

    Returns:
        The model; compiled where its loss and metrics can be loaded too.
    """
    import keras

    load = functools.partial(keras.saving.load_model, path, custom_objects=dict(own))
    try:
        return load()
    except Exception:  # a loss of the user's may not be at hand; predicting needs none
        return load(compile=False)


def _remedy(error: Exception) -> str:
    if isinstance(error, OSError | MemoryError):
        return "Free disk space or memory, or fix the permissions."
    return (
        "Give the layers that it names a get_config(), and register them with "
        "@keras.saving.register_keras_serializable()."
    )


log = logging.getLogger("besom")


def save_state(path: Path, model: Any, watch: Watch) -> None:
    """Write the state after the last epoch, in one atomic step.

    If it cannot be written, the trial is not lost: whoever continues it starts at its first epoch.

    Args:
        path: the file; its folder is made.
        model: the compiled model, its optimizer built.
        watch: the run's watch.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, **_arrays(model, watch))
        os.replace(partial, path)  # noqa: PTH105
    except Exception as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        log.warning("The trial's state could not be saved in %s: %s", path, reason_of(error))


def _arrays(model: Any, watch: Watch) -> dict[str, Any]:
    arrays = {f"model{i}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"best{i}": w for i, w in enumerate(watch.kept_weights or ())}
    if watch.correct_by_epoch:
        rows = [np.frombuffer(row, np.uint8) for row in watch.correct_by_epoch]
        arrays["correct_by_epoch"] = np.stack(rows)
    state = {"history": watch.history, "best_epoch": watch.best_epoch, "best": watch.best}
    return arrays | {"state": np.array(json.dumps(state))}


def restore_state(path: Path, model: Any, watch: Watch) -> int:
    """Restore the state in a newly built run of the same config.

    Args:
        path: what ``save_state`` wrote; where it is missing, or not of such a run, the run
            starts at its first epoch.
        model: the compiled model, its optimizer built.
        watch: the run's watch, empty.

    Returns:
        The epochs already run.
    """
    if not path.is_file():
        return 0
    variables = [*model.variables, *model.optimizer.variables]
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = [
                *(stored[f"model{i}"] for i in range(len(model.variables))),
                *(stored[f"optimizer{i}"] for i in range(len(model.optimizer.variables))),
            ]
            state = json.loads(str(stored["state"]))
            kept = [stored[f"best{i}"] for i in range(len(model.weights)) if f"best{i}" in stored]
            correct = stored.get("correct_by_epoch")
        history, best_epoch, best = (state[key] for key in ("history", "best_epoch", "best"))
        _check_fit(values, variables)
    except Exception as error:  # a damaged file raises whatever zip, NumPy and JSON raise
        log.warning(
            "The trial starts from its first epoch: its state in %s cannot be read: %s",
            path,
            reason_of(error),
        )
        return 0
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    rows = None if correct is None else [row.tobytes() for row in correct]
    return watch.resume(history, best_epoch, best, kept or None, rows)


def _check_fit(values: list[Any], variables: list[Any]) -> None:
    """Refuse values that cannot be assigned, before any is."""
    for value, variable in zip(values, variables, strict=True):
        if value.shape != tuple(variable.shape) or value.dtype != np.asarray(variable).dtype:
            raise ValueError(f"{variable.path} has another shape or type there")
