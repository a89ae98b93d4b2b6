"""Runs the tutorial again: every command of docs/tutorial.md, in order, on MNIST.

    python tools/tutorial.py --data mnist.npz

The page says what is run and what is kept: its YAML becomes files, its commands are run beside
them, and of what they write

- each picture that the page shows goes to ``docs/tutorial/``: ``rates-slices.png`` is the plot
  ``slices`` of the study ``rates``;
- each leaderboard, what a confirmation found, and the output of each command whose output the page
  shows go to ``results/reference/tutorial/``, where tests compare the page's numbers with them.

It takes some ten minutes on two cores. With ``--folder`` it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/tutorial.md"
PICTURES = ROOT / "docs/tutorial"
KEPT = ROOT / "results/reference/tutorial"

#: What is kept of a study that was confirmed.
CONFIRMED = ("leaderboard.md", "claim.json", "best.yaml", "confirm.csv", "confirm.md")


def fences(text: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """The words of every ``besom ...`` on the page."""
    for language, block in fences(text):
        text = block.replace("\\\n", " ") if language == "bash" else ""
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["besom"]:
                yield words[1:]


def shown(text: str) -> dict[str, str]:
    """Each output on the page, by the name of the file that has all of it."""
    found, before = {}, ""
    for language, block in fences(text):
        if language == "text":
            found[output_name(before)] = block
        before = block
    return found


def output_name(block: str) -> str:
    """``confirm-tutorial.txt`` for a block whose last command is ``besom confirm tutorial``."""
    *_, words = commands(f"```bash\n{block}```")
    return f"{words[0]}-{study_of(words)}.txt"


def study_of(words: list[str]) -> str:
    """The study that a command is about."""
    named = [word.partition("=")[2] for word in words if word.startswith("sweep.name=")]
    return (named or words[1:])[0]


def write_configs(text: str, folder: Path) -> None:
    for language, block in fences(text):
        if language == "yaml" and (named := re.match(r"# (\S+\.yaml)\s", block)):
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)


def run_all(text: str, folder: Path, environment: dict[str, str], workers: str) -> None:
    """Run the commands; each output is left in ``outputs/``."""
    outputs = folder / "outputs"
    outputs.mkdir(exist_ok=True)
    for words in commands(text):
        output = outputs / f"{words[0]}-{study_of(words)}.txt"
        if words[0] == "train" and output.exists():
            continue  # what a study has is not run again, but each run of `train` is a new one
        print("besom", shlex.join(words), flush=True)
        more = [f"sweep.executor.workers={workers}"] if words[0] == "sweep" else []
        done = subprocess.run(
            [sys.executable, "-m", "besom", *words, *more],
            cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        output.write_text(done.stdout)


def keep(text: str, folder: Path) -> None:
    """Copy what the page shows."""
    for place in (PICTURES, KEPT):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    results = folder / "results"
    for name in re.findall(r"\]\(tutorial/(\S+)\)", text):
        study, plot = name.split("-", 1)
        shutil.copy(one_of(results, study, plot), PICTURES / name)
    for name in shown(text):
        shutil.copy(folder / "outputs" / name, KEPT / name)
    for table in results.glob("*/leaderboard.csv"):
        shutil.copy(table, KEPT / f"{table.parent.name}.csv")
        if (table.parent / "confirm.csv").exists():
            for file in CONFIRMED:
                shutil.copy(table.parent / file, KEPT / file)
    shutil.copy(results / "train/tutorial/history.csv", KEPT / "train.csv")


def one_of(results: Path, study: str, plot: str) -> Path:
    """The picture of a study, of its confirmation, or of a run of ``besom train``."""
    folder = results / "train/tutorial" if study == "train" else results / study
    places = (folder / "plots" / plot, folder / plot)
    return next(place for place in places if place.exists())


def main() -> None:
    parser = argparse.ArgumentParser(description="Run docs/tutorial.md, and keep what it shows.")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("BESOM_MNIST"), help="MNIST as .npz"
    )
    parser.add_argument("--folder", type=Path, help="where to run; default: a temporary folder")
    parser.add_argument("--workers", default="null", help="of each sweep; default: its own choice")
    given = parser.parse_args()
    text = PAGE.read_text()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        write_configs(text, folder)
        environment = {k: v for k, v in os.environ.items() if k != "BESOM_RESULTS_DIR"}
        environment["COLUMNS"] = "90"  # what fits on the page
        if given.data is not None:  # as Keras would have cached it: no path gets into the results
            cached = Path(temporary) / "keras/datasets/mnist.npz"
            cached.parent.mkdir(parents=True)
            cached.symlink_to(Path(given.data).resolve())
            environment["KERAS_HOME"] = str(cached.parents[1])
        run_all(text, folder, environment, given.workers)
        keep(text, folder)


if __name__ == "__main__":
    main()
