"""How soon a search finds an accuracy: besom's strategies beside four other tools, in real time.

    python benchmarks/time_to_target.py --data mnist.npz --seeds 1 2 3 --budget-s 240 \
        --tuners-python TUNERS/bin/python --hydra-python HYDRA/bin/python

Every contestant searches the space of sweeps/mnist_mlp.yaml on the same arrays, tries the same base
config first, and runs in a process of its own until the budget is spent. The clock starts with the
process: imports count. What is compared is the best validation accuracy after any epoch of any
trial so far. Runs are appended to --results, so that many short calls make one table.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import report
import searches
import workload
from comparison import Comparison

TARGETS = (0.980, 0.982, 0.984)
HORIZONS_S = (120, 240, 600)
#: What besom is to take: this share of the best other's time to this accuracy. It is to be ahead
#: after so many seconds.
SHARE, DECISIVE, DECISIVE_S = 0.25, 0.982, 240


COMPARISON = Comparison(
    name="time_to_target",
    description=__doc__.partition("\n")[0],
    decisive=("images", "epochs"),
)


def main() -> None:
    parser = COMPARISON.parser()
    parser.add_argument("--tools", nargs="+", choices=searches.TOOLS, default=searches.TOOLS)
    parser.add_argument(
        "--besom",
        nargs="+",
        default=[""],
        metavar="OVERRIDES",
        help="besom's strategies, the overrides of each in quotes: '' (default: none) "
        "'sweep/pruner=hyperband' 'sweep/pruner=screening sweep.n_trials=60'",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--budget-s", type=float, default=240.0, help="of each run")
    parser.add_argument("--epochs", type=int, default=10, help="the most that a trial may take")
    parser.add_argument("--hydra-python", default=sys.executable, help="has the Optuna sweeper")
    options = parser.parse_args()
    COMPARISON.carry_out(parser, options, functools.partial(run_all, options), conclude)


def run_all(
    options: argparse.Namespace, work: workload.Workload, keep: Callable[..., None]
) -> None:
    """Run every contestant with every seed, contestants in turn."""
    chosen = (options.tools, options.besom, options.tuners_python, options.hydra_python)
    contestants = {contestant.name: contestant for contestant in searches.contestants(*chosen)}
    ready = COMPARISON.available({n: (c.python, c.packages) for n, c in contestants.items()})
    for seed in options.seeds:
        for name, versions in ready.items():
            measured = searches.run(contestants[name], work, seed, options.epochs, options.budget_s)
            if measured is None:
                continue
            facts = {"contestant": name, "seed": seed, "budget_s": options.budget_s}
            keep(**facts, **measured, versions=versions)
            print(f"{name}, seed {seed}: {told(measured)}", flush=True)


def told(measured: Mapping[str, Any]) -> str:
    """One line about a run."""
    best = measured["improvements"][-1][1] if measured["improvements"] else 0.0
    reached = ", ".join(
        f"{target:.1%} after {seconds:.0f} s"
        for target in TARGETS
        if (seconds := reached_after(measured, target)) is not None
    )
    return (
        f"best {best:.2%}, {reached or 'no target reached'}; "
        f"{measured['n_trials']} trials, {measured['n_epochs']} epochs"
    )


def reached_after(record: Mapping[str, Any], target: float) -> float | None:
    """Seconds until the target, None if it was not reached."""
    # Accuracies are shares of 5,000 images in float32: 0.982 may be told as 0.98199999.
    return next((s for s, value in record["improvements"] if value >= target - 1e-6), None)


def best_after(record: Mapping[str, Any], seconds: float) -> float | None:
    """The best accuracy by then, None if the run was shorter."""
    if record["budget_s"] < seconds:
        return None
    return max((value for s, value in record["improvements"] if s <= seconds), default=0.0)


def conclude(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Print the table, and return what is in it and which targets were met."""
    names = dict.fromkeys(str(record["contestant"]) for record in records)
    results = {name: summarise([r for r in records if r["contestant"] == name]) for name in names}
    head = [
        "median (low to high)",
        "runs",
        *(f"s to {target:.1%}" for target in TARGETS),
        *(f"best after {horizon} s" for horizon in HORIZONS_S),
        "epochs a minute",
    ]
    rows = [
        [
            name,
            result["n_runs"],
            *result["seconds_to"].values(),
            *(best if best["n"] else None for best in result["best_after"].values()),
            result["epochs_a_minute"],
        ]
        for name, result in results.items()
    ]
    report.print_table("Time to target", head, rows)
    return {"contestants": results, "targets": targets_met(results)}


def summarise(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians and spreads over the runs of one contestant."""
    best = {h: [best_after(record, h) for record in records] for h in HORIZONS_S}
    return {
        "n_runs": len(records),
        "seeds": sorted({record["seed"] for record in records}),
        "budget_s": min(record["budget_s"] for record in records),
        "seconds_to": {
            str(target): report.spread(reached_after(record, target) for record in records)
            for target in TARGETS
        },
        "best_after": {
            str(h): report.spread(value for value in values if value is not None)
            for h, values in best.items()
        },
        "epochs_a_minute": report.spread(60 * r["n_epochs"] / r["ran_s"] for r in records),
        "first_epoch_s": report.spread(r["first_epoch_s"] for r in records),
        "versions": records[-1]["versions"],
    }


def targets_met(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Compare each of besom's strategies with the best of the other tools; None: not known.

    Where no other tool arrived, their time is at least the budget they had, and besom's share of it
    is at most what is said.
    """

    def seconds(name: str) -> float | None:
        median: float | None = results[name]["seconds_to"][str(DECISIVE)]["median"]
        return median

    def best(name: str) -> float | None:
        median: float | None = results[name]["best_after"][str(DECISIVE_S)]["median"]
        return median

    others = [name for name in results if not name.startswith("besom")]
    arrived = [s for name in others if (s := seconds(name)) is not None]
    least = min(arrived or (results[name]["budget_s"] for name in others), default=None)
    most = max((b for name in others if (b := best(name)) is not None), default=None)
    verdicts: dict[str, Any] = {
        "best_other": {
            "arrived": bool(arrived),
            f"seconds_to_{DECISIVE}": least,
            f"best_after_{DECISIVE_S}": most,
        }
    }
    for name in results:
        if name in others:
            continue
        share = report.ratio(seconds(name), least)
        soon = share is not None and share <= SHARE
        verdicts[name] = {
            "share_of_best_others_time": share,
            "time_met": soon if soon or arrived else None,
            "best_met": None if most is None or best(name) is None else best(name) > most,
        }
    return verdicts


if __name__ == "__main__":
    main()
