"""The luck of the images: what is claimed of these, and what of new ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from confirm_world import confirmed, confirmed_by_image, make_study
from numpy.typing import NDArray
from rich.console import Console

from besom.rerun.confirm import ConfirmPlan, Status
from besom.rerun.confirm.confirm_report import (
    display,
    frame,
    print_report,
    to_markdown,
    write_report,
)
from besom.rerun.confirm.forest_plot import summarise as summarise_picture
from besom.rerun.confirm.result import make_contest, score_of
from besom.rerun.confirm.sentences import aside, caveats, conclusion
from besom.rerun.confirm.verdict import rights_of, summarise
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
    assert result.of_new
    assert first.gain is not None
    assert first.fixed_gain is not None
    assert first.fixed_gain.p_value < first.gain.p_value < 0.05
    said = conclusion(result)
    assert "interval for new examples" in said
    assert "not shown" not in said
    assert "On these very examples, with other seeds:" in aside(result)
    assert not caveats(result)


def test_a_gain_that_new_images_may_take_away_is_not_shown(on_test: ConfirmPlan) -> None:
    result = confirmed_by_image(on_test, tables(0.01, own=0.5))
    first = result.rows[0]
    assert first.fixed_gain is not None
    assert first.fixed_gain.p_value < 0.05 < first.p_gain
    assert ", not shown (p " in conclusion(result)
    assert conclusion(result).endswith("Tied with it: trial 0.")
    assert "gain over the baseline +" in aside(result)


def test_who_is_behind_on_these_images_alone_is_tied(plan_of: PlanOf) -> None:
    plan = plan_of(make_study([0.6, 0.9, 0.8], trial_function=RUN_TRIAL), on="test", race=False)
    two = tables(0.01, own=0.5)
    worse = np.zeros((5, 1000), dtype=bool)
    result = confirmed_by_image(plan, {1: two[1], 2: two[0], 0: worse})
    assert {row.trial: row.status for row in result.rows} == {
        1: Status.FIRST,
        2: Status.TIED,
        0: Status.BEHIND,
    }


def test_the_race_saves_runs_but_decides_no_standing(plan_of: PlanOf) -> None:
    """Far behind on these images, with hardly any scatter: but not shown on others."""
    plan = plan_of(make_study([0.6, 0.9, 0.8], trial_function=RUN_TRIAL), on="test")
    two = tables(0.01, own=0.5)
    still = {t: np.repeat(table[:1], 5, axis=0) for t, table in two.items()}
    for table in still.values():
        table[1:, :2] ^= True
        table[3, :1] ^= True
    result = confirmed_by_image(plan, {1: still[1], 2: still[0], 0: still[0]})
    row = next(row for row in result.rows if row.trial == 2)
    assert result.dropped == {2: 3}
    assert (row.status, row.rank) == (Status.TIED, None)
    assert "tied after 3" in to_markdown(result, [])


def test_runs_that_did_not_store_what_was_right_speak_of_these_examples(
    on_test: ConfirmPlan,
) -> None:
    result = confirmed_by_image(on_test, tables(0.05), correct=None, n_images=0)
    assert not result.of_new
    assert "Gain over the baseline on these examples: +" in conclusion(result)
    assert "on these examples" not in display(result).columns
    assert "Intervals allow for other seeds, not for other test examples" in to_markdown(result, [])


def test_every_config_and_every_look_at_these_examples_counts(plan_of: PlanOf) -> None:
    """Naming one of three alone, afterwards, makes its gain no surer; nor does looking again."""
    study = make_study([0.6, 0.9, 0.89, 0.88], trial_function=RUN_TRIAL)
    table = tables(0.02, own=0.15)
    three = plan_of(study, on="test", top=3, race=False)
    all_runs = confirmed_by_image(three, {1: table[1], 2: table[0], 3: table[0], 0: table[0]})
    journal = list(all_runs.runs.values())
    alone = plan_of(study, on="test", trials=[1], race=False)
    contest, mine = make_contest(alone), {k: r for k, r in all_runs.runs.items() if k[0] in (0, 1)}
    contest.fill({key: score_of(alone, run) for key, run in mine.items()})
    p_values = [
        summarise(alone, contest, mine, runs).rows[0].p_gain
        for runs in ([], journal, [replace(run, look=2) for run in journal[:1]] + journal)
    ]
    p_of_all = all_runs.rows[0].p_gain
    assert p_values == pytest.approx([p_of_all / 3, p_of_all, min(1.0, 2 * p_of_all)])
    again = summarise(alone, contest, mine, [replace(run, look=2) for run in journal[:1]])
    assert "2 looks" in to_markdown(again, [])


@pytest.mark.slow
def test_of_configs_that_are_equal_in_the_population_hardly_any_claim_is_made(
    plan_of: PlanOf,
) -> None:
    """Four configs of one true accuracy, each with hard images of its own, 360 of them."""
    study = make_study([0.6, 0.9, 0.89, 0.88], trial_function=RUN_TRIAL)
    plan = plan_of(study, on="test", top=3, n_seeds=8, race=False)
    rng, n_cases, behind, gained, held = np.random.default_rng(0), 150, 0, 0, 0
    for _ in range(n_cases):
        hard = rng.random(360)
        own = {t: np.where(rng.random(360) < 0.1, rng.random(360), hard) for t in range(4)}
        right = {t: (own[t] + rng.normal(0, 0.01, (8, 360))) < 0.95 for t in (1, 2, 3, 0)}
        rows = confirmed_by_image(plan, right).rows
        behind += any(row.status is Status.BEHIND for row in rows)
        gained += any(row.p_gain <= 0.05 and row.gain.estimate.mean > 0 for row in rows if row.gain)
        gain = next(row.gain for row in rows if row.trial == 1)
        assert gain is not None
        held += gain.estimate.interval.low <= 0.0 <= gain.estimate.interval.high
    allowed = 3.5 * (0.05 * 0.95 / n_cases) ** 0.5
    assert behind / n_cases <= 0.05 + allowed
    assert gained / n_cases <= 0.05 + allowed
    assert held / n_cases >= 0.95 - allowed


@pytest.mark.slow
def test_near_a_hundred_percent_the_interval_for_new_examples_holds(plan_of: PlanOf) -> None:
    plan = plan_of(make_study([0.6, 0.9], trial_function=RUN_TRIAL), on="test", top=1, race=False)
    rng, n_cases, held = np.random.default_rng(1), 300, 0
    for _ in range(n_cases):
        luck = rng.random((1, 360)) + rng.normal(0, 0.002, (5, 360))
        first = confirmed_by_image(plan, {1: luck < 0.98, 0: luck < 0.5}).rows[0]
        assert first.estimate is not None
        held += first.estimate.interval.low <= 0.98 <= first.estimate.interval.high
    assert held / n_cases >= 0.975 - 3.5 * (0.025 * 0.975 / n_cases) ** 0.5


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


def test_bits_of_what_is_right_are_those_of_the_accuracy_alone(plan_of: PlanOf) -> None:
    """However near another metric comes to it."""
    for metric, known in (("val_accuracy", {0, 1}), ("val_top_k_categorical_accuracy", set())):
        study = make_study(
            [0.6, 0.9], trial_function=RUN_TRIAL, objective=Objective(metric, "maximize")
        )
        trials = tuple(replace(t, history={metric: [0.9]}) for t in study.trials)
        plan = plan_of(replace(study, trials=trials), on="test", top=1)
        result = confirmed_by_image(plan, tables(0.05))
        scores = {row.trial: row.scores for row in result.rows}
        assert set(rights_of(plan, result.runs, scores)) == known
    wrong = {
        key: replace(run, correct=np.packbits(~tables(0.05)[key[0]][key[1] - 1]).tobytes())
        for key, run in result.runs.items()
    }
    assert rights_of(plan, wrong, scores) == {}


def test_validation_images_serve_likewise_but_not_a_split_for_each_seed(plan_of: PlanOf) -> None:
    study = make_study([0.6, 0.9], trial_function=RUN_TRIAL)
    for new_split in (False, True):
        plan = plan_of(study, on="validation", top=1, new_split=new_split)
        result = confirmed_by_image(plan, tables(0.05))
        assert result.of_new is not new_split
        assert ("1,000 validation examples" in conclusion(result)) is not new_split
        assert "on these examples" not in conclusion(result)


def test_other_validation_images_are_never_paired(plan_of: PlanOf) -> None:
    plan = plan_of(make_study([0.6, 0.9], trial_function=RUN_TRIAL), on="validation", top=1)
    result = confirmed_by_image(plan, tables(0.05))
    scores = {row.trial: row.scores for row in result.rows}
    runs = {
        key: replace(run, environment={"data": {"fingerprint": f"images {key[0]}"}})
        for key, run in result.runs.items()
    }
    assert rights_of(plan, runs, scores) == {}


def test_neither_an_error_rate_nor_a_loss_is_read_from_the_bits_of_what_is_right(
    plan_of: PlanOf,
) -> None:
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
        assert rights_of(plan, runs, scores) == {}


def test_both_intervals_of_a_gain_are_in_every_output(on_test: ConfirmPlan) -> None:
    result = confirmed_by_image(on_test, tables(0.05))
    row = frame(result).iloc[0]
    assert row["gain_low"] < row["fixed_gain_low"] < row["gain"] < row["fixed_gain_high"]
    assert row["fixed_gain_high"] < row["gain_high"]
    assert row["of_new"]
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    print_report(result, [], console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len([line for line in lines if line.startswith(("│", "┃", "┏"))]) == 4
    assert "gain, 95 %" in next(line for line in lines if line.startswith("┃"))
    text = to_markdown(result, [])
    assert "gain, 95 %" in text
    assert "on these examples" in text
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
    assert len(written) == 16
    assert all(path.exists() for path in written)


@pytest.mark.parametrize(("on_the_test", "missed"), [(0.85, True), (0.945, False), (0.99, True)])
def test_a_sweeps_claim_that_the_test_examples_contradict_is_said_to_have_missed(
    plan_of: PlanOf, on_the_test: float, missed: bool
) -> None:
    rng = np.random.default_rng(0)
    study = make_study([0.9, 0.95], trial_function=RUN_TRIAL)
    trials = []
    for trial in study.trials:
        bits = rng.random(2000) < trial.config["model"]["quality"]
        values = (float(bits.mean()),)
        history = {"val_accuracy": list(values)}
        stored = {"n_validation": 2000, "correct": np.packbits(bits).tobytes(), "best_epoch": 1}
        trials.append(replace(trial, values=values, history=history, **stored))
    study = replace(study, trials=tuple(trials))
    right = np.sort(rng.random(2000)) < on_the_test
    result = confirmed_by_image(
        plan_of(study, on="test", top=1),
        {t: np.stack([np.roll(right, s) for s in range(5)]) for t in (1, 0)},
    )
    said = [c for c in caveats(result) if c.startswith("The sweep claimed")]
    assert bool(said) is missed
    assert ("learned the validation examples" in "".join(said)) is (on_the_test == 0.85)
