"""The luck of the images: what is claimed of these, and what of new ones."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from confirm_world import confirmed, confirmed_by_image, make_study
from numpy.typing import NDArray
from rich.console import Console

from besom.rerun.confirm import ConfirmPlan
from besom.rerun.confirm.confirm_report import (
    display,
    frame,
    print_report,
    to_markdown,
    write_report,
)
from besom.rerun.confirm.forest_plot import summarise as summarise_picture
from besom.rerun.confirm.result import rights_of
from besom.rerun.confirm.sentences import caveats, conclusion
from besom.store.records import Objective

PlanOf = Callable[..., ConfirmPlan]
Table = NDArray[np.bool_]

RUN_TRIAL = "besom.training.trial.run_trial"


@pytest.fixture
def on_test(plan_of: PlanOf) -> ConfirmPlan:
    """A plan on the test images: trial 1, and 0 as the baseline, on five seeds."""
    return plan_of(make_study([0.6, 0.9], trial_function=RUN_TRIAL), on="test", top=1)


def tables(gain: float, n: int = 1000, own: float = 0.0) -> dict[int, Table]:
    """Trial 1 is ``gain`` better than 0; ``own`` is the share of images only one of them gets."""
    rng = np.random.default_rng(0)
    hard = rng.random(n)
    swap = rng.random(n) < own
    base = hard < 0.9
    right = np.where(swap, rng.random(n) < 0.9, hard < 0.9 + gain)
    flips = [rng.random((5, n)) < 0.002 for _ in range(2)]
    return {1: right ^ flips[0], 0: base ^ flips[1]}


def test_a_gain_on_many_images_holds_for_new_ones(on_test: ConfirmPlan) -> None:
    result = confirmed_by_image(on_test, tables(0.05))
    first = result.rows[0]
    assert first.new_gain is not None
    assert first.gain is not None
    assert first.gain.p_value < first.new_gain.p_value < 0.05
    said = conclusion(result)
    assert " points on these examples (on new ones +" in said
    assert not caveats(result)


def test_a_gain_that_new_images_may_take_away_is_said_to_be_on_these_only(
    on_test: ConfirmPlan,
) -> None:
    result = confirmed_by_image(on_test, tables(0.01, own=0.5))
    first = result.rows[0]
    assert first.new_gain is not None
    assert first.p_gain < 0.05 < first.p_new_gain
    assert " on these examples (not shown on new ones: -" in conclusion(result)


def test_who_is_behind_on_these_images_may_not_be_on_others(plan_of: PlanOf) -> None:
    plan = plan_of(make_study([0.6, 0.9, 0.8], trial_function=RUN_TRIAL), on="test", race=False)
    two = tables(0.01, own=0.5)
    worse = np.zeros((5, 1000), dtype=bool)
    result = confirmed_by_image(plan, {1: two[1], 2: two[0], 0: worse})
    assert "Behind on these examples, but perhaps not on new ones: trial 2." in caveats(result)


def test_bits_give_a_narrower_interval_than_the_number_of_images(on_test: ConfirmPlan) -> None:
    rng = np.random.default_rng(0)
    right = {t: rng.random((5, 1000)) < 0.9 for t in (0, 1)}  # no image is harder than another
    with_bits = confirmed_by_image(on_test, right).rows[0]
    without = confirmed_by_image(on_test, right, correct=None).rows[0]
    assert with_bits.estimate is not None
    assert with_bits.new is not None
    assert without.new is not None
    widths = [e.interval.width for e in (with_bits.estimate, with_bits.new, without.new)]
    assert widths == sorted(widths)
    assert without.new_gain is None


def test_runs_of_an_older_besom_keep_the_words(on_test: ConfirmPlan) -> None:
    result = confirmed_by_image(on_test, tables(0.05), correct=None, n_images=0)
    assert " points on these examples; " in conclusion(result)
    assert "on new examples" not in display(result).columns
    assert "did not store which examples they got right" in to_markdown(result, [])
    assert math.isnan(frame(result).iloc[0]["new_gain_low"])


def test_two_seeds_with_bits_are_enough(on_test: ConfirmPlan) -> None:
    """The luck of the images is the same however many seeds see them."""
    result = confirmed_by_image(on_test, tables(0.05))
    runs = {
        key: run if key[1] <= 2 else replace(run, correct=None) for key, run in result.runs.items()
    }
    scores = {row.trial: row.scores for row in result.rows}
    assert {t: list(seeds) for t, seeds in rights_of(on_test, runs, scores).items()} == {
        1: [1, 2],
        0: [1, 2],
    }


def test_bits_that_are_not_the_score_are_left_alone(plan_of: PlanOf) -> None:
    accuracy = Objective("val_top_k_categorical_accuracy", "maximize")
    study = make_study([0.6, 0.9], trial_function=RUN_TRIAL, objective=accuracy)
    study = replace(
        study,
        trials=tuple(replace(t, history={accuracy.metric: [0.9]}) for t in study.trials),
    )
    plan = plan_of(study, on="test", top=1)
    right = tables(0.05)
    wrong = {t: table.copy() for t, table in right.items()}
    result = confirmed_by_image(plan, right)
    scores = {row.trial: row.scores for row in result.rows}
    assert set(rights_of(plan, result.runs, scores)) == {0, 1}
    for table in wrong.values():
        table[:, :100] ^= True
    packed = {
        key: replace(run, correct=np.packbits(wrong[key[0]][key[1] - 1]).tobytes())
        for key, run in result.runs.items()
    }
    assert rights_of(plan, packed, scores) == {}


def test_validation_images_serve_likewise_but_not_a_split_for_each_seed(plan_of: PlanOf) -> None:
    study = make_study([0.6, 0.9], trial_function=RUN_TRIAL)
    for new_split in (False, True):
        plan = plan_of(study, on="validation", top=1, new_split=new_split)
        result = confirmed_by_image(plan, tables(0.05))
        assert (result.rows[0].new_gain is None) is new_split
        assert ("these 1,000 validation examples" in conclusion(result)) is not new_split
        assert ("on these examples" in conclusion(result)) is not new_split


def test_other_validation_images_are_never_paired(plan_of: PlanOf) -> None:
    plan = plan_of(make_study([0.6, 0.9], trial_function=RUN_TRIAL), on="validation", top=1)
    result = confirmed_by_image(plan, tables(0.05))
    scores = {row.trial: row.scores for row in result.rows}
    runs = {
        key: replace(run, environment={"data": {"fingerprint": f"images {key[0]}"}})
        for key, run in result.runs.items()
    }
    assert rights_of(plan, runs, scores) == {}


def test_an_error_rate_is_read_from_the_same_bits_but_a_loss_never(plan_of: PlanOf) -> None:
    for metric in ("val_error", "val_loss"):
        study = make_study(
            [0.6, 0.9], trial_function=RUN_TRIAL, objective=Objective(metric, "minimize")
        )
        trials = tuple(replace(t, history={metric: [0.1]}) for t in study.trials)
        plan = plan_of(replace(study, trials=trials), on="test", top=2)
        right = tables(0.05)
        result = confirmed(plan, {t: list(1.0 - table.mean(axis=1)) for t, table in right.items()})
        runs = {
            (t, s): replace(run, n_images=1000, correct=np.packbits(right[t][s - 1]).tobytes())
            for (t, s), run in result.runs.items()
        }
        scores = {row.trial: row.scores for row in result.rows}
        assert set(rights_of(plan, runs, scores)) == ({0, 1} if metric == "val_error" else set())


def test_both_intervals_of_a_gain_are_in_every_output(on_test: ConfirmPlan) -> None:
    result = confirmed_by_image(on_test, tables(0.05))
    row = frame(result).iloc[0]
    assert row["new_gain_low"] < row["gain_low"] < row["gain"] < row["gain_high"]
    assert row["gain_high"] < row["new_gain_high"]
    assert row["p_gain"] < row["p_new_gain"]
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    print_report(result, [], console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len([line for line in lines if line.startswith(("│", "┃", "┏"))]) == 4
    head = next(line for line in lines if line.startswith("┃"))
    assert "gain, 95 %" in head
    assert "on new ones" in head
    text = to_markdown(result, [])
    assert "gain, 95 %" in text
    assert "on new examples" in text
    line = summarise_picture(result).lines[0]
    assert line.new_low < line.low < line.high < line.new_high


def test_each_kind_of_confirmation_has_files_of_its_own(plan_of: PlanOf) -> None:
    study = make_study([0.6, 0.9], trial_function=RUN_TRIAL)
    written = set()
    for on in ("test", "validation"):
        for new_split in (False, True):
            plan = plan_of(study, on=on, top=1, new_split=new_split)
            written |= set(write_report(confirmed_by_image(plan, tables(0.05)), []))
    names = {path.name for path in written if path.suffix == ".csv"}
    assert names == {
        "confirm.csv",
        "confirm_new_split.csv",
        "confirm_validation.csv",
        "confirm_validation_new_split.csv",
    }
    assert len(written) == 12
    assert all(path.exists() for path in written)
