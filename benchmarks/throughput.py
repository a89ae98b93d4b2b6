"""Epochs per second of one list of configs, run by besom, by an Optuna loop and by KerasTuner.

    python benchmarks/throughput.py --data mnist.npz --tuners-python TUNERS/bin/python

The base config and 15 drawn from the space of sweeps/mnist_mlp.yaml, always the same, train 3
epochs each: by `besom sweep` with 2 workers in float32 and in bfloat16, by a hand-written Optuna
loop around ``keras.fit`` in one process, and by KerasTuner. Each runs from the start of its process
to its end, imports, leaderboard and plots included; start-up and closing are shown apart. The
contestants take turns. Runs are appended to --results, so that many short calls make one table.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lists
import report
import workload
from comparison import Comparison

#: How many times faster than either of the others besom should be, by batch size, in float32 ...
TARGETS = {32: 4.0, 128: 3.0}
#: ... and bfloat16 than float32.
BFLOAT16_TARGET = 1.5

TOOLS = ("besom", "besom-bfloat16", "optuna", "kerastuner")
_OTHERS = {
    "optuna": ("optuna_list.py", ("optuna", "tensorflow", "keras")),
    "kerastuner": ("kerastuner_list.py", ("keras-tuner", "tensorflow", "keras", "tensorboard")),
}


COMPARISON = Comparison(
    name="throughput",
    description=__doc__.partition("\n")[0],
    decisive=("images", "configs", "epochs", "workers"),
)


def main() -> None:
    parser = COMPARISON.parser()
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=list(TARGETS))
    parser.add_argument("--repeats", type=int, default=1, help="of each, in turn")
    parser.add_argument(
        "--configs", type=int, default=16, help="how many, the base config included"
    )
    parser.add_argument("--epochs", type=int, default=3, help="of each config")
    parser.add_argument("--workers", type=int, default=2, help="besom's")
    parser.add_argument("--quick", action="store_true", help="4 configs, 1 epoch, 6,000 images")
    options = parser.parse_args()
    if options.quick:
        options.configs, options.epochs, options.images = 4, 1, 6000
    COMPARISON.carry_out(parser, options, functools.partial(run_all, options), conclude)


def run_all(
    options: argparse.Namespace, work: workload.Workload, keep: Callable[..., None]
) -> None:
    """Run every tool at every batch size, tools in turn."""
    ready = COMPARISON.available(
        {
            tool: (python_of(tool, options.tuners_python), _OTHERS.get(tool, ("", ()))[1])
            for tool in options.tools
        }
    )
    configs = lists.draw(options.configs)
    for _ in range(options.repeats):
        for batch_size in options.batch_sizes:
            for tool, versions in ready.items():
                job = (work, configs, options.epochs, batch_size, options.workers)
                measured = run_one(tool, options.tuners_python, *job)
                keep(contestant=tool, batch_size=batch_size, **measured, versions=versions)
                print(f"{tool}, batch {batch_size}: {told(measured)}", flush=True)


def python_of(tool: str, tuners_python: str) -> str:
    """The interpreter that has a tool."""
    return tuners_python if tool == "kerastuner" else sys.executable


def run_one(tool: str, tuners_python: str, *job: Any) -> dict[str, Any]:
    """Run one tool once.

    Raises:
        SystemExit: it failed, or trained something else than it was asked to.
    """
    with tempfile.TemporaryDirectory(prefix="besom-benchmark-") as folder:
        asked = lists.Job(*job, folder=Path(folder))
        if tool in _OTHERS:
            script = _OTHERS[tool][0]
            done = lists.run_script(python_of(tool, tuners_python), script, asked)
        else:
            done = lists.run_besom(asked, "bfloat16" if tool == "besom-bfloat16" else "float32")
    expected = len(asked.configs) * asked.epochs
    if done.n_epochs != expected:
        raise SystemExit(
            f"{tool} trained {done.n_epochs} epochs, expected {expected}. It said:\n"
            f"{done.run.output}"
        )
    return {
        "total_s": round(done.run.seconds, 3),
        "start_up_s": round(done.began - done.run.launched, 3),
        "training_s": round(done.ended - done.began, 3),
        "closing_s": round(done.run.ended - done.ended, 3),
        "epochs_per_s": expected / done.run.seconds,
        "epochs_per_s_training": expected / (done.ended - done.began),
        "mean_val_accuracy": round(statistics.mean(done.accuracies), 5),
    }


def told(measured: Mapping[str, Any]) -> str:
    """One line about a run."""
    return (
        f"{measured['epochs_per_s']:.3f} epochs/s ({measured['total_s']:.1f} s: start-up "
        f"{measured['start_up_s']:.1f}, training {measured['training_s']:.1f}, closing "
        f"{measured['closing_s']:.1f}); mean accuracy {measured['mean_val_accuracy']:.4f}"
    )


def conclude(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Print a table for each batch size, and return what is in them."""
    results = {}
    for batch_size in sorted({record["batch_size"] for record in records}):
        of_size = [record for record in records if record["batch_size"] == batch_size]
        results[str(batch_size)] = summarise(of_size, TARGETS.get(batch_size))
    columns: dict[str, Callable[[dict[str, Any]], Any]] = {
        "runs": lambda c: c["epochs_per_s"]["n"],
        "epochs/s": lambda c: c["epochs_per_s"],
        "while training": lambda c: c["epochs_per_s_training"],
        "start-up s": lambda c: c["start_up_s"],
        "closing s": lambda c: c["closing_s"],
        "mean accuracy": lambda c: c["mean_val_accuracy"],
    }
    for batch_size, result in results.items():
        head = [f"batch size {batch_size}", *columns]
        rows = [
            [name, *(read(contestant) for read in columns.values())]
            for name, contestant in result["contestants"].items()
        ]
        report.print_table("Throughput, median (low to high)", head, rows)
        for name, ratio in result["ratios"].items():
            print(f"  {name}: {'-' if ratio is None else f'{ratio:.2f}'}")
    return {"batch_sizes": results}


def summarise(records: Sequence[Mapping[str, Any]], target: float | None) -> dict[str, Any]:
    """Medians, spreads and ratios at one batch size."""
    numbers = ("epochs_per_s", "epochs_per_s_training", "start_up_s", "training_s", "closing_s")
    contestants = {}
    for tool in (tool for tool in TOOLS if any(r["contestant"] == tool for r in records)):
        own = [record for record in records if record["contestant"] == tool]
        contestants[tool] = {
            number: report.spread(record[number] for record in own)
            for number in (*numbers, "total_s", "mean_val_accuracy")
        }
        contestants[tool]["versions"] = own[-1]["versions"]

    def speed(tool: str) -> float | None:
        found = contestants.get(tool)
        return found["epochs_per_s"]["median"] if found else None  # type: ignore[no-any-return]

    ratios = {
        "besom / optuna": report.ratio(speed("besom"), speed("optuna")),
        "besom / kerastuner": report.ratio(speed("besom"), speed("kerastuner")),
        "bfloat16 / float32": report.ratio(speed("besom-bfloat16"), speed("besom")),
    }
    wanted = {"besom / optuna": target, "besom / kerastuner": target}
    wanted["bfloat16 / float32"] = BFLOAT16_TARGET
    met = {
        name: None if ratio is None or wanted[name] is None else ratio >= wanted[name]
        for name, ratio in ratios.items()
    }
    return {"contestants": contestants, "ratios": ratios, "targets": wanted, "met": met}


if __name__ == "__main__":
    main()
