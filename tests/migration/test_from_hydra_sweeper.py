"""docs/from-hydra-sweeper.md: both sides search the same space, and all that is shown runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml

from besom.study import make_plan
from migration_pages import learned, read_page, run_commands, theirs
from page_examples import blocks, write_files
from user_project import Project

PAGE = read_page("from-hydra-sweeper.md")
(APPLICATION,) = theirs(PAGE, "Hydra")
(CONFIG,) = [block for block in blocks(PAGE) if block.path == "config.yaml"]
#: Where `pip install --target FOLDER hydra-optuna-sweeper` has put it, with its old Optuna.
SWEEPER = os.environ.get("BESOM_HYDRA_SWEEPER")


def test_the_block_of_the_sweeper_is_the_space_wherever_it_is(project: Project) -> None:
    write_files(PAGE, project.root)
    pasted = yaml.safe_load((project.root / "sweeps/pasted.yaml").read_text())
    ours = make_plan("pasted").space.distributions()
    config = yaml.safe_load(CONFIG.text)
    params = config["hydra"]["sweeper"]["params"]
    assert pasted["sweep"].pop("space") == params
    assert {k: pasted[k] for k in ("model", "optimizer", "trainer")} == {
        k: config[k] for k in ("model", "optimizer", "trainer")
    }
    pasted["hydra"] = {"sweeper": {"params": params}}
    project.write("sweeps/left.yaml", yaml.safe_dump(pasted, sort_keys=False))
    assert make_plan("left").space.distributions() == ours


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(not SWEEPER, reason="BESOM_HYDRA_SWEEPER names no folder with the sweeper")
def test_the_sweeper_runs_and_the_sweep_learns_from_its_study(project: Project) -> None:
    write_files(PAGE, project.root)
    project.write("train.py", APPLICATION.text)
    path = os.pathsep.join([str(SWEEPER), *os.environ["PYTHONPATH"].split(os.pathsep)])
    short = ["hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", "trainer.epochs=2"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "train.py", "-m", *short],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = project.besom("study", "import", "old", "--from", "optuna.db")
    assert "optuna.db was written by an older Optuna" in said.output
    upgrade = "cp optuna.db copy.db && optuna storage upgrade --storage sqlite:///copy.db"
    assert upgrade in PAGE
    optuna = "import sys; from optuna.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", optuna, "storage", "upgrade", "--storage", "sqlite:///copy.db"]
    (project.root / "copy.db").write_bytes((project.root / "optuna.db").read_bytes())
    subprocess.run(words, check=True, capture_output=True)
    told = run_commands(project, PAGE)
    assert "4 trials of 'old' are added" in learned(told, "old")
