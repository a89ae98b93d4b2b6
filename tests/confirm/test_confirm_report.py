"""What a confirmation says: who is first, who is tied, what the gain is, and what limits it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from confirm_world import confirmed, make_study
from rich.console import Console

from besom.rerun.confirm import Confirmation, ConfirmPlan, Status
from besom.rerun.confirm.confirm_report import (
    display,
    failures,
    frame,
    opened,
    print_report,
    replaced,
    to_markdown,
    write_report,
)
from besom.rerun.confirm.forest_plot import summarise as summarise_picture
from besom.rerun.confirm.forest_plot import write_confirmation
from besom.rerun.confirm.result import make_contest
from besom.rerun.confirm.sentences import aside, caveats, conclusion
from besom.rerun.confirm.verdict import summarise
from besom.store.records import Objective, StudyRecord
from besom.store.test_set_log import Opening

PlanOf = Callable[..., ConfirmPlan]

RUN_TRIAL = "besom.training.trial.run_trial"
CLEAR = {
    1: [0.981, 0.983, 0.982, 0.985, 0.979],
    2: [0.980, 0.984, 0.981, 0.983, 0.980],
    3: [0.961, 0.964, 0.9615, 0.966, 0.959],
    0: [0.941, 0.943, 0.944, 0.945, 0.938],
}


@pytest.fixture
def on_test(plan_of: PlanOf) -> ConfirmPlan:
    """A plan on the test images, four configs on five seeds."""
    return plan_of(make_study(trial_function=RUN_TRIAL), on="test")


def test_the_first_its_gain_and_its_ties_are_three_short_sentences(on_test: ConfirmPlan) -> None:
    said = conclusion(confirmed(on_test, CLEAR))
    assert said == (
        "study: trial 1 is first on 1,000 test examples with a mean test_accuracy of 98.20 % ± "
        "0.10 over 5 seeds (95 % interval for these examples, with other seeds: 97.77 to 98.63). "
        "Gain over the baseline on these examples: +3.980 ± 0.049 points (+3.84 to +4.12). Tied "
        "with it: trial 2."
    )


def test_statuses_and_gains_are_paired_over_the_seeds(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, CLEAR)
    assert {row.trial: row.status for row in result.rows} == {
        1: Status.FIRST,
        2: Status.TIED,
        3: Status.BEHIND,
        0: Status.BEHIND,
    }
    assert result.dropped == {3: 3}
    gain = result.rows[0].gain
    assert gain is not None
    assert gain.estimate.method == "paired-t"
    assert gain.estimate.mean == pytest.approx(0.0398)


def test_without_what_each_example_scored_the_numbers_are_said_to_be_of_these(
    on_test: ConfirmPlan,
) -> None:
    result = confirmed(on_test, CLEAR)
    assert not result.of_new
    assert "on these examples" in conclusion(result)
    assert any("not known, so nothing here allows for other" in c for c in caveats(result))
    assert result.rows[0].estimate == result.rows[0].fixed_estimate
    assert aside(result) == ""


def test_a_minimised_objective_turns_gains_and_order_round(plan_of: PlanOf) -> None:
    study = make_study(
        trial_function=RUN_TRIAL,
        objective=Objective("val_loss", "minimize"),
    )
    result = confirmed(
        plan_of(study, on="test", top=1),
        {1: [0.10, 0.12, 0.11, 0.10, 0.13], 0: [0.30, 0.31, 0.33, 0.30, 0.32]},
    )
    assert [row.trial for row in result.rows] == [1, 0]
    assert result.rows[0].gain is not None
    assert result.rows[0].gain.estimate.mean == pytest.approx(0.2)
    assert "mean test_loss of 0.112 ± 0.0058" in conclusion(result)


def test_a_baseline_that_is_not_beaten_is_said_to_be_first(on_test: ConfirmPlan) -> None:
    said = conclusion(confirmed(on_test, {**CLEAR, 0: [0.99, 0.991, 0.992, 0.99, 0.989]}))
    assert "the baseline (trial 0) is first" in said
    assert "No tuned config is shown to beat it." in said


def test_a_gain_that_may_be_luck_is_no_gain(plan_of: PlanOf) -> None:
    study = make_study(trial_function=RUN_TRIAL)
    plan = plan_of(study, on="test", top=1)
    said = conclusion(confirmed(plan, {1: [0.98, 0.95, 0.97], 0: [0.96, 0.97, 0.95]}))
    assert "not shown (p " in said
    assert said.endswith("Tied with it: trial 0.")


def test_an_interval_that_is_not_corrected_says_so_beside_a_corrected_p_value(
    plan_of: PlanOf,
) -> None:
    study = make_study([0.6, 0.9, 0.89, 0.88, 0.87], trial_function=RUN_TRIAL)
    plan = plan_of(study, on="test", top=4)
    two = {1: [0.97, 0.98], 2: [0.9, 0.92], 3: [0.9, 0.92], 4: [0.9, 0.92], 0: [0.82, 0.84]}
    result = confirmed(plan, two)
    first = result.rows[0]
    assert first.gain is not None
    assert first.gain.estimate.interval.low > 0.0
    assert first.p_gain > 0.05
    assert ", uncorrected), not shown (p " in conclusion(result)


def test_the_baseline_is_tied_exactly_where_no_gain_is_shown(plan_of: PlanOf) -> None:
    """Among sixteen, the pairwise tests are too strict to see what the gain's own test sees."""
    study = make_study([0.6, *(0.9 - i / 1000 for i in range(15))], trial_function=RUN_TRIAL)
    plan = plan_of(study, on="test", top=15)
    noise = [0.001, -0.002, 0.0, 0.002, -0.001]
    others = {t: [0.970 + n * (1 + t % 3) for n in noise] for t in range(2, 16)}
    leader, baseline = [0.978 + n for n in noise], [0.960 + n * 2 for n in noise[::-1]]
    result = confirmed(plan, {1: leader, **others, 0: baseline})
    first = result.rows[0]
    assert first.p_gain <= 0.05
    assert "not shown" not in conclusion(result)
    row = next(row for row in result.rows if row.baseline)
    assert (row.status, row.p_behind) == (Status.BEHIND, first.p_gain)
    assert 0 not in result.tied


