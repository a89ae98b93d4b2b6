"""docs/from-optuna.md: both sides search the same space, and all that is shown runs."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import MagicMock

import optuna
import pytest

from migration_pages import imports, learned, read_page, run_commands, same_space, theirs
from page_examples import write_files
from user_project import Project

PAGE = read_page("from-optuna.md")
(LOOP,) = theirs(PAGE, "Optuna")
((_, GIVEN),) = imports(PAGE)


def test_the_loop_samples_what_the_sweep_samples(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = MagicMock()
    keras.Sequential.return_value.fit.return_value.history = {"val_accuracy": [0.5]}
    monkeypatch.setitem(sys.modules, "keras", keras)
    names = {"__name__": "loop"}
    exec(LOOP.text, names)
    values = {"dropout": 0.1, "n_layers": 3, "lr": 0.01, "optimizer": "sgd", "momentum": 0.5}
    values |= {"units_0": 32, "units_1": 32, "units_2": 32, "batch_size": 64}
    names["objective"](trial := optuna.trial.FixedTrial(values))  # type: ignore[operator]
    write_files(PAGE, project.root)
    same_space(trial.distributions, GIVEN, "digits_mlp")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_loop_runs_and_the_sweep_learns_from_its_study(project: Project) -> None:
    write_files(PAGE, project.root)
    short = LOOP.text.replace("n_trials=50", "n_trials=4").replace("epochs=20", "epochs=2")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", short], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    told = run_commands(project, PAGE)
    assert "4 trials of 'old' are added" in learned(told, "old")
