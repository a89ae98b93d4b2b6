"""Options that executors share: how they are checked, and what they make of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from besom.errors import ConfigError
from besom.executors.resources import parse_memory, workers_memory
from besom.executors.slot import Limits
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


@dataclass(frozen=True)
class MemoryLimit:
    """``max_worker_memory``: resident memory past which a worker is replaced between trials.

    Attributes:
        n_bytes: that; None: no limit, or an automatic one.
        is_automatic: a fair share of the machine's, where it is known how many share it.
    """

    n_bytes: int | None
    is_automatic: bool = False

    @classmethod
    def of(cls, value: str | int | None) -> MemoryLimit:
        """Check the option.

        Raises:
            ConfigError: it is no amount of memory, ``"auto"`` or None.
        """
        if value is None or value == "auto":
            return cls(None, value == "auto")
        return cls(parse_memory(value, "sweep.executor.max_worker_memory"))

    def limits(self, n_sharing: int | None, n_trials: int | None) -> Limits:
        """When a worker is replaced.

        Args:
            n_sharing: how many workers share this machine; None: they are on other machines.
            n_trials: trials after which one is replaced, too; None: no limit.
        """
        if not self.is_automatic or n_sharing is None:
            return Limits(self.n_bytes, False, n_trials)
        return Limits(workers_memory() // n_sharing, True, n_trials)