@pytest.mark.slow
def test_among_equals_hardly_any_is_called_behind_race_and_standings_together(
    plan_of: PlanOf,
) -> None:
    study = make_study([0.6, *(0.9 - i / 1000 for i in range(5))], trial_function=RUN_TRIAL)
    plan = plan_of(study, on="test", top=5, n_seeds=8)
    rng, n_cases, wrong = np.random.default_rng(0), 120, 0
    for _ in range(n_cases):
        scores = rng.normal(size=(6, 8))
        contest = make_contest(plan)
        while (run := contest.next_run()) is not None:
            contest.end(run, float(scores[run[0], plan.seeds.index(run[1])]))
        rows = summarise(plan, contest, {}).rows
        worse = [row for row in rows if row.status is Status.BEHIND]
        wrong += any(not row.baseline for row in worse)
    assert wrong / n_cases <= 0.05 + 3.5 * (0.05 * 0.95 / n_cases) ** 0.5


def test_with_a_race_the_standings_have_half_of_the_five_percent_left(plan_of: PlanOf) -> None:
    study = make_study([0.6, 0.9, 0.89], trial_function=RUN_TRIAL)
    plan = plan_of(study, on="test", top=2)
    scores = {
        1: [0.980, 0.982, 0.981, 0.983, 0.979],
        2: [0.979, 0.976, 0.979, 0.977, 0.977],
        0: [0.90, 0.91, 0.92, 0.90, 0.91],
    }
    alone = confirmed(replace(plan, race=False), scores)
    raced = confirmed(plan, scores)
    p_alone, p_raced = (r.rows[1].p_behind for r in (alone, raced))
    assert p_raced == pytest.approx(2 * p_alone)
    assert p_alone < 0.05 < p_raced
    assert (alone.rows[1].status, raced.rows[1].status) == (Status.BEHIND, Status.TIED)


