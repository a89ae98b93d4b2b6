"""What besom.sweep and besom.load_study return: a study that is easy to go on with."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

import besom
import reporting_world
from besom.errors import ConfigError, StudyError
from besom.python.study_object import Study
from besom.report.leaderboard import ranking
from besom.statistics import claim
from besom.store.records import Objective, Outcome, StudyRecord
from records_factory import BASE_PARAMS, N_PARAMS, VAL_ACCURACY, make_study, make_trial

HOSTILE = "<script>alert(1)</script>"


def study_of(record: StudyRecord) -> Study:
    return Study.of(record, Path("results"))


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(make_study(30))


# Still the record that it was


def test_it_is_a_study_record_and_every_function_of_records_takes_it(study: Study) -> None:
    record = make_study(30)
    assert isinstance(study, besom.records.StudyRecord)
    assert study.complete == record.complete
    assert study.objective == record.objective
    assert study.baseline == record.baseline
    assert claim(study).text == claim(record).text == study.claim.text
    pd.testing.assert_frame_equal(ranking(study), ranking(record))


def test_the_best_trial_is_the_first_of_the_leaderboard(study: Study) -> None:
    first = study.leaderboard().iloc[0]
    assert study.best.number == first["trial"]
    assert study.best.value == max(trial.value or 0.0 for trial in study.complete)
    assert set(study.best.params) == {p for p in study.best.params if first[p] is not np.nan}


def test_a_study_without_a_complete_trial_says_that_none_is_the_best() -> None:
    failed = tuple(
        dataclasses.replace(t, outcome=Outcome.DIVERGED, values=None) for t in make_study(3).trials
    )
    study = study_of(StudyRecord("s", (VAL_ACCURACY,), failed))
    with pytest.raises(StudyError, match="No trial of 's' has completed, so none is the best"):
        _ = study.best
    with pytest.raises(StudyError, match="none is the best"):
        study.best_model()
    assert repr(study) == "<besom study 's': 3 trials, none complete>"
    assert "diverged" in study._repr_html_()
    assert len(study.leaderboard()) == 0
    assert list(study.dataframe()["outcome"]) == ["diverged"] * 3


# Shown


@pytest.mark.parametrize("objectives", [(VAL_ACCURACY,), (VAL_ACCURACY, N_PARAMS)])
@pytest.mark.parametrize("name", ["mnist", "two\nlines \x1b[2J " + HOSTILE])
def test_its_repr_is_one_line(objectives: tuple[Objective, ...], name: str) -> None:
    text = repr(study_of(make_study(12, name=name, objectives=objectives, pruned=0)))
    assert text.splitlines() == [text]
    assert text.isprintable()
    assert len(text) < 120
    assert "12 trials" in text
    assert ("Pareto front" if len(objectives) > 1 else "best val_accuracy") in text


def test_a_notebook_shows_claim_leaderboard_and_what_is_not_ranked(study: Study) -> None:
    shown = study._repr_html_()
    assert "hidden_units" in shown
    assert study.objective.text(study.best.value or 0.0) in shown
    assert f"Not ranked: {len(study.trials) - len(study.complete)}" in shown


def test_a_notebook_shows_the_first_twenty_and_where_the_others_are() -> None:
    many, few = (study_of(make_study(n, pruned=0, failed=0)) for n in (25, 20))
    assert "5 more in <code>.leaderboard()</code>" in many._repr_html_()
    assert " more in " not in few._repr_html_()


def test_nothing_that_a_user_or_a_trial_wrote_is_taken_for_html() -> None:
    params = {**BASE_PARAMS, "model.activation": HOSTILE, f"x.{HOSTILE}": "\x1b[2J&amp;"}
    trials = (
        dataclasses.replace(make_trial(0, BASE_PARAMS), params=params),
        dataclasses.replace(make_trial(1, BASE_PARAMS), params=params),
        dataclasses.replace(make_trial(2, BASE_PARAMS, Outcome.ERROR), reason=HOSTILE),
    )
    shown = study_of(StudyRecord(HOSTILE, (VAL_ACCURACY,), trials))._repr_html_()
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "&amp;amp;" in shown
    assert "mathjax_ignore" in shown  # else a $ in a name would begin a formula


# Frames


def test_the_dataframe_has_one_row_per_trial_with_what_happened_to_it(study: Study) -> None:
    frame = study.dataframe()
    assert list(frame["trial"]) == [t.number for t in study.trials]
    assert list(frame["outcome"]) == [str(t.outcome) for t in study.trials]
    for row, trial in zip(frame.to_dict("records"), study.trials, strict=True):
        assert row["val_accuracy"] == trial.value or trial.value is None
        assert pd.isna(row["val_accuracy"]) == (trial.value is None)
        assert row["reason"] == trial.reason
        assert row["epochs"] == trial.epochs
        assert row["model.activation"] == trial.params["model.activation"]
        assert pd.isna(row["optimizer.momentum"]) == ("optimizer.momentum" not in trial.params)
        counted = trial.best_epoch or trial.epochs
        assert row["val_loss"] == trial.history["val_loss"][counted - 1]
    assert frame["val_accuracy"].dtype == float
    assert "gpu_seconds" not in frame  # no GPU was used


def test_each_objective_has_a_column_of_its_own() -> None:
    study = study_of(make_study(8, objectives=(VAL_ACCURACY, N_PARAMS), pruned=0, failed=0))
    frame = study.dataframe()
    assert [tuple(row) for row in frame[["val_accuracy", "n_params"]].to_numpy()] == [
        t.values for t in study.trials
    ]


def test_both_frames_can_be_written_in_every_format_of_pandas(study: Study, tmp_path: Path) -> None:
    for frame in (study.dataframe(), study.leaderboard()):
        assert frame.attrs == {}
        pickle.loads(pickle.dumps(frame))
        frame.drop(columns=["model.hidden_units"]).to_parquet(tmp_path / "frame.parquet")
    ranked = study.leaderboard()
    assert list(ranked["rank"]) == sorted(ranked["rank"])
    assert {"standard_error", "tied"} & set(ranking(study, study.claim)) <= set(ranked)


# Plots


def test_every_plot_is_a_figure_that_a_notebook_shows_and_that_can_be_saved(
    study: Study, tmp_path: Path
) -> None:
    figure = study.plot("slices")
    assert isinstance(figure, matplotlib.figure.Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    figure.savefig(tmp_path / "slices.pdf")
    assert (tmp_path / "slices.pdf").stat().st_size > 1000
    assert study.plot().texts[0].get_text().startswith("mnist_mlp: ")
    both = study_of(make_study(8, objectives=(VAL_ACCURACY, N_PARAMS), pruned=0))
    assert "against n_params" in both.plot("pareto").texts[0].get_text()
    assert "n_params" in both.plot("slices", "n_params").texts[1].get_text()


def test_an_unknown_plot_or_objective_is_refused_with_the_near_ones(study: Study) -> None:
    with pytest.raises(ConfigError, match=r"no plot 'slice'. Did you mean 'slices'"):
        study.plot("slice")
    with pytest.raises(ConfigError, match="Known: importance, learning_curves"):
        study.plot("pareto")
    with pytest.raises(ConfigError, match=r"'val_acuracy' is no objective.*'val_accuracy'"):
        study.plot("slices", "val_acuracy")


# The package


def test_dir_and_completion_list_what_there_is() -> None:
    assert {"sweep", "train", "load_study", "Study", "errors", "statistics"} <= set(dir(besom))
    assert not [name for name in dir(besom) if getattr(besom, name, None) is None]
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        _ = besom.swep


@pytest.mark.long
def test_reading_a_study_in_every_way_imports_no_tensorflow(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    code = f"""
import sys, besom
study = besom.load_study("one", {str(tmp_path)!r})
print(repr(study))
study.best.params, study.leaderboard(), study.dataframe(), study.plot("slices")._repr_png_()
study._repr_html_(), study.claim
assert not {{"tensorflow", "keras", "IPython", "matplotlib.pyplot"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("<besom study 'one': 20 trials, best val_accuracy ")


def test_ipython_shows_an_error_as_its_message_alone() -> None:
    assert ConfigError("There is no x.")._render_traceback_() == ["ConfigError: There is no x."]
