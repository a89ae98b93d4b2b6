"""What TensorBoard reads in a folder, without TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def read_run(folder: Path) -> Any:
    """A run as TensorBoard has read it, an ``EventAccumulator``; ``Reload`` reads on."""
    # Where it finds this module, TensorBoard does not look for TensorFlow.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = EventAccumulator(str(folder))
    run.Reload()
    return run


def points(run: Any, tag: str) -> list[tuple[int, float]]:
    """Step and value of each point of a curve, as 32-bit floats."""
    return [(scalar.step, scalar.value) for scalar in run.Scalars(tag)]
