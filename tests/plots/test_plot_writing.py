"""Files: which ones, whole or not at all, the same for the same study, from any study."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from besom.plots import style, write_comparison, write_plots
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from records_factory import N_PARAMS, VAL_ACCURACY, make_study

PLAIN = (
    "optimization_history.png",
    "learning_curves.png",
    "importance.png",
    "slices.png",
    "parallel_coordinates.png",
)


def size(path):
    """Width and height in pixels, from the PNG's header."""
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_every_study_gets_the_same_five_pictures_at_a_readme_width(tmp_path):
    for name, study in {
        "usual": make_study(30),
        "none": make_study(0),
        "one": make_study(1),
    }.items():
        written = write_plots(study, tmp_path / name)
        assert [path.name for path in written] == list(PLAIN)
        assert {size(path)[0] for path in written} == {round(style.WIDTH * style.DPI)}
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.long
def test_a_study_of_several_objectives_gets_a_front_and_a_set_for_each(tmp_path):
    study = make_study(12, objectives=[VAL_ACCURACY, N_PARAMS], pruned=0)
    names = [path.name for path in write_plots(study, tmp_path)]
    assert names[0] == "pareto.png"
    assert "slices-val_accuracy.png" in names
    assert "slices-n_params.png" in names
    assert "learning_curves-val_accuracy.png" in names
    assert "learning_curves-n_params.png" not in names  # one number a trial has no curve


def test_a_study_without_success_is_drawn_with_its_failures(tmp_path):
    failed = tuple(
        dataclasses.replace(t, outcome=Outcome.DIVERGED, values=None) for t in make_study(9).trials
    )
    written = write_plots(StudyRecord("s", (VAL_ACCURACY,), failed), tmp_path)
    assert len(written) == 5


def strange_trial(number, random):
    params = {
        "data.augmentation": {"name": "cutout", "size": 8} if number % 2 else None,
        "model.kernels": [[3, 3], [5]][number % 2],
        "model.a_very_long_name_of_a_hyperparameter_that_nobody_would_shorten": "$x_1$" * 12,
        "model.norm": [None, "b\nn", "批", "x" * 80][number % 4],
        "optimizer.weight_decay": 0.0 if number == 0 else 10 ** random.uniform(-6, -2),
        "model.bias": bool(number % 3),
        "fixed": 1e-3,
        **{f"p{i}": float(random.random()) for i in range(7)},
    }
    space = {
        "optimizer.weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
        "fixed": FloatDistribution(1e-3, 1e-3, log=True),
        "model.bias": CategoricalDistribution((True, False)),
        **{f"p{i}": FloatDistribution(0, 1) for i in range(7)},
    }
    loss = float(random.random()) * (1e9 if number % 7 == 3 else 1.0)
    return TrialRecord(
        number,
        Outcome.COMPLETE,
        (loss,),
        params=params,
        history={"val_loss": [2 * loss, loss]},
        baseline=number == 0,
        distributions=space if number else {},
        raw_params={name: params[name] for name in space} if number else {},
    )


def test_strange_values_and_huge_outliers_are_drawn(tmp_path):
    random = np.random.default_rng(0)
    trials = tuple(strange_trial(n, random) for n in range(14))
    study = StudyRecord("odd $tudy", (Objective("val_loss", "minimize"),), trials)
    assert len(write_plots(study, tmp_path)) == 5


def test_the_same_study_gives_the_same_bytes(tmp_path):
    studies = [make_study(25), make_study(40, name="b", seed=1)]
    first, second = (write_comparison(studies, tmp_path / name) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_nothing_is_written_when_drawing_fails(tmp_path):
    path = tmp_path / "plots" / "x.png"
    with pytest.raises(RuntimeError), style.picture(path, 2, "title"):
        raise RuntimeError
    assert not path.parent.exists()


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path):
    before = dict(mpl.rcParams)
    write_comparison([make_study(10), make_study(15, name="b", seed=1)], tmp_path / "c.png")
    assert dict(mpl.rcParams) == before


def test_importing_the_plots_imports_no_matplotlib_and_drawing_no_pyplot(tmp_path):
    code = (
        "import sys, pathlib, besom.plots as p\n"
        "assert 'matplotlib' not in sys.modules\n"
        "p.write_learning_curve({'loss': [1.0, 0.5]}, pathlib.Path(sys.argv[1]), 'a run')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.png")], check=True)


@pytest.mark.long
def test_thousands_of_trials_are_drawn_in_seconds(tmp_path):
    written = write_plots(make_study(2000, pruned=0.6), tmp_path)
    assert all(path.stat().st_size < 2_000_000 for path in written)