def test_runs_that_failed_are_named_and_in_no_mean(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, {**CLEAR, 2: [0.98, None, 0.981, None, 0.982]})
    row = next(row for row in result.rows if row.trial == 2)
    assert row.estimate is not None
    assert row.estimate.n == 3
    assert row.estimate.mean == pytest.approx(0.981)
    assert any(
        "2 runs failed and entered no mean: trial 2 seed 2 (diverged)" in c for c in caveats(result)
    )
    assert list(failures(result)["seed"]) == [2, 4]
    assert "## Runs that failed" in to_markdown(result, [])


def test_a_config_that_always_failed_is_listed_without_a_rank(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, {**CLEAR, 3: [None] * 5})
    assert result.rows[-1].status is Status.FAILED
    assert result.rows[-1].rank is None
    assert math.isnan(frame(result).iloc[-1]["mean"])


def test_where_all_fails_nothing_is_claimed(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, {trial: [None, None, None] for trial in CLEAR})
    assert result.first is None
    assert conclusion(result) == "study: no claim: none of 12 runs succeeded."
    assert write_confirmation(result, on_test.paths.root / "x.png").stat().st_size > 1000


def test_a_failed_baseline_leaves_no_gain_and_says_so(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, {**CLEAR, 0: [None] * 5})
    assert all(row.gain is None for row in result.rows)
    assert any("No run of the baseline succeeded" in c for c in caveats(result))


def test_who_failed_is_neither_tied_nor_not_tied(on_test: ConfirmPlan, plan_of: PlanOf) -> None:
    alone = plan_of(make_study(trial_function=RUN_TRIAL), on="test", top=1)
    said = conclusion(confirmed(alone, {1: CLEAR[1], 0: [None] * 5}))
    assert said.endswith(" There is no other to compare it with.")
    said = conclusion(confirmed(on_test, {**CLEAR, 0: [None] * 5}))
    assert said.endswith(" Tied with it: trial 2.")


def test_an_interrupted_confirmation_speaks_of_what_is_missing(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, {1: [0.98], 2: [0.97], 3: [0.96], 0: [0.90]})
    assert result.n_missing == 16
    said = conclusion(result)
    assert "so far (16 to run), trial 1 is first" in said
    assert "98.00 % over 1 seed" in said
    assert math.isnan(frame(result).iloc[0]["low"])
    write_confirmation(result, on_test.paths.root / "x.png")


def test_who_was_dropped_early_is_never_ranked_above_the_finalists(on_test: ConfirmPlan) -> None:
    """Seeds 4 and 5 are hard for everyone, so early means are the higher ones."""
    hard = {
        1: [0.980, 0.981, 0.982, 0.90, 0.90],
        2: [0.980, 0.9815, 0.981, 0.90, 0.90],
        3: [0.960, 0.9611, 0.962],
        0: [0.980, 0.981, 0.9815, 0.90, 0.90],
    }
    result = confirmed(on_test, hard)
    dropped = result.rows[-1]
    assert (dropped.trial, dropped.status, dropped.rank) == (3, Status.BEHIND, None)
    assert dropped.behind is not None
    assert dropped.behind.estimate.mean == pytest.approx(0.02, abs=1e-3)


def test_intervals_of_an_accuracy_stay_possible(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, {1: [0.99, 1.0], 2: [0.99, 1.0], 3: [0.9, 1.0], 0: [0.9, 1.0]})
    assert frame(result)["high"].max() == 1.0


