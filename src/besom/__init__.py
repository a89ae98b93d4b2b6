"""besom: hyperparameter sweeps for Keras.

The public API, imported when first used::

    import besom

    besom.train(["data=mnist"])
    study = besom.sweep("quickstart", ["sweep.n_trials=10"])
    study = besom.load_study("quickstart")
    study.best.params
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from besom.api import Study, load_study, sweep, train

__all__ = ["Study", "load_study", "sweep", "train"]

#: Modules that users name, which ``import besom`` does not load.
_MODULES = ("errors", "leaderboard", "records", "seam", "statistics")


def __getattr__(name: str) -> Any:
    if name not in (*__all__, *_MODULES):
        raise AttributeError(f"module 'besom' has no attribute {name!r}")
    with warnings.catch_warnings():
        # Optuna's progress bar, which besom does not use, asks notebooks for ipywidgets.
        warnings.filterwarnings("ignore", message="IProgress not found")
        if name in _MODULES:
            return importlib.import_module(f"besom.{name}")
        return getattr(importlib.import_module("besom.api"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
