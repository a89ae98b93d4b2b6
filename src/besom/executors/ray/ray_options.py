"""The options of the Ray executor, checked; ``RayExecutor`` says what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from besom.errors import ConfigError
from besom.executors.executor_options import MOST_THREADS, MemoryLimit, from_one
from besom.executors.ray.driver_messages import Need
from besom.text.values import given_text

#: A coordinator of so many workers is busy enough; more is a slip of the keyboard.
MOST_WORKERS = 4096


@dataclass(frozen=True)
class RayOptions:
    """What was asked for.

    Attributes:
        address: of a running cluster; None: a Ray of the sweep's own, on this machine.
        workers: how many; None: as many as there is room for.
        threads: that each worker computes with.
        need: what a worker takes of its node.
        runtime_env: Ray's description of what a worker's process needs.
        memory: past which a worker is replaced.
        n_trials: after which a worker is replaced; None: never.
    """

    address: str | None
    workers: int | None
    threads: int
    need: Need
    runtime_env: dict[str, Any] | None
    memory: MemoryLimit
    n_trials: int | None

    @classmethod
    def checked(
        cls,
        address: Any,
        workers: Any,
        num_cpus: Any,
        num_gpus: Any,
        resources: Any,
        runtime_env: Any,
        threads_per_worker: Any,
        max_worker_memory: Any,
        max_trials_per_worker: Any,
    ) -> RayOptions:
        """Check them.

        Raises:
            ConfigError: one is of the wrong type or out of range.
        """
        threads = from_one(threads_per_worker, "threads_per_worker", MOST_THREADS)
        if max_trials_per_worker is not None:
            from_one(max_trials_per_worker, "max_trials_per_worker")
        cpus = threads if num_cpus is None else _amount(num_cpus, "num_cpus")
        need = Need(cpus, _gpus(num_gpus), _amounts(resources))
        if not need.amounts:
            raise ConfigError(
                "sweep.executor: a worker that takes no CPU, no GPU and nothing else would fit any "
                "number of times. Give num_cpus, num_gpus or resources."
            )
        return cls(
            address=_address(address),
            workers=None if workers is None else from_one(workers, "workers", MOST_WORKERS),
            threads=threads,
            need=need,
            runtime_env=_mapping(runtime_env, "runtime_env"),
            memory=MemoryLimit.of(max_worker_memory),
            n_trials=max_trials_per_worker,
        )


def _address(address: Any) -> str | None:
    if address is None or (isinstance(address, str) and address.strip()):
        return address
    raise ConfigError(
        f"sweep.executor.address is {given_text(address)}, expected null (a Ray of the sweep's "
        "own), 'auto' or an address such as 'ray://head:10001'."
    )


def _amount(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ConfigError(
            f"sweep.executor.{name} is {given_text(value)}, expected a number of at least 0."
        )
    return value


def _gpus(value: Any) -> float:
    amount = _amount(value, "num_gpus")
    if amount > 1 and amount != int(amount):
        raise ConfigError(
            f"sweep.executor.num_gpus is {given_text(value)}, expected a share of one GPU such as "
            "0.5, or a whole number."
        )
    return amount


def _amounts(resources: Any) -> dict[str, float]:
    amounts = _mapping(resources, "resources") or {}
    return {str(name): _amount(n, f"resources.{name}") for name, n in amounts.items()}


def _mapping(value: Any, name: str) -> dict[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return None if value is None else dict(value)
    raise ConfigError(f"sweep.executor.{name} is {given_text(value)}, expected a mapping, or null.")
