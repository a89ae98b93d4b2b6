"""How often the quickstart's claim is upheld by a confirmation of its leader, by as many runs.

    python benchmarks/upheld.py --runs 10

Each run has another seed: `besom sweep quickstart`, then `besom confirm NAME --top 1`, which trains
the leader and the baseline with fresh seeds and measures them on the sealed test digits. The claim
is *upheld* if the confirmation shows a gain on new examples too, and its interval has values in
common with the sweep's. With `--folder` the studies are kept there, and runs that have ended in it
count without being trained again.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import report

#: How many of ten claims should be upheld.
TARGET = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="with seeds 1, 2, ...")
    parser.add_argument("--folder", type=Path, help="where the studies are kept")
    parser.add_argument("--results", type=Path, default=Path("results/benchmarks/upheld.jsonl"))
    parser.add_argument("--keep", action="store_true", help="store what was found in --results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [one(seed, options.folder or Path(folder)) for seed in range(1, options.runs + 1)]
    rows = [(run["seed"], run["claimed"], run["confirmed"], run["upheld"]) for run in found]
    shown = [(seed, in_points(a), in_points(b), "yes" if ok else "no") for seed, a, b, ok in rows]
    report.print_table(
        "The gain over the baseline, in points (95 %)",
        ("seed", "the sweep claims", "the confirmation finds", "upheld"),
        shown,
    )
    n_upheld = sum(run["upheld"] for run in found)
    if options.keep:
        options.results.write_text("".join(json.dumps(run) + "\n" for run in found))
    met = n_upheld >= TARGET * len(found)
    report.finish("upheld", {"runs": found, "upheld": n_upheld, "target": TARGET, "met": met})


def one(seed: int, folder: Path) -> dict[str, Any]:
    """Sweep and confirm with one seed.

    Returns:
        What is claimed and confirmed: ``[gain, low, high]``, shares.
    """
    name = f"quickstart-{seed}"
    words = ["sweep", "quickstart", f"seed={seed}", f"sweep.name={name}"]
    besom([*words, f"results_dir={folder}", "sweep.plots=false"], folder)
    besom(["confirm", name, "--top", "1", "--results-dir", str(folder)], folder)
    claim = json.loads((folder / name / "claim.json").read_text())
    with (folder / name / "confirm.csv").open() as file:
        leader = next(row for row in csv.DictReader(file) if row["baseline"] == "False")
    claimed = [claim["gain"], *claim["gain_interval"]]
    confirmed = [float(leader[key]) for key in ("gain", "gain_low", "gain_high")]
    overlap = confirmed[1] <= claimed[2] and claimed[1] <= confirmed[2]
    return {
        "seed": seed,
        "claimed": claimed,
        "confirmed": confirmed,
        "upheld": claimed[1] > 0 and confirmed[1] > 0 and overlap,
    }


def besom(words: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "besom", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"besom {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")


def in_points(gain: list[float]) -> str:
    value, low, high = (100 * part for part in gain)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


if __name__ == "__main__":
    main()
