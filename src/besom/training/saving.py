"""Saves a trained model, or says why it cannot be: no result is lost with it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from besom.errors import reason_of


def save_model(model: Any, path: Path) -> str | None:
    """Write the model as ``.keras``, in one atomic step.

    Args:
        model: a ``keras.Model``.
        path: the file; its folder is made.

    Returns:
        None; or, where it cannot be written for whatever reason, why and what to do about it.
        Nothing is left in its place then.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(partial)
        os.replace(partial, path)  # noqa: PTH105
    except Exception as error:  # what a user's layers raise when asked for their config is theirs
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return f"The model cannot be saved: {reason_of(error)}. {_remedy(error)}"
    return None


def _remedy(error: Exception) -> str:
    if isinstance(error, OSError | MemoryError):
        return "Free disk space or memory, or fix the permissions."
    return (
        "Give the layers that it names a get_config(), and register them with "
        "@keras.saving.register_keras_serializable()."
    )
