"""The commands of the pages, really run, in their order and in a reader's folder.

Those that read a study and are quick run in every suite, on studies that are there; the others run
with ``-m long``, with few trials. A block that cannot run here says so on its page.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import besom.cli
from page_examples import PAGES, ROOT, Block, blocks, names, write_files
from records_factory import N_PARAMS, VAL_ACCURACY, make_study
from reporting_world import store

#: Quick commands that need no training, and which of their arguments name studies.
READ = {
    "leaderboard": slice(0, 3),
    "list": slice(0, 0),
    "ledger": slice(0, 1),
    "export": slice(0, 1),
    "compare": slice(0, 3),
    "diff": slice(0, 1),
    "completion": slice(0, 0),
    "init": slice(0, 0),
    "study": slice(1, 2),
}

#: The same of commands that are slower.
OF_STUDIES = READ | {name: slice(0, 1) for name in ("report", "plot", "confirm", "replay", "show")}

#: These wait for somebody, or need a sweep that runs or another tool's study. They have tests of
#: their own.
ELSEWHERE = (["serve"], ["study", "stop"], ["study", "import"])

#: Blocks that no test runs, by page: a new one has to be added here.
NOT_RUN: dict[str, int] = {
    "docs/from-ray-tune.md": 1,
    "docs/guide/results.md": 1,
    "docs/guide/train.md": 1,
    "docs/howto-cluster.md": 5,
    "docs/howto-python.md": 1,
}


def given(block: Block) -> list[list[str]]:
    return [] if block.not_run else list(block.commands())


def is_elsewhere(words: list[str]) -> bool:
    return any(words[: len(start)] == start for start in ELSEWHERE)


def only_reads(words: list[str]) -> bool:
    more = words[0] == "export" and {"--model", "--predictions", "--to"} & set(words)
    return words[0] in READ and not more and not is_elsewhere(words)


def pages_with(wanted: object) -> list[Path]:
    # Those for people who come from another tuner are in tests/migration: it runs the tuner too.
    return [
        page
        for page in PAGES
        if not page.name.startswith("from-")
        and any(wanted(words) for block in blocks(page.read_text()) for words in given(block))
    ]


READING = pages_with(only_reads)
TRAINING = pages_with(lambda words: not only_reads(words) and not is_elsewhere(words))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a reader, with the table that pages speak of."""
    monkeypatch.chdir(tmp_path)
    for name in ("BESOM_RESULTS_DIR", "BESOM_STORAGE", "MLFLOW_TRACKING_URI", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    random = np.random.default_rng(0)
    rooms = random.integers(1, 8, 200)
    price = 50_000.5 * rooms + random.normal(0, 9_000, 200)
    kind = np.where(rooms > 4, "house", "flat")
    table = pd.DataFrame({"rooms": rooms, "size": 20.5 * rooms, "kind": kind, "price": price})
    table.to_csv("houses.csv", index=False)
    return tmp_path


@pytest.fixture
def data(folder: Path) -> None:
    """The other data that pages speak of: a Parquet file, pictures, texts and arrays."""
    random = np.random.default_rng(0)
    pd.read_csv("houses.csv").drop(columns="kind").to_parquet("t.parquet")
    for name, level in (("cat", 0.2), ("dog", 0.8)):
        (folder / "pets" / name).mkdir(parents=True)
        (folder / "reviews" / name).mkdir(parents=True)
        for i in range(20):
            image = np.clip(random.normal(level, 0.1, (16, 16, 3)), 0, 1)
            matplotlib.image.imsave(folder / "pets" / name / f"{i}.png", image)
            (folder / "reviews" / name / f"{i}.txt").write_text(f"a {name} that is {i}")
    images, labels = random.integers(0, 255, (120, 16, 16), np.uint8), np.arange(120) % 3
    np.savez("leaves.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])


def studies_of(words: list[str]) -> list[str]:
    """The studies that a command reads."""
    arguments = list(itertools.takewhile(lambda word: not word.startswith("-"), words[1:]))
    found = arguments[OF_STUDIES[words[0]]]
    return [name for name in found if not name.isdecimal() and "=" not in name]


def store_studies(folder: Path, words: list[str]) -> None:
    """Store the studies that a command reads, where they are not there yet."""
    for name in studies_of(words):
        if not (folder / "results" / name).exists():
            own = folder / f"sweeps/{name}.yaml"
            several = own.exists() and "objectives:" in own.read_text()
            objectives = (VAL_ACCURACY, N_PARAMS) if several else (VAL_ACCURACY,)
            store(folder / "results", make_study(20, name=name, objectives=objectives))


@pytest.mark.parametrize("page", READING, ids=names(READING))
def test_commands_that_read_do_what_the_page_says(page: Path, folder: Path) -> None:
    text = page.read_text()
    write_files(text, folder)
    for block in blocks(text):
        for words in filter(only_reads, given(block)):
            store_studies(folder, words)
            done = CliRunner().invoke(besom.cli.main, words, input="y\n")
            assert done.exit_code == 0, (words, done.output)


def quick(words: list[str]) -> list[str]:
    """The same command with two trials, few seeds, and trials that are there."""
    name, *rest = words
    digits = ["data=digits", "trainer.epochs=1"]
    mnist = [f"data.path={os.environ.get('BESOM_MNIST')}", "trainer.epochs=1"]
    if name == "sweep":
        n_trials = 3 if "--extend" in words else 2
        rest += [f"sweep.n_trials={n_trials}", "sweep.executor.workers=1", "sweep.replicates=0"]
        rest += ["sweep.plots=false"]
        if words[1] in ("knob", "tutorial"):
            rest += digits
        else:
            rest += mnist if "mnist" in words[1] else ["trainer.epochs=2"]
    elif words[:2] == ["train", "tutorial"]:
        rest += digits
    elif name == "train":
        rest += mnist if "data=mnist" in words else []
    elif name == "confirm":
        rest += ["--seeds", "2", "--top", "1"]
    elif name in ("replay", "export", "diff", "show"):
        rest = ["1" if word.isdecimal() and int(word) > 1 else word for word in rest]
    return [name, *rest]


def run(words: list[str]) -> None:
    command = [sys.executable, "-m", "besom", *quick(words)]
    done = subprocess.run(command, capture_output=True, text=True, input="y\n")
    assert done.returncode == 0, (words, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study ``quickstart``, which was really swept."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BESOM_RESULTS_DIR", raising=False)
        run(["sweep", "quickstart"])
    return folder / "results/quickstart"


def bring(swept: Path, folder: Path, name: str) -> None:
    """Put a copy of the swept study into a reader's folder, under a name of its own."""
    beside = folder / "beside"
    shutil.copytree(swept, beside / "quickstart")
    if name != "quickstart":
        run(["study", "rename", "quickstart", name, "--results-dir", str(beside)])
    (folder / "results").mkdir(exist_ok=True)
    shutil.move(beside / name, folder / "results" / name)
    shutil.rmtree(beside)


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", TRAINING, ids=names(TRAINING))
@pytest.mark.usefixtures("data")
def test_commands_that_train_do_what_the_page_says(page: Path, folder: Path, swept: Path) -> None:
    text = page.read_text()
    (folder / "sweeps").symlink_to(ROOT / "sweeps")
    shutil.copy(swept / "best.yaml", folder)
    write_files(text, folder)
    for block in blocks(text):
        for words in given(block):
            if is_elsewhere(words) or words[0] in ("init", "completion"):
                continue
            if "mnist" in " ".join(words) and "BESOM_MNIST" not in os.environ:
                pytest.skip("give MNIST's .npz file as BESOM_MNIST")
            for name in studies_of(words) if words[0] in OF_STUDIES else ():
                if not (folder / "results" / name).exists():
                    bring(swept, folder, name)
            if words == ["sweep", "quickstart"]:  # as many pages begin
                shutil.rmtree(folder / "results/quickstart", ignore_errors=True)
                bring(swept, folder, "quickstart")
            else:
                run(words)


def test_what_is_not_run_is_counted_and_has_a_reason() -> None:
    found = {
        name: sum(bool(block.not_run) for block in blocks(page.read_text()))
        for name, page in zip(names(PAGES), PAGES, strict=True)
    }
    assert {name: n for name, n in found.items() if n} == NOT_RUN


def test_a_shell_example_without_a_command_of_besom_s_says_that_it_is_not_run() -> None:
    """Except what .ci/run does: install, test and lint."""
    silent = [
        (str(page.relative_to(ROOT)), block.text)
        for page in PAGES
        for block in blocks(page.read_text())
        if block.language == "bash" and not block.not_run and "besom " not in block.text
        if not re.search(r"\b(pip install|pytest|ruff)\b", block.text)
    ]
    assert not silent
