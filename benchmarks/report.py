"""How every benchmark tells what it found: machine facts, medians with their spread, kept records.

Separates what was measured from where it is kept: a record is one run of one contestant, a line of
JSON in a file, so that runs made apart can be put together; the last line printed is one of JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PACKAGES = ("besom", "tensorflow", "keras", "optuna", "numpy")


def machine() -> dict[str, Any]:
    """Return what the numbers depend on; ``load`` is the 1-minute load average, best near 0."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: v for name in _PACKAGES if (v := version(name)) is not None},
        "revision": _revision(),
        "date": time.strftime("%Y-%m-%d"),
    }


def version(package: str) -> str | None:
    """Return the version installed beside this interpreter, None if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def spread(values: Iterable[float | None]) -> dict[str, Any]:
    """Return ``median``, ``low``, ``high`` and ``n``; None stands for "never", beyond any number.

    The median is None where at least half of the values are.
    """
    ordered = sorted(math.inf if value is None else value for value in values)
    if not ordered:
        return {"median": None, "low": None, "high": None, "n": 0}
    shown = (statistics.median(ordered), ordered[0], ordered[-1])
    median, low, high = (None if math.isinf(v) else round(v, 6) for v in shown)
    return {"median": median, "low": low, "high": high, "n": len(ordered)}


def ratio(value: float | None, to: float | None) -> float | None:
    """Return ``value / to``, None where either is not known."""
    return None if value is None or not to else round(value / to, 3)


def keep(path: Path, record: Mapping[str, Any]) -> None:
    """Append one record to the file of records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def kept(path: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records that were made with these settings, by this or by an earlier run."""
    if not path.exists():
        return []
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    wanted = json.loads(json.dumps(settings))
    return [record for record in records if record["settings"] == wanted]


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their heads; the first column to the left, the others to the right."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        first, *rest = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())


def finish(benchmark: str, result: Mapping[str, Any]) -> None:
    """Print the one line of JSON that a benchmark ends with."""
    print(json.dumps({"benchmark": benchmark, "machine": machine(), **result}))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping) and "median" in value:
        if value["median"] is None:
            return "-" if value["low"] is None else f"- (from {value['low']:.4g})"
        if value["n"] == 1:
            return f"{value['median']:.4g}"
        high = "-" if value["high"] is None else f"{value['high']:.4g}"
        return f"{value['median']:.4g} ({value['low']:.4g} to {high})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _revision() -> str | None:
    """The revision of the checkout these scripts are in, with ``+dirty`` if it has changes."""
    command = ["git", "describe", "--always", "--dirty=+dirty", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
