"""What is kept of each example gives losses and other metrics their errors, ties and correction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sweeping import RESULTS, stored, sweep

from besom.report.leaderboard import ranking
from besom.statistics import claim
from besom.store import predictions
from besom.study.watcher import Watcher

if TYPE_CHECKING:
    from user_project import Project

pytestmark = pytest.mark.usefixtures("no_orphans")

LOSS = ("sweep.objective.metric=val_loss", "sweep.objective.direction=minimize")
FOLDER = RESULTS / "cheap" / "predictions"


def examined(*overrides: str, **flags: Watcher) -> None:
    sweep("sweep.n_trials=4", "sweep.trial_function=sweep_trials.examined", *overrides, **flags)


def test_a_loss_has_an_error_ties_and_a_corrected_score(project: Project) -> None:
    examined(*LOSS)
    found = claim(stored())
    assert found.leader is not None
    row = found.rows[found.leader]
    assert row.standard_error == pytest.approx(1.0 / 20, rel=0.2)
    assert row.tied
    assert found.corrected is not None
    assert found.corrected > row.value  # it was the lowest of several, and is worth less
    assert "corrected for selection" in found.text
    assert "%" not in found.text
    assert found.caveats == ()  # of the epochs it was picked from, all are known
    frame = ranking(stored(), found)
    assert frame["standard_error"].notna().all()
    assert "±" in project.besom("leaderboard", "cheap").output


def test_a_score_that_is_no_mean_is_judged_by_its_draws(project: Project) -> None:
    examined()
    study = stored()
    found = claim(study)
    assert found.corrected is not None
    assert found.rows[found.leader].standard_error == pytest.approx(0.01, rel=0.3)
    assert "val_accuracy" in study.trials[0].per_example.stored
    assert "val_loss" not in study.trials[0].per_example.stored  # it is no objective


def test_a_lost_or_damaged_file_costs_errors_and_ties_and_nothing_else(project: Project) -> None:
    examined(*LOSS)
    before = claim(stored())
    (FOLDER / f"trial-{before.leader}.npz").write_bytes(b"damaged")
    found = claim(stored())
    assert (found.leader, found.raw, found.corrected) == (before.leader, before.raw, None)
    assert f"the file of trial {before.leader} in predictions/ is lost" in found.text
    for file in FOLDER.iterdir():
        file.unlink()
    assert claim(stored()).leader == before.leader
    assert project.besom("leaderboard", "cheap").exit_code == 0


def test_a_folder_that_cannot_be_written_costs_no_trial(project: Project) -> None:
    said: list[str] = []

    class Remarks(Watcher):
        def remarked(self, text: str) -> None:
            said.append(text)

    FOLDER.parent.mkdir(parents=True)
    FOLDER.write_text("not a folder")
    examined(*LOSS, watcher=Remarks())
    assert len(stored().complete) == 4
    assert any("Trials count, but have no error" in text for text in said)


def test_beyond_the_limit_only_the_epoch_that_counts_is_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "MOST_BYTES", 6_000)
    examined(*LOSS)
    kept = [trial.per_example for trial in stored().complete]
    assert [each.has_epochs("val_loss") for each in kept].count(True) == 1
    assert all(each.numbers("val_loss") is not None for each in kept)
    assert any("other epochs left no predictions" in line for line in claim(stored()).caveats)


def test_with_several_objectives_each_has_its_error_and_its_ties(project: Project) -> None:
    objectives = (
        "sweep.objectives=[{metric: val_loss, direction: minimize}, "
        "{metric: val_accuracy, direction: maximize}, {metric: n_params, direction: minimize}]"
    )
    examined(objectives)
    found = claim(stored())
    assert found.leader is None
    assert found.each["val_loss"].corrected is not None
    assert found.each["val_accuracy"].corrected is not None
    assert found.each["n_params"].corrected is None
    assert "by val_loss trial" in found.text
    assert "by n_params" not in found.text
    frame = ranking(stored(), found)
    assert frame["val_loss_error"].notna().all()
    assert set(frame["tied_by_val_loss"]) <= {True, False}


def test_half_precision_is_kept_only_where_it_is_enough() -> None:
    small = np.random.default_rng(0).random((2, 100), dtype=np.float32)
    assert predictions._small(small).dtype == np.float16
    assert predictions._small(small * 1e6).dtype == np.float32
    assert predictions._small(small * 1e-3 + 900.0).dtype == np.float32
