"""How often besom's claims are wrong: simulated studies whose truth is known.

    python benchmarks/honesty.py                               # everything, five CPU minutes
    python benchmarks/honesty.py --times 4 --keep              # four times as long, and stored
    python benchmarks/honesty.py --times 0.1 --parts confirm   # a look at one part

Nothing is trained: what each model does on each example is drawn, and goes through the functions
that ``besom sweep``, ``leaderboard`` and ``confirm`` use. "Before" is what one would say who
ignores the luck that a part is about. Stored are the table and its rows, below
``results/benchmarks/``, and the tables of ``docs/what-may-i-claim.md``, which are made from them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import report
from simulated import confirm_cells, pooled, sweep_cells
from simulated.cells import COLUMNS, Cell, table
from simulated.example import worked_example
from simulated.page import PAGE, filled

KEPT = Path(__file__).parents[1] / "results" / "benchmarks" / "honesty.jsonl"

PARTS: dict[str, tuple[Cell, ...]] = {
    "selection": sweep_cells.SELECTION,
    "kinds": sweep_cells.KINDS,
    "epochs": sweep_cells.EPOCHS,
    "folds": pooled.FOLDS,
    "searched": sweep_cells.SEARCHED,
    "power": sweep_cells.POWER,
    "confirm": confirm_cells.CONFIRM,
    "near-one": confirm_cells.NEAR_ONE,
    "missed": confirm_cells.MISSED,
    "seeds": confirm_cells.SEEDS,
    "new": confirm_cells.CROSSED,
}


def main() -> None:
    """Run the parts, print the table, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--times", type=float, default=1.0, help="so many times the replications")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="store the results and fill the page")
    arguments = parser.parse_args()
    settings = {"seed": arguments.seed, "times": arguments.times}
    found: list[dict[str, Any]] = [{**worked_example(), **settings}]
    for part in arguments.parts:
        rows = run(PARTS[part], arguments.times, arguments.seed)
        print(f"\n{part}\n{as_text(rows)}", flush=True)
        found += rows
        if arguments.keep:
            keep(found)
    print(json.dumps({"machine": report.machine(), **settings, "cells": found}))


def run(cells: Iterable[Cell], times: float, seed: int) -> list[dict[str, Any]]:
    """The rows of these cells."""
    rows = []
    for cell in cells:
        started = time.process_time()
        rows += cell.run(max(1, round(times * cell.n)), seed)
        used = time.process_time() - started
        print(f"{cell.key}: {used:.1f} CPU s", file=sys.stderr, flush=True)
    return rows


def as_text(rows: list[dict[str, Any]]) -> str:
    """The rows as a table of columns."""
    lines = table(rows)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def kept() -> dict[str, dict[str, Any]]:
    """What is stored, by the name of the cell's row."""
    lines = KEPT.read_text("utf-8").splitlines() if KEPT.exists() else []
    return {row["cell"]: row for row in map(json.loads, lines)}


def keep(found: Iterable[dict[str, Any]]) -> None:
    """Store these rows in place of those of the same cells, the table, and the page's tables."""
    rows = {**kept(), **{row["cell"]: row for row in found}}
    places = {cell.key: i for i, cell in enumerate(c for part in PARTS.values() for c in part)}
    places["example"] = -1
    known = {name: row for name, row in rows.items() if _cell_of(name) in places}
    ordered = sorted(known, key=lambda name: places[_cell_of(name)])
    KEPT.write_text("".join(f"{json.dumps(known[name])}\n" for name in ordered), "utf-8")
    said = ["python benchmarks/honesty.py --keep", ""]
    said += [f"{name}: {what}" for name, what in COLUMNS.items()]
    text = as_text([known[name] for name in ordered if name != "example"])
    KEPT.with_suffix(".txt").write_text("\n".join([*said, "", text, ""]), "utf-8")
    PAGE.write_text(filled(PAGE.read_text("utf-8"), known), "utf-8")


def _cell_of(row: str) -> str:
    return "/".join(row.split("/")[:2])


if __name__ == "__main__":
    main()
