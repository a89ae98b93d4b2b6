"""Options that executors share: how they are checked, and what they make of a worker."""

from __future__ import annotations

from typing import Any

from besom.errors import ConfigError
from besom.text.values import given_text

#: More threads than any machine has cores.
MOST_THREADS = 1024

#: Every library a trial may compute with reads one of these when it is imported.
_THREAD_VARIABLES = (
    "BESOM_THREADS",
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def from_one(value: Any, name: str, most: int | None = None) -> int:
    """Check that an option of the executor is a whole number of at least 1.

    Raises:
        ConfigError: it is not, or it is more than ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"sweep.executor.{name} is {given_text(value)}, expected a whole number of at least 1."
        )
    if most is not None and value > most:
        raise ConfigError(
            f"sweep.executor.{name} is {value}, and on this machine {most} is the most: each "
            "worker is a process of its own, with its own memory."
        )
    return value


def worker_environment(worker: int, threads: int) -> dict[str, str]:
    """What every worker has in its environment, on whatever machine it is."""
    return {
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "BESOM_WORKER": str(worker),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # else the first one takes a whole GPU
    }
