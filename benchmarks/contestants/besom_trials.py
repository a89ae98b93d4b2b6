"""Sweeps trials that train nothing with besom's own plan, study, journal and workers."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from sampling_clock import SamplingClock

from besom.store.records import TrialRecord
from besom.study import make_plan, run_sweep
from besom.study.watcher import LeaderboardWriter, Watcher, Watchers
from besom.targets import resolve
from besom.trust import trusting


class Stamps(Watcher):
    """When each trial was finished and stored, and how long the sampler had taken by then."""

    def __init__(self, clock: SamplingClock) -> None:
        self.times: list[float] = []
        self.sampling: list[float] = []
        self._clock = clock

    def finished(self, trial: TrialRecord) -> None:  # noqa: ARG002
        """A trial is stored."""
        self.times.append(time.time())
        self.sampling.append(self._clock.seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trial", required=True, help="a function of idle_trials.py")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--n-trials", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--sampler", required=True)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--limit-s", type=float, help="ask for no more trials after this time")
    options = parser.parse_args()
    overrides = [
        "sweep.name=idle",
        f"sweep.trial_function=idle_trials.{options.trial}",
        f"sweep.n_trials={options.n_trials}",
        f"sweep/executor={options.executor}",
        f"sweep.executor.workers={options.workers}",
        f"sweep/sampler={options.sampler}",
        "sweep/pruner=none",
    ]
    if options.limit_s is not None:
        overrides.append(f"sweep.timeout_s={options.limit_s}")
    plan = make_plan("mnist_mlp", overrides, results_dir=options.folder)
    stamps = Stamps(SamplingClock(resolve(plan.sweep.sampler["_target_"])))
    with trusting(["idle_trials"]):  # it lies beside this file, wherever the benchmark is run
        outcome = run_sweep(plan, watcher=Watchers(LeaderboardWriter(plan.paths), stamps))
    trials = outcome.study.complete
    told = {
        "n": len(trials),
        "finished": stamps.times,
        "sampling": stamps.sampling,
        "began": [t.numbers["began"] for t in trials if "began" in t.numbers],
        "ended": [t.numbers["ended"] for t in trials if "ended" in t.numbers],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