def test_the_csv_has_every_seeds_score_and_reads_back(on_test: ConfirmPlan) -> None:
    text = frame(confirmed(on_test, {**CLEAR, 2: [0.98, None, 0.981, 0.98, 0.982]})).to_csv()
    rows = {row["trial"]: row for row in csv.DictReader(io.StringIO(text))}
    assert [float(rows["1"][f"seed_{s}"]) for s in range(1, 6)] == CLEAR[1]
    assert rows["2"]["seed_2"] == ""
    assert rows["0"]["gain"] == ""
    assert (rows["3"]["rank"], rows["3"]["n_seeds"]) == ("", "5")
    assert float(rows["1"]["gain_low"]) < 0.0398 < float(rows["1"]["gain_high"])


def test_the_looks_at_the_test_examples_are_counted(on_test: ConfirmPlan) -> None:
    openings = [Opening("2026-01-02T10:00:00+00:00", "study", t, 1, "confirm") for t in (0, 1, 1)]
    result = confirmed(on_test, CLEAR)
    said = opened(result, [*openings, replace(openings[0], command="train")])
    assert "1 confirmation (2 configs, 1 seed) and 1 run of `besom train`, first on 2026-" in said
    on_validation = replace(result, plan=replace(on_test, on="validation"))
    assert opened(on_validation, openings) == ""


def test_what_the_sweep_ran_with_is_held_against_what_ran_now(on_test: ConfirmPlan) -> None:
    facts = {"environments": {"then": {"versions": {"keras": "3.12.0"}}}}
    plan = replace(on_test, study=replace(on_test.study, facts=facts))
    result = confirmed(plan, CLEAR)
    runs = {
        key: replace(run, environment={"versions": {"keras": "3.13.0"}})
        for key, run in result.runs.items()
    }
    said = caveats(replace(result, runs=runs))
    assert (
        'The sweep ran with other software or hardware: versions.keras: "3.12.0" -> "3.13.0".'
        in said
    )


def test_on_validation_images_the_choices_are_caveats(study: StudyRecord, plan_of: PlanOf) -> None:
    plan = plan_of(study)
    scores = {t: [v - 0.01 for v in values] for t, values in CLEAR.items()}
    plan = replace(plan, objective=Objective("val_accuracy", "maximize"))
    same = confirmed(plan, scores)
    assert any("chosen on these examples" in c for c in caveats(same))
    assert any("best epoch was picked on the examples that measure it" in c for c in caveats(same))
    assert "by each run's best epoch on them" in conclusion(same)
    split = confirmed(replace(plan, new_split=True), scores)
    assert not any("chosen on these examples" in c for c in caveats(split))
    assert any("too narrow for new data" in c for c in caveats(split))
    last = replace(plan, objective=Objective("val_accuracy", "maximize", "last"))
    assert "best epoch" not in conclusion(confirmed(last, scores))


def test_one_of_several_objectives_is_said_to_be_one(on_test: ConfirmPlan) -> None:
    objectives = (*on_test.study.objectives, Objective("n_params", "minimize"))
    plan = replace(on_test, study=replace(on_test.study, objectives=objectives))
    said = caveats(confirmed(plan, CLEAR))
    assert any("another trial may be first by the other" in c for c in said)


def test_the_interval_of_the_first_holds_whichever_was_first(plan_of: PlanOf) -> None:
    random = np.random.default_rng(0)
    study = make_study(trial_function=RUN_TRIAL)
    plan = replace(plan_of(study, on="test"), race=False)
    held = 0
    for _ in range(300):
        luck = random.normal(0.9, 0.01, (4, 5))
        first = confirmed(plan, dict(zip((1, 2, 3, 0), luck.tolist(), strict=True))).first
        assert first is not None
        assert first.estimate is not None
        held += first.estimate.interval.low <= 0.9 <= first.estimate.interval.high
    assert held >= 0.94 * 300  # of a config named beforehand's interval, 92 % would


def test_who_stands_where_is_shown_on_a_narrow_terminal_too(on_test: ConfirmPlan) -> None:
    result = confirmed(on_test, CLEAR)
    out = io.StringIO()
    print_report(result, [], Console(file=out, width=50))
    assert "first" in out.getvalue().splitlines()[4]


