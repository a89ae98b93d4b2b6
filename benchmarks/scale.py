"""What the coordinator costs in studies of up to 10,000 trials on 64 workers.

    python benchmarks/scale.py
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import processes
import report
from simulated import SimulatedWorkers

from besom.store.records import TrialRecord
from besom.study import make_plan, run_sweep
from besom.study.ask import Asker
from besom.study.watcher import LeaderboardWriter, Watcher, Watchers

sys.path.insert(0, str(processes.CONTESTANTS))
import idle_trials


class Asking:
    """Measures what an ask takes; whether one is under way now."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.under_way = False
        ask = Asker.ask

        def timed(asker: Asker, *args: Any) -> Any:
            began, self.under_way = time.thread_time(), True
            try:
                return ask(asker, *args)
            finally:
                self.under_way = False
                self.seconds.append(time.thread_time() - began)

        Asker.ask = timed  # type: ignore[method-assign]


class Costs(Watcher):
    def __init__(self, workers, asking):
        self.workers, self.asking = workers, asking
        self.worked = []
        self.real0 = time.time()

    def finished(self, trial: TrialRecord) -> None:
        self.worked.append(self.workers.clock.worked_s)
        n = len(self.worked)
        if n % 500 == 0:
            print(n, f"{time.time()-self.real0:.0f} s real, {self.worked[-1]:.0f} s CPU, virtual {self.workers.clock():.0f}; last 100: "
              f"{10*(self.worked[-1]-self.worked[-101]):.1f} ms per trial, ask {1000*np.mean(self.asking.seconds[-100:]):.1f}"
              f" answers p99 {1000*np.quantile(self.workers.waits.answers_s[-1000:],.99):.1f} ms, idle {100*sum(self.workers.waits.idle_by_trial[-100:])/sum(self.workers.waits.seconds_by_trial[-100:]):.2f} %", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seconds", type=float, nargs=2, default=[5.0, 60.0])
    parser.add_argument("--random", type=int, default=10)
    parser.add_argument("--profile")
    parser.add_argument("--profile-from", type=int, default=0)
    parser.add_argument("--folder")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    folder = options.folder or tempfile.mkdtemp()
    plan = make_plan("mnist_mlp", [
        "sweep.name=scale", "sweep.trial_function=idle_trials.like_training", f"sweep.n_trials={options.trials}",
        "sweep.replicates=0",
        f"sweep.sampler.n_startup_trials={options.random}", *options.words], results_dir=folder)
    asking = Asking()
    workers = SimulatedWorkers(options.workers, tuple(options.seconds), lambda c: idle_trials.like_training(c, None), lambda: asking.under_way)
    costs = Costs(workers, asking)
    from besom.trust import trusting
    import cProfile
    prof = cProfile.Profile()
    if options.profile:
        real = costs.finished
        def finished(t):
            real(t)
            if len(costs.worked) == options.profile_from: prof.enable()
        costs.finished = finished
    with trusting(["idle_trials"]):
        run_sweep(plan, watcher=Watchers(LeaderboardWriter(plan.paths), costs), executor=workers)
    if options.profile:
        prof.disable(); prof.dump_stats(options.profile)
    w = costs.worked
    n = len(w)
    for at in (100, 1000, 5000, 10000):
        if at <= n:
            first = at - max(at // 5, 20)
            print(at, 1000*(w[at-1]-w[first-1])/(at-first), "ask", 1000*np.mean(asking.seconds[first:at]))
    a = np.array(workers.waits.answers_s)
    print("answers p50 p99 max ms", *np.round(1000*np.quantile(a, [.5,.99,1]),2))
    print("idle share", sum(workers.waits.idle_by_trial)/sum(workers.waits.seconds_by_trial))
    print("memory MiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024)


if __name__ == "__main__":
    main()
