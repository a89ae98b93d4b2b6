"""How one machine is divided among workers: how many, with which threads, GPU and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from besom.errors import ConfigError
from besom.executors import resources
from besom.executors.executor_options import (
    MOST_THREADS,
    MemoryLimit,
    from_one,
    worker_environment,
)
from besom.executors.slot import Limits
from besom.text.values import given_text

#: More workers than cores help where trials wait for something else; far more only fill the memory.
MOST_WORKERS_PER_CORE = 16
MOST_WORKERS = 128


class Allocation:
    """The division; the parameters are those of ``besom.executors.local.LocalExecutor``.

    Raises:
        ConfigError: a parameter is of the wrong type or out of range.
    """

    def __init__(
        self,
        workers: int | None,
        threads_per_worker: int,
        workers_per_gpu: int,
        max_worker_memory: str | int | None,
        max_trials_per_worker: int | None,
        gpus: str | Sequence[int | str] | None,
    ) -> None:
        most = max(MOST_WORKERS, MOST_WORKERS_PER_CORE * resources.available_cores())
        self._workers = None if workers is None else from_one(workers, "workers", most)
        self._threads = from_one(threads_per_worker, "threads_per_worker", MOST_THREADS)
        self._per_gpu = from_one(workers_per_gpu, "workers_per_gpu", MOST_WORKERS)
        self._n_trials = max_trials_per_worker
        if max_trials_per_worker is not None:
            from_one(max_trials_per_worker, "max_trials_per_worker")
        self._gpus = _check_gpus(gpus)
        self._memory = MemoryLimit.of(max_worker_memory)

    @cached_property
    def gpus(self) -> list[str]:
        """The GPUs that workers get, as ``CUDA_VISIBLE_DEVICES`` names them."""
        return resources.visible_gpus() if self._gpus is None else self._gpus

    @property
    def gpus_per_worker(self) -> float:
        """How much of a GPU each worker holds, where there are GPUs."""
        return 1.0 / self._per_gpu

    @cached_property
    def n_workers(self) -> int:
        """How many workers there are.

        Raises:
            ConfigError: more were asked for than have a place on a GPU.
        """
        places = len(self.gpus) * self._per_gpu
        if self._workers is None:
            if places:
                return places
            n_cores = resources.available_cores() // self._threads
            return max(1, min(n_cores, resources.workers_in_memory()))
        if places and self._workers > places:
            raise ConfigError(
                f"sweep.executor.workers is {self._workers}, but {len(self.gpus)} GPU(s) with "
                f"workers_per_gpu {self._per_gpu} have {places} place(s): ask for fewer workers, "
                "more workers_per_gpu, or gpus: none to train on the processor."
            )
        return self._workers

    @cached_property
    def limits(self) -> Limits:
        """When a worker's process is replaced between trials."""
        return self._memory.limits(self.n_workers, self._n_trials)

    def environment(self, worker: int, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of ``worker``, which inherits from the coordinator's."""
        environment = {**inherited, **worker_environment(worker, self._threads)}
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[worker % len(self.gpus)]
            if self._gpus is not None or "CUDA_VISIBLE_DEVICES" not in inherited:
                # Numbered as nvidia-smi does, which is not CUDA's own order.
                environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        elif self._gpus is not None:
            environment["CUDA_VISIBLE_DEVICES"] = "-1"
        return environment


def _check_gpus(gpus: str | Sequence[int | str] | None) -> list[str] | None:
    """Return the GPUs named, an empty list for none; None: find out."""
    if gpus == "auto":
        return None
    if gpus is None or gpus == "none":
        return []
    if not isinstance(gpus, str) and isinstance(gpus, Sequence):
        names = [str(gpu) for gpu in gpus if not isinstance(gpu, bool)]
        if (
            len(names) == len(gpus)
            and len(set(names)) == len(names)
            and all(map(str.isprintable, names))
            and "" not in names
        ):
            return names
    raise ConfigError(
        f"sweep.executor.gpus is {given_text(gpus)}, expected 'auto', 'none', or a list of "
        "different GPUs such as [0, 1]."
    )
