"""The local executor: warm worker processes on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from besom.executors.channel import Quit, make_setup
from besom.executors.local.allocation import Allocation
from besom.executors.local.worker_process import WorkerProcess
from besom.executors.local.worker_selector import WorkerSelector
from besom.executors.pooled_executor import PooledExecutor
from besom.executors.process import Launch
from besom.executors.resources import OutOfMemoryKills
from besom.executors.signals import held_back
from besom.executors.slot import Limits, Slot
from besom.seam import TrialConfig


class LocalExecutor(PooledExecutor[WorkerProcess]):
    """Runs trials in warm worker processes on this machine.

    Each worker is a process of its own that imports and loads once and then runs trial after
    trial. One that dies, outlives its trial's time limit or has grown too large is replaced.
    No worker outlives the coordinator's process, nor any child of a worker that stays in its
    process group.

    Args:
        workers: how many; None: one for each place on a GPU, else the cores this process may use
            divided by ``threads_per_worker``, as far as each has a GiB of memory.
        threads_per_worker: threads that each worker's TensorFlow (and BLAS) computes with.
        workers_per_gpu: workers that share a GPU.
        max_worker_memory: resident memory past which a worker is replaced between trials: bytes,
            or a text such as ``"4 GiB"``; None = no limit; ``"auto"``: a fair share of four fifths
            of the memory, and at least twice what the worker took before its first trial.
        max_trials_per_worker: trials after which a worker is replaced; None = no limit.
        gpus: ``"auto"``: those that ``CUDA_VISIBLE_DEVICES`` lists, else all; or a list of what
            that variable takes; ``"none"``: train on the processor.

    Raises:
        ConfigError: a parameter is of the wrong type or out of range.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads_per_worker: int = 1,
        workers_per_gpu: int = 1,
        max_worker_memory: str | int | None = "auto",
        max_trials_per_worker: int | None = None,
        gpus: str | Sequence[int | str] | None = "auto",
    ) -> None:
        super().__init__()
        self._allocation = Allocation(
            workers,
            threads_per_worker,
            workers_per_gpu,
            max_worker_memory,
            max_trials_per_worker,
            gpus,
        )

    @property
    def n_workers(self) -> int:
        """How many trials can run at once."""
        return min(self._allocation.n_workers, self._n_useful or self._allocation.n_workers)

    @property
    def limits(self) -> Limits:
        """When a worker is replaced between trials."""
        return self._allocation.limits

    @property
    def gpus_per_worker(self) -> float:
        """How much of a GPU each worker holds, where workers have GPUs."""
        return self._allocation.gpus_per_worker

    def start(
        self,
        trial_function: str,
        base_config: TrialConfig,
        log_dir: str | None,
        n_trials: int | None = None,
        artifacts: str | None = None,
    ) -> None:
        """Spawn the workers; see ``Executor.start``."""
        self._begin(n_trials)
        folder = str(Path.cwd())
        setup = make_setup(trial_function, base_config, folder, artifacts)
        oom_kills = OutOfMemoryKills()
        self._signs = WorkerSelector()

        def spawn(launch: Launch, first: bool) -> WorkerProcess:
            return WorkerProcess(replace(launch, first=replace(setup, first=first)), oom_kills)

        try:
            for worker in range(self.n_workers):
                launch = Launch(
                    module="besom.executors.local.worker",
                    called=f"Worker {worker}",
                    first=setup,
                    environment=self._allocation.environment(worker, os.environ),
                    folder=folder,
                    log=Path(log_dir).resolve() / f"worker-{worker}.log" if log_dir else None,
                    arguments=(str(worker),),
                    remedy="Ask for fewer workers (sweep.executor.workers), or free what is short.",
                )
                with held_back():
                    self._add(
                        Slot.started(worker, partial(spawn, launch), self._clock, worker == 0)
                    )
        except BaseException:
            self.close(grace_s=0.0)
            raise

    def close(self, grace_s: float = 2.0) -> None:
        """End every worker, asking first and killing after ``grace_s`` seconds. Idempotent."""
        processes = self._pool.processes
        until = time.monotonic() + grace_s
        try:
            if grace_s > 0:
                for process in processes:
                    process.send(Quit())
                for process in processes:
                    process.has_ended(within_s=max(0.0, until - time.monotonic()))
        finally:
            with held_back():
                for process in processes:
                    process.kill()  # all of them first: reaping may take its time
                for process in processes:
                    process.end()
                self._stop_watching()
