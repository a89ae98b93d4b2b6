"""What every contestant trains on and searches: the same arrays, sweeps/mnist_mlp.yaml's space."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from besom.config import lookup
from besom.study import make_plan

sys.path.insert(0, str(Path(__file__).parent / "contestants"))
import protocol

SWEEP = "mnist_mlp"


@dataclass(frozen=True)
class Workload:
    """The training data, as besom and as the others take it.

    Attributes:
        overrides: give besom the data.
        arrays: the file with the same images, split by besom in the same way, for the others.
    """

    overrides: list[str]
    arrays: Path


def prepare(folder: Path, data: Path, images: int) -> Workload:
    """Write the arrays under ``folder``.

    Args:
        folder: exists.
        data: MNIST's ``.npz``.
        images: how many of the 60,000; a twelfth of them validate, as 5,000 of all do.
    """
    from besom.training.data import load_training

    source = Path(data).resolve()
    if images < 60_000:
        with np.load(source) as full:
            parts = {name: full[name][:images] for name in full.files}
        source = folder / "images.npz"
        np.savez(source, **parts)
    overrides = [f"data.path={source}", f"data.validation_split={images // 12}"]
    loaded = load_training(make_plan(SWEEP, overrides).config["data"])
    arrays = folder / "arrays.npz"
    names = ("x_train", "y_train", "x_validation", "y_validation")
    np.savez(arrays, **{name: getattr(loaded, name) for name in names})
    return Workload(overrides, arrays)


def base() -> dict[str, Any]:
    """Return the base config, dotted path to value, as the other tools are given it."""
    return {
        "model.hidden_units": protocol.hidden_units(protocol.BASE),
        "model.activation": protocol.BASE["activation"],
        "model.dropout": protocol.BASE["dropout"],
        "optimizer.learning_rate": protocol.BASE["learning_rate"],
    }


def check_same_space() -> None:
    """Refuse to compare if the sweep no longer is what the contestants' scripts search.

    Raises:
        SystemExit: it differs; shows both.
    """
    plan = make_plan(SWEEP)
    space = {path: _without_conditions(entry) for path, entry in plan.sweep.space.items()}
    (least, most), (low, high) = protocol.LAYERS, protocol.UNITS
    rates, shares = protocol.LEARNING_RATE, protocol.DROPOUT
    expected: dict[str, Any] = {
        "model.hidden_units": {
            "length": {"type": "int", "low": least, "high": most},
            "each": {"type": "int", "low": low, "high": high, "log": True},
        },
        "model.activation": list(protocol.ACTIVATIONS),
        "model.dropout": {"type": "float", "low": shares[0], "high": shares[1]},
        "optimizer.learning_rate": {
            "type": "float",
            "low": rates[0],
            "high": rates[1],
            "log": True,
        },
    }
    for what, ours, theirs in (
        ("space", space, expected),
        ("base config", {path: lookup(plan.base, path) for path in base()}, base()),
    ):
        if ours != theirs:
            raise SystemExit(
                f"The {what} of sweeps/{SWEEP}.yaml is {ours}, but the other tools are given "
                f"{theirs}: change contestants/protocol.py and contestants/hydra_search.yaml too."
            )


def _without_conditions(entry: Any) -> Any:
    """An entry whose conditions hold in every trial here: no group is sampled."""
    return {k: v for k, v in entry.items() if k != "when"} if isinstance(entry, dict) else entry
