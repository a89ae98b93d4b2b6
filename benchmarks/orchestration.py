"""What besom itself costs: trials that train nothing, beside Ray Tune and Optuna's own loop.

    python benchmarks/orchestration.py --tuners-python TUNERS/bin/python

- sleep: 400 trials of 0.1 s on 8 workers, from the first trial's start to the last one's end,
  against the ideal of 5 s; besom on its local executor, besom on Ray and Ray Tune with OptunaSearch
  take turns. Start-up apart.
- noop: trials per second in studies of up to 5,000 trials that do nothing, with the random and the
  TPE sampler, beside Optuna's own ``study.optimize`` with the same sampler on its own journal.
- leaderboard: the time that ``besom leaderboard`` takes for a study of 5,000 trials.

No part needs TensorFlow or data. ``--parts`` runs some of them only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import processes
import report

sys.path.insert(0, str(processes.CONTESTANTS))
from idle_trials import SLEEP_S

SAMPLERS = ("random", "tpe")
PARTS = ("sleep", "noop", "leaderboard")
OVERHEAD_TARGET = 0.05
LEADERBOARD_TARGET_S = 3.0
#: besom's cost a trial may grow by what the sampler's own grows, and by so much of noise.
GROWTH_SLACK, GROWTH_NOISE_MS = 1.1, 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=3, help="of sleep and noop, in turn")
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat")
    parser.add_argument("--tuners-python", default=sys.executable, help="has Ray Tune and Optuna")
    sleep = parser.add_argument_group("sleep")
    sleep.add_argument("--sleep-trials", type=int, default=400)
    sleep.add_argument("--sleep-workers", type=int, default=8)
    noop = parser.add_argument_group("noop")
    noop.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    noop.add_argument("--random-sizes", nargs="+", type=int, default=[100, 1000, 5000])
    noop.add_argument("--tpe-sizes", nargs="+", type=int, default=[100, 1000])
    noop.add_argument("--noop-workers", type=int, default=2, help="besom's; Optuna has one process")
    noop.add_argument("--limit-s", type=float, default=120.0, help="of each study")
    board = parser.add_argument_group("leaderboard")
    board.add_argument("--leaderboard-trials", type=int, default=5000)
    board.add_argument("--leaderboard-repeats", type=int, default=5)
    options = parser.parse_args()
    if options.quick:
        options.sleep_trials, options.repeats, options.leaderboard_trials = 80, 1, 500
        options.random_sizes, options.tpe_sizes = [100, 500], [100, 200]
    parts = {"sleep": measure_sleep, "noop": measure_noop, "leaderboard": measure_leaderboard}
    report.finish("orchestration", {name: parts[name](options) for name in options.parts})


def measure_sleep(options: argparse.Namespace) -> dict[str, Any]:
    """Overhead over the ideal, besom on each executor and Ray Tune in turn."""
    how = ["--n-trials", options.sleep_trials, "--workers", options.sleep_workers]
    besom = [sys.executable, "besom_trials.py", "--trial=sleep", "--sampler=random", *how]
    commands = {"besom": besom}
    if lacks := processes.lacking(processes.versions(sys.executable, ("ray",))):
        print(f"skipped: besom on Ray: {lacks} for {sys.executable}")
    else:
        commands["besom on Ray"] = [*besom, "--executor=ray"]
    # (tensorboardX: what Ray Tune has and Ray alone has not)
    versions = processes.versions(options.tuners_python, ("ray", "tensorboardX", "optuna"))
    if why := processes.lacking(versions):
        print(f"skipped: Ray Tune: {why} for {options.tuners_python}")
    else:
        commands["Ray Tune"] = [options.tuners_python, "ray_trials.py", *how]
    ideal_s = options.sleep_trials * SLEEP_S / options.sleep_workers
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(options.repeats):
        for name, command in commands.items():
            run, told = tell(command)
            if told["n"] != options.sleep_trials:
                raise SystemExit(f"{name} finished {told['n']} of {options.sleep_trials} trials")
            began, ended = min(told["began"]), max(told["ended"])
            runs[name].append(
                {
                    "wall_s": ended - began,
                    "overhead": (ended - began) / ideal_s - 1,
                    "all_busy_s": sorted(told["began"])[options.sleep_workers - 1] - began,
                    "start_up_s": began - run.launched,
                    "closing_s": run.ended - ended,
                    "total_s": run.seconds,
                }
            )
    numbers = ("wall_s", "overhead", "all_busy_s", "start_up_s", "closing_s", "total_s")
    results = {
        name: {number: report.spread(run[number] for run in own) for number in numbers}
        for name, own in runs.items()
    }
    report.print_table(
        f"{options.sleep_trials} trials of {SLEEP_S:g} s on {options.sleep_workers} workers "
        f"(ideal {ideal_s:g} s), median (low to high)",
        ["", *numbers],
        [[name, *result.values()] for name, result in results.items()],
    )
    median = results["besom"]["overhead"]["median"]
    return {
        "ideal_s": ideal_s,
        "trials": options.sleep_trials,
        "workers": options.sleep_workers,
        "contestants": results,
        "versions": versions,
        "skipped": why,
        "target": OVERHEAD_TARGET,
        "met": median <= OVERHEAD_TARGET,
    }


def measure_noop(options: argparse.Namespace) -> dict[str, Any]:
    """Trials per second by the size of the study, besom and Optuna in turn."""
    results = {}
    for sampler in options.samplers:
        sizes = options.random_sizes if sampler == "random" else options.tpe_sizes
        how = [f"--sampler={sampler}", "--n-trials", max(sizes), "--limit-s", options.limit_s]
        besom = ["besom_trials.py", "--trial=noop", "--workers", options.noop_workers]
        commands = {
            "besom": [sys.executable, *besom, *how],
            "optuna": [sys.executable, "optuna_trials.py", *how],
        }
        runs: dict[str, list[NoopRun]] = {name: [] for name in commands}
        for _ in range(options.repeats):
            for name, command in commands.items():
                told = tell(command)[1]
                runs[name].append(NoopRun(told["finished"], told["sampling"]))
        results[sampler] = by_size(runs, sorted(sizes))
        print_noop(sampler, results[sampler])
    return {"workers": options.noop_workers, "limit_s": options.limit_s, "samplers": results}


class NoopRun(NamedTuple):
    """One study of trials that do nothing.

    Attributes:
        finished: when each trial was, in seconds.
        sampling: how many seconds the sampler itself had taken by then.
    """

    finished: list[float]
    sampling: list[float]

    def speed(self, n: int) -> float:
        """Trials per second of the first ``n``."""
        return (n - 1) / (self.finished[n - 1] - self.finished[0])

    def sampling_at(self, n: int) -> float:
        """Milliseconds a trial in the sampler, over the last fifth of the first ``n``."""
        return self._cost_at(self.sampling, n)

    def rest_at(self, n: int) -> float:
        """Milliseconds a trial outside the sampler, over the last fifth of the first ``n``."""
        return self._cost_at(self.finished, n) - self.sampling_at(n)

    @staticmethod
    def _cost_at(clock: Sequence[float], n: int) -> float:
        first = n - n // 5
        return 1000 * (clock[n - 1] - clock[first - 1]) / (n - first)


def by_size(runs: Mapping[str, Sequence[NoopRun]], sizes: Sequence[int]) -> dict[str, Any]:
    """Read speed and cost at each size off the moments at which the trials finished.

    A study of 5,000 trials was one of 100 once: its first 100 trials say what those cost. What the
    sampler takes depends on what it has sampled before, so it is told apart from the rest.
    """
    sizes = [n for n in sizes if all(len(r.finished) >= n for own in runs.values() for r in own)]
    read = {
        "trials_per_s": NoopRun.speed,
        "sampling_ms": NoopRun.sampling_at,
        "rest_ms": NoopRun.rest_at,
    }
    contestants: dict[str, Any] = {
        name: {
            what: {n: report.spread(of(run, n) for run in own) for n in sizes}
            for what, of in read.items()
        }
        for name, own in runs.items()
    }
    result: dict[str, Any] = {"sizes_reached": sizes, "contestants": contestants, "met": None}
    if len(sizes) > 1:
        growth = {
            f"{name} {what}": found[what][sizes[-1]]["median"] - found[what][sizes[0]]["median"]
            for name, found in contestants.items()
            for what in ("sampling_ms", "rest_ms")
        }
        least = max(growth["besom sampling_ms"], growth["optuna rest_ms"], 0.0)
        allowed = GROWTH_SLACK * least + GROWTH_NOISE_MS
        met = growth["besom rest_ms"] <= allowed
        result |= {"growth_ms": growth, "allowed_ms": allowed, "met": met}
    return result


def print_noop(sampler: str, result: Mapping[str, Any]) -> None:
    names = {
        "trials_per_s": "trials/s to",
        "sampling_ms": "sampler ms at",
        "rest_ms": "rest ms at",
    }
    head = ["", *(f"{text} {n}" for text in names.values() for n in result["sizes_reached"])]
    rows = [
        [name, *(value for what in names for value in found[what].values())]
        for name, found in result["contestants"].items()
    ]
    report.print_table(f"No-op trials, {sampler} sampler, median (low to high)", head, rows)


def measure_leaderboard(options: argparse.Namespace) -> dict[str, Any]:
    """Time the command on a study whose trials hold all that real ones do."""
    with tempfile.TemporaryDirectory(prefix="besom-benchmark-") as folder:
        command = [sys.executable, "besom_trials.py", "--trial=like_training", "--workers=2"]
        command += ["--sampler=random", "--n-trials", options.leaderboard_trials]
        _, told = tell(command, Path(folder))
        shown = [*processes.besom_command(), "leaderboard", "idle", f"--results-dir={folder}"]
        seconds = []
        for _ in range(options.leaderboard_repeats):
            began = time.perf_counter()
            printed = subprocess.run(shown, check=True, capture_output=True).stdout
            seconds.append(time.perf_counter() - began)
        journal_bytes = (Path(folder) / "idle" / "study.journal").stat().st_size
    rows = printed.count(b"\n")
    print(
        f"\nbesom leaderboard of {told['n']} trials ({journal_bytes / 1e6:.0f} MB of journal, "
        f"{rows} lines printed): {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} to {max(seconds):.2f})"
    )
    return {
        "trials": told["n"],
        "journal_bytes": journal_bytes,
        "seconds": report.spread(seconds),
        "target_s": LEADERBOARD_TARGET_S,
        "met": statistics.median(seconds) < LEADERBOARD_TARGET_S,
    }


def tell(command: Sequence[Any], folder: Path | None = None) -> tuple[processes.Run, Any]:
    """Run ``[python, script, arguments ...]``; return how it went and the JSON that it printed.

    Raises:
        SystemExit: it failed.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="besom-benchmark-") as fresh:
            return tell(command, Path(fresh))
    python, script, *words = command
    output = folder / "output.txt"
    run = processes.run(
        [python, processes.CONTESTANTS / script, *map(str, words), "--folder", folder], output
    )
    if run.exit_code != 0:
        raise SystemExit(f"{script} ended with exit code {run.exit_code}:\n{run.output}")
    lines = [line for line in output.read_text().splitlines() if line.startswith("{")]
    return run, json.loads(lines[-1])


if __name__ == "__main__":
    main()
