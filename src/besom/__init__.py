"""besom: hyperparameter sweeps for Keras.

The public API, imported when first used::

    import besom

    besom.train(["data=mnist"])
    study = besom.sweep("quickstart", ["sweep.n_trials=10"])
    besom.load_study("quickstart").complete
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from besom.api import load_study, sweep, train

__all__ = ["load_study", "sweep", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from besom import api

        return getattr(api, name)
    raise AttributeError(f"module 'besom' has no attribute {name!r}")