def test_equal_scores_are_never_plus_or_minus_nothing(on_test: ConfirmPlan) -> None:
    equal = {1: [0.98] * 5, 2: [0.97] * 5, 3: [0.96] * 5, 0: [0.95] * 5}
    result = confirmed(on_test, equal)
    said = conclusion(result)
    assert "98.000 % ± 0.045 over 5 seeds (95 % interval for these examples" in said
    assert "± 0.00" not in said
    assert "± 0.00" not in to_markdown(result, [])
    assert any(c.startswith("All seeds of trials 1, ") for c in caveats(result))


def test_equal_losses_have_no_interval(plan_of: PlanOf) -> None:
    study = make_study(trial_function=RUN_TRIAL, objective=Objective("val_loss", "minimize"))
    result = confirmed(plan_of(study, on="test", top=1), {1: [0.1] * 5, 0: [0.3] * 5})
    said = conclusion(result)
    assert "mean test_loss of 0.1 over 5 seeds" in said
    assert "Gain over the baseline on these examples: 0.2 better, not shown" in said
    assert "±" not in said
    assert write_confirmation(result, Path(result.plan.paths.root) / "x.png").exists()


def test_a_lower_loss_is_better_in_words_and_not_a_plus(plan_of: PlanOf) -> None:
    study = make_study(trial_function=RUN_TRIAL, objective=Objective("val_loss", "minimize"))
    scores = {1: [0.1, 0.11, 0.1], 2: [0.5, 0.51, 0.52], 0: [0.3, 0.31, 0.32]}
    result = confirmed(plan_of(study, on="test", top=2, n_seeds=3), scores)
    assert "Gain over the baseline on these examples: 0.20667 ± 0.0067 better" in conclusion(result)
    shown = display(result).set_index("trial")
    assert shown["gain"]["1"] == "0.20667 ± 0.0067 better"
    assert shown["gain"]["2"].endswith(" worse")
    assert not any("+" in cell for row in shown.to_numpy() for cell in row)


def test_too_few_seeds_for_the_bootstrap_are_said(on_test: ConfirmPlan) -> None:
    said = caveats(confirmed(replace(on_test, method="bootstrap"), CLEAR))
    assert any("fewer than six seeds" in c for c in said)


def test_the_table_fits_a_terminal_of_80_columns(on_test: ConfirmPlan) -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    print_report(confirmed(on_test, CLEAR), [], console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    table = [line for line in lines if line.startswith(("│", "┃", "┏"))]
    assert len(table) == 2 + len(CLEAR)
    assert "baseline, behind" in console.file.getvalue()


def test_a_baseline_far_off_does_not_press_the_others_into_a_line(
    on_test: ConfirmPlan, tmp_path: Path
) -> None:
    far = {**CLEAR, 0: [0.41, 0.39, 0.43, 0.40, 0.42]}
    result: Confirmation = confirmed(on_test, far)
    picture = summarise_picture(result)
    assert picture.percent
    assert picture.window.low > 90
    assert picture.baseline == pytest.approx(41)
    path = write_confirmation(result, tmp_path / "confirm.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_a_report_no_longer_shows_is_said(plan_of: PlanOf) -> None:
    study = make_study(trial_function=RUN_TRIAL)
    some = plan_of(study, on="test", top=2)
    fewer = confirmed(plan_of(study, on="test", trials=[3]), {t: CLEAR[t] for t in (3, 0)})
    assert replaced(fewer) == ""
    path = write_report(confirmed(some, {t: CLEAR[t] for t in (1, 2, 0)}), [])[0]
    assert replaced(confirmed(some, {t: CLEAR[t] for t in (1, 2, 0)})) == ""
    said = replaced(fewer)
    assert said.startswith(
        "confirm.csv also held other trials; trials 1 and 2 are no longer in it."
    )
    path.write_text("nonsense")
    assert replaced(fewer) == ""
