"""What the coordinator costs on 64 workers, in studies of up to 10,000 trials.

    python benchmarks/scale.py

- coordinator: besom's own loop, TPE, the median pruner and a journal, with simulated workers whose
  trials take 5 to 60 s of the coordinator's time (``virtual_workers.py``). At each size: the CPU
  time of the coordinator and of an ask, what share of their time workers wait for a trial, and how
  long an epoch waits for its answer. Up to the trials that are measured, each study is grown at
  random; ``--whole`` grows it with TPE, which takes some times as long.
- reports: the CPU seconds of ``besom leaderboard`` and each plot, of the largest of these studies.

No part needs TensorFlow or data.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import processes
import report
from virtual_workers import VirtualWorkers

from besom.plots.write import draw_plot, plot_names
from besom.store.records import TrialRecord
from besom.store.storage import load_record
from besom.study import make_plan, run_sweep
from besom.study.ask import Asker
from besom.study.watcher import LeaderboardWriter, Watcher, Watchers
from besom.trust import trusting

sys.path.insert(0, str(processes.CONTESTANTS))
import idle_trials

PARTS = ("coordinator", "reports")
WAITING_TARGET, ANSWER_TARGET_S, MEMORY_TARGET_MIB, REPORT_TARGET_S = 0.02, 0.05, 1024, 5.0
NAME = "scale"
RESULTS = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "scale.jsonl"


class Asking:
    """What each ask took, and whether one is under way."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.under_way = False
        ask = Asker.ask

        def timed(asker: Asker, ahead: bool = False) -> Any:
            began, self.under_way = time.thread_time(), True
            try:
                return ask(asker, ahead)
            finally:
                self.under_way = False
                self.seconds.append(time.thread_time() - began)

        Asker.ask = timed  # type: ignore[method-assign]


class Costs(Watcher):
    """What the coordinator had cost, in CPU seconds, when each trial was told."""

    def __init__(self, workers: VirtualWorkers) -> None:
        self.worked: list[float] = []
        self._workers = workers

    def finished(self, trial: TrialRecord) -> None:  # noqa: ARG002
        """A trial is stored."""
        self.worked.append(self._workers.clock.worked_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--measured", type=int, default=400, help="trials measured at each size")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seconds", type=float, nargs=2, default=[5.0, 60.0], help="of a trial")
    parser.add_argument("--whole", action="store_true", help="grow the study with TPE too")
    parser.add_argument("--folder", type=Path, help="keep the study here, or go on with it")
    parser.add_argument("--keep", action="store_true", help=f"add the result to {RESULTS.name}")
    parser.add_argument("--words", nargs="+", default=[], help="more overrides of the sweep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="besom-benchmark-") as fresh:
        options.folder = options.folder or Path(fresh)
        parts = {"coordinator": measure_coordinator, "reports": measure_reports}
        found = {name: parts[name](options) for name in options.parts}
        if options.keep:
            report.keep(RESULTS, {"benchmark": "scale", "machine": report.machine(), **found})
        report.finish("scale", found)


def measure_coordinator(options: argparse.Namespace) -> dict[str, Any]:
    """Grow a study, and measure just before each size."""
    asking, results = Asking(), {}
    for size in sorted(options.sizes):
        results[size] = measure_at(options, asking, size)
        print(size, results[size], file=sys.stderr, flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    last = results[max(results)]
    report.print_table(
        f"{options.workers} workers, trials of {options.seconds[0]:g} to {options.seconds[1]:g} s",
        ["trials", *last],
        [[str(size), *result.values()] for size, result in results.items()],
    )
    print(f"memory: {memory:.0f} MiB")
    return {
        "workers": options.workers,
        "trial_s": options.seconds,
        "whole": options.whole,
        "sizes": results,
        "memory_mib": round(memory),
        "targets": {
            "waiting": WAITING_TARGET,
            "answer_s": ANSWER_TARGET_S,
            "memory_mib": MEMORY_TARGET_MIB,
        },
        "met": last["waiting_percent"] < 100 * WAITING_TARGET
        and last["answer_p99_ms"] < 1000 * ANSWER_TARGET_S
        and memory < MEMORY_TARGET_MIB,
    }


def measure_at(options: argparse.Namespace, asking: Asking, size: int) -> dict[str, Any]:
    """Run a study of that size; return what its last trials cost."""
    grown = 0 if options.whole else max(size - options.measured, 0)
    words = [
        f"sweep.name={NAME}-{size}",
        "sweep.trial_function=idle_trials.like_training",
        f"sweep.n_trials={size}",
        "sweep.sampler._target_=growing_tpe.GrowingTPE",
        f"+sweep.sampler.grow_to={grown}",
        "sweep.replicates=0",
        *options.words,
    ]
    plan = make_plan("mnist_mlp", words, results_dir=options.folder)
    workers = VirtualWorkers(
        options.workers,
        tuple(options.seconds),
        lambda config: idle_trials.like_training(config, lambda *_: False),
        lambda: asking.under_way,
        seed=size,
    )
    costs, n_before = Costs(workers), len(asking.seconds)
    with trusting(["idle_trials", "growing_tpe"]):
        watcher = Watchers(LeaderboardWriter(plan.paths, workers.clock), costs)
        run_sweep(plan, watcher=watcher, executor=workers)
    n, asks, waits = len(costs.worked), asking.seconds[n_before:], workers.waits
    # All workers begin at once, which is no measure of how they go on.
    first = max(grown - (size - n), min(options.workers, n - 1))
    seconds = np.array(waits.seconds_by_trial[first:])
    idle = np.array(waits.idle_by_trial[first:])
    answers_ms = 1000 * np.array(waits.answers_s[len(waits.answers_s) * first // n :])
    return {
        "trial_s": round(float(seconds.mean()), 2),
        "cpu_ms": round(1000 * (costs.worked[-1] - costs.worked[first]) / (n - 1 - first), 2),
        "ask_ms": round(1000 * float(np.mean(asks[first:] or asks)), 2),
        "waiting_percent": round(100 * float(idle.sum() / (idle.sum() + seconds.sum())), 3),
        "answer_p50_ms": round(float(np.quantile(answers_ms, 0.5)), 2),
        "answer_p99_ms": round(float(np.quantile(answers_ms, 0.99)), 2),
    }


def measure_reports(options: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds of the leaderboard as a command, and of each plot once the study is read."""
    seconds = {}
    name = f"{NAME}-{max(options.sizes)}"
    shown = [*processes.besom_command(), "leaderboard", name, f"--results-dir={options.folder}"]
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(shown, check=True, capture_output=True)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds["leaderboard"] = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    began = time.process_time()
    study = load_record(options.folder, name)
    seconds["reading the study"] = time.process_time() - began
    for plot in plot_names(study):
        began = time.process_time()
        draw_plot(study, plot).savefig(options.folder / f"{plot}.png")
        seconds[plot] = time.process_time() - began
    report.print_table(
        f"CPU seconds of the reports of {len(study.trials)} trials", ["", "s"], seconds.items()
    )
    return {
        "trials": len(study.trials),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "target_s": REPORT_TARGET_S,
        "met": max(seconds.values()) < REPORT_TARGET_S,
    }


if __name__ == "__main__":
    main()
