"""The ranking: what may stand in it, in which order, and how it is written."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from besom.errors import ConfigError
from besom.python.study_object import Study
from besom.report import ledger
from besom.report.export import write_best
from besom.report.fitted_ranking import _aligned, _Column
from besom.report.leaderboard import (
    display,
    headline,
    hyperparameters,
    ranking,
    sort_by,
    to_csv,
    to_json,
    to_markdown,
    unranked,
    write_leaderboard,
)
from besom.report.study_text import print_study
from besom.report.tables import (
    outcome_counts,
    over_baseline,
    param_cell,
    shown_params,
)
from besom.statistics import claim
from besom.store.paths import StudyPaths
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.study.watcher import INTERVAL_S, SHARE, LeaderboardWriter
from besom.text.console import say
from besom.text.numbers import duration
from records_factory import BASE_PARAMS, VAL_ACCURACY, VAL_LOSS, make_study, make_trial


def study_of(*values: float | None, **more: TrialRecord) -> StudyRecord:
    """Trials of these values, trial 0 the baseline; None stands for one that failed."""
    trials = [
        dataclasses.replace(
            make_trial(i, BASE_PARAMS, baseline=i == 0),
            **(
                {"values": (value,)}
                if value is not None
                else {"values": None, "outcome": Outcome.ERROR, "reason": "ValueError: [x] | y"}
            ),
        )
        for i, value in enumerate(values)
    ]
    return StudyRecord("s", (VAL_ACCURACY,), tuple(trials))


def printed(study: StudyRecord, width: int = 200, **options: bool) -> str:
    """Both tables as a terminal of this width shows them."""
    out = io.StringIO()
    claimed = claim(study)
    frame = ranking(study, claimed)
    print_study(study, frame, claimed, Console(file=out, width=width), None, **options)
    return out.getvalue()


# Ranking


def test_the_best_comes_first_and_equal_values_share_a_rank() -> None:
    frame = ranking(study_of(0.5, 0.9, 0.7, 0.9, 0.1))
    assert list(frame["trial"]) == [1, 3, 2, 0, 4]
    assert list(frame["rank"]) == [1, 1, 3, 4, 5]


def test_what_is_minimised_is_ranked_the_other_way_round() -> None:
    study = make_study(30, objectives=[VAL_LOSS])
    frame = ranking(study)
    assert frame["val_loss"].is_monotonic_increasing
    assert frame["gain"].is_monotonic_decreasing


def test_the_gain_is_over_the_baseline_and_positive_where_it_is_better() -> None:
    frame = ranking(study_of(0.5, 0.75, 0.25)).set_index("trial")
    assert frame["gain"].to_dict() == pytest.approx({1: 0.25, 0: 0.0, 2: -0.25})
    assert frame["note"].to_dict() == {0: "baseline", 1: "", 2: ""}


def test_without_a_complete_baseline_no_gain_is_claimed() -> None:
    frame = ranking(study_of(None, 0.75))
    assert "gain" not in frame.columns
    assert "baseline" not in headline(study_of(None, 0.75))


@pytest.mark.parametrize(
    "outcome", [outcome for outcome in Outcome if outcome is not Outcome.COMPLETE]
)
def test_only_complete_trials_are_ever_ranked(outcome: Outcome) -> None:
    """Also not where they carry a value, as a duplicate does."""
    odd = dataclasses.replace(
        make_trial(1, BASE_PARAMS), outcome=outcome, values=(0.999,), reason="because"
    )
    study = StudyRecord("s", (VAL_ACCURACY,), (study_of(0.5).trials[0], odd))
    assert list(ranking(study)["trial"]) == [0]
    rest = unranked(study)[["trial", "outcome", "reason"]]
    name = "unfinished" if outcome is Outcome.RUNNING else str(outcome)
    assert rest.to_numpy().tolist() == [[1, name, "because"]]


def test_a_large_study_splits_into_the_two_tables_without_loss() -> None:
    study = make_study(200)
    both = [*ranking(study)["trial"], *unranked(study)["trial"]]
    assert sorted(both) == list(range(200))
    assert sum(outcome_counts(study.trials).values()) == 200


def test_columns_come_in_the_promised_order() -> None:
    columns = list(ranking(make_study(40)).columns)
    fixed = ["rank", "trial", "val_accuracy", "gain", "best_epoch", "epochs"]
    assert columns[: len(fixed) + 3] == [*fixed, "parameters", "seconds", "cpu_seconds"]
    assert set(BASE_PARAMS) | {"optimizer.momentum"} <= set(columns)


def test_a_study_of_nothing_can_be_shown() -> None:
    study = StudyRecord("empty", (VAL_ACCURACY,), ())
    assert ranking(study).empty
    assert unranked(study).empty
    assert "no trial has completed" in headline(study)
    assert "empty" in to_markdown(study, ranking(study))
    assert to_csv(ranking(study))
    assert json.loads(to_json(ranking(study))) == []
    assert "empty" in printed(study)


def test_a_study_of_failures_only_says_so() -> None:
    study = study_of(None, None)
    text = to_markdown(study, ranking(study))
    assert "no trial has completed (2 error)" in text
    assert "Not ranked" in text


def test_the_headline_says_who_leads_and_by_how_much() -> None:
    text = headline(study_of(0.5, 0.75, None))
    assert text.startswith(
        "s: best val_accuracy 0.7500 (trial 1, +25.00 points over the baseline before any"
    )
    assert text.endswith("; 2 complete, 1 error.")


# Sorting


def test_rows_are_sorted_by_any_column() -> None:
    study = make_study(40)
    frame = ranking(study)
    for column in frame.columns:
        assert sorted(sort_by(frame, column)["trial"]) == sorted(frame["trial"])
    assert sort_by(frame, "seconds")["seconds"].is_monotonic_increasing
    assert sort_by(frame, None).equals(frame)


def test_a_column_can_be_named_as_the_table_shows_it() -> None:
    frame = ranking(make_study(40))
    by_short = sort_by(frame, "dropout")
    assert by_short["model.dropout"].is_monotonic_increasing


def test_an_unknown_column_is_refused_with_near_names() -> None:
    with pytest.raises(ConfigError, match=r"'secnds'.*Did you mean 'seconds'"):
        sort_by(ranking(make_study(5)), "secnds")


# Writing


def test_the_csv_can_be_read_back_by_any_reader() -> None:
    frame = ranking(make_study(40))
    rows = list(csv.DictReader(io.StringIO(to_csv(frame))))
    assert len(rows) == len(frame)
    for row, (_, expected) in zip(rows, frame.iterrows(), strict=True):
        assert int(row["trial"]) == expected["trial"]
        assert float(row["val_accuracy"]) == expected["val_accuracy"]
        assert json.loads(row["model.hidden_units"]) == expected["model.hidden_units"]


def test_the_json_is_plain_and_what_does_not_apply_has_no_key() -> None:
    frame = ranking(make_study(60))
    rows = json.loads(to_json(frame))
    assert "NaN" not in to_json(frame)
    assert {type(row["trial"]) for row in rows} == {int}
    assert {type(row["best_epoch"]) for row in rows} == {int}
    assert {type(row["parameters"]) for row in rows} == {int}
    assert {type(row["val_accuracy"]) for row in rows} == {float}
    assert isinstance(rows[0]["model.hidden_units"], list)
    momenta = [row["optimizer.momentum"] for row in rows if "optimizer.momentum" in row]
    assert 0 < len(momenta) < len(rows)
    assert all(isinstance(value, float) for value in momenta)


def test_null_is_told_from_what_does_not_apply() -> None:
    params: list[dict[str, object]] = [{"m.clip": None, "m.depth": 3}, {"m.clip": 0.5}, {}]
    trials = [
        dataclasses.replace(make_trial(i, BASE_PARAMS, baseline=i == 0), params=own)
        for i, own in enumerate(params)
    ]
    study = StudyRecord("s", (VAL_ACCURACY,), tuple(trials))
    frame = ranking(study).set_index("trial", drop=False).sort_index()
    rows = sorted(json.loads(to_json(frame)), key=lambda row: row["trial"])
    assert [row.get("m.clip", "absent") for row in rows] == [None, 0.5, "absent"]
    assert ["m.depth" in row for row in rows] == [True, False, False]
    assert [row["m.clip"] for row in csv.DictReader(io.StringIO(to_csv(frame)))] == [
        *("null", "0.5", "")
    ]
    assert list(display(frame)["clip"]) == ["null", "0.5", ""]
    assert shown_params(params[0]) == "clip null, depth 3"


def test_a_mapping_is_one_short_text_wherever_it_is_shown() -> None:
    schedule = {"decay_steps": 900, "_target_": "keras.optimizers.schedules.CosineDecay", "a": None}
    assert param_cell(schedule) == "CosineDecay(a=null, decay_steps=900)"
    assert param_cell(dict(reversed(schedule.items()))) == param_cell(schedule)
    assert param_cell({"b": [1, True], "a": 0.1 + 0.2}) == "{a: 0.3, b: [1, true]}"


def test_numpy_values_do_not_hurt(tmp_path: Path) -> None:
    trial = dataclasses.replace(
        make_trial(0, BASE_PARAMS, baseline=True), params={"a": np.float64(0.5), "b": np.int64(3)}
    )
    frame = ranking(StudyRecord("s", (VAL_ACCURACY,), (trial,)))
    assert json.loads(to_json(frame))[0]["b"] == 3


def test_the_markdown_is_a_table_with_one_line_a_trial() -> None:
    study = make_study(30, failed=0.3)
    text = to_markdown(study, ranking(study))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 30 + 4
    assert "## Not ranked" in text
    assert "nan" not in text.lower().replace("val_loss is nan", "")


def test_a_reason_with_a_bar_does_not_break_the_markdown_table() -> None:
    study = study_of(0.5, None)
    row = next(line for line in to_markdown(study, ranking(study)).splitlines() if "[x]" in line)
    head = next(
        line for line in to_markdown(study, ranking(study)).splitlines() if "| outcome" in line
    )
    assert row.replace("\\|", "").count("|") == head.count("|")


def test_a_reason_in_brackets_is_not_taken_for_a_style() -> None:
    study = study_of(0.5, None)
    reason = "ValueError: the layer [red] is [/missing]"
    broken = dataclasses.replace(study.trials[1], reason=reason)
    study = dataclasses.replace(study, trials=(study.trials[0], broken))
    assert reason in printed(study)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_terminal_table_fits_its_width_and_shows_every_trial(width: int) -> None:
    study = make_study(12, failed=0.0, pruned=0.0)
    lines = printed(study, width).splitlines()
    assert max(len(line) for line in lines) <= width
    for trial in study.complete:
        assert any(f" {trial.number} " in line for line in lines)


@pytest.mark.parametrize("width", [80, 100])
def test_a_narrow_terminal_shows_the_error_of_every_score_and_what_is_corrected(width: int) -> None:
    right = np.arange(400) < np.array([[360], [364]])
    trials = tuple(
        dataclasses.replace(
            make_trial(number, BASE_PARAMS, baseline=number == 0),
            values=(float(bits.mean()),),
            history={"val_accuracy": [float(bits.mean())]},
            best_epoch=1,
            n_validation=400,
            correct=np.packbits(bits).tobytes(),
        )
        for number, bits in enumerate(right)
    )
    text = printed(StudyRecord("s", (VAL_ACCURACY,), trials), width)
    assert "0.9100 ± 0.0143" in text
    assert "0.9000 ± 0.0150" in text
    assert "corrected for selection" in " ".join(text.split())
    assert "corrected ┃" not in text  # one number is the score of a row: the sentence corrects it
    assert "+1.00 points" in text


def swept(n_trials: int, *, pruned: int = 0, failed: int = 0, **params: list) -> StudyRecord:
    """A study whose trials have these values of hyperparameters in turn."""
    paths = {name.replace("__", "."): values for name, values in params.items()}
    outcomes = [Outcome.COMPLETE] * n_trials + [Outcome.PRUNED] * pruned + [Outcome.ERROR] * failed
    trials = tuple(
        dataclasses.replace(
            make_trial(number, BASE_PARAMS, outcome, baseline=number == 0),
            params={path: values[number % len(values)] for path, values in paths.items()},
        )
        for number, outcome in enumerate(outcomes)
    )
    return StudyRecord("s", (VAL_ACCURACY,), trials)


MANY = {
    "model__units": [[512, 256], [64]],
    "model__activation": ["relu", "gelu", "silu"],
    "model__dropout": [0.25, 0.1234],
    "optimizer__learning_rate": [0.001, 0.00012, 0.3],
    "optimizer__momentum": [0.9, 0.99],
    "trainer__batch_size": [64],
}


def test_a_trial_is_one_line_in_80_columns_and_its_hyperparameters_are_columns() -> None:
    study = swept(12, **MANY)
    lines = printed(study, 80).splitlines()
    assert max(map(len, lines)) <= 80
    head = next(line for line in lines if "rank" in line)
    for name in ("val_accuracy", "units", "activation", "dropout"):
        assert f" {name} " in head
    assert sum(line.startswith("│") for line in lines) == 12
    said = " ".join(printed(study, 80).split())
    assert re.search(r"The same in every row: .*, batch_size 64\.", said)
    assert "Trial 0: baseline." in said
    left_out = re.search(r"Not shown: (.*?)\. --columns", said)
    assert left_out
    heads = [line.strip("┃").split("┃") for line in lines if line.startswith("┃")]
    shown = {"".join(cell.strip() for cell in column) for column in zip(*heads, strict=True)}
    named = set(left_out[1].split(", "))
    assert not named & shown
    assert {"learning_rate", "momentum"} <= named | shown
    assert "learning_rate" in shown  # its heading takes two lines, so there is room for it


def test_what_limits_a_claim_stands_apart_in_every_line() -> None:
    console = Console(file=io.StringIO(), width=20)
    say(console, "  a long remark that takes several lines", wrap=True)
    assert console.file.getvalue().splitlines() == [
        *("  a long remark that", "  takes several", "  lines")
    ]


def test_of_hundreds_of_hyperparameters_those_without_room_are_counted() -> None:
    study = make_study(3)
    trials = tuple(
        dataclasses.replace(t, params={f"model.block_{i}.units": i + t.number for i in range(300)})
        for t in study.trials
    )
    said = printed(dataclasses.replace(study, trials=trials), 80)
    assert max(map(len, said.splitlines())) <= 80
    assert re.search(r"Not shown: .* and \d+ more\. --columns", " ".join(said.split()))
    assert len(said.splitlines()) < 40


def test_what_fits_is_not_named_as_left_out() -> None:
    text = printed(swept(5, **MANY), 300)
    assert "Not shown" not in text
    assert "batch_size 64" in text
    assert "seconds" in text


def test_numbers_of_one_column_have_their_points_below_each_other() -> None:
    lines = printed(swept(6, **MANY), 200).splitlines()
    at = {line.index(cell) + 1 for line in lines for cell in ("0.25 ", "0.1234") if cell in line}
    assert len(at) == 1


def test_losses_and_their_errors_have_their_points_below_each_other() -> None:
    cells = ["13.745 ± 0.98", "132.07 ± 7", "9 ± 1.1", "50.5"]
    aligned = _aligned(_Column("val_mae", cells)).cells
    assert aligned == [" 13.745 ± 0.98", "132.07  ± 7   ", "  9     ± 1.1 ", " 50.5         "]
    gains = _aligned(_Column("gain", ["3.435 better", "0", "33.6 worse"])).cells
    assert gains == [" 3.435 better", " 0           ", "33.6   worse "]
    words = _Column("units", ["64.5 wide", "relu"])
    assert _aligned(words) is words


def test_what_is_the_same_in_every_row_takes_no_column() -> None:
    text = printed(swept(5, **MANY), 300)
    assert (
        "The same in every row: epochs 10, parameters 535818, seconds 20.4, batch_size 64" in text
    )


def test_the_paths_of_one_list_are_one_column() -> None:
    study = swept(4, model__units__0=[64, 32], model__units__1=[8], head__units=[4, 5])
    text = printed(study, 120)
    assert "64-8" in text
    assert "32-8" in text
    assert "model.units" in text
    assert "head.units" in text


def test_a_list_without_room_is_wrapped_rather_than_missing() -> None:
    layers = [[{"units": 512, "activation": "relu"}] * 6, [{"units": 64, "activation": "gelu"}] * 5]
    lines = printed(swept(4, model__layers=layers), 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("512" in line for line in lines) > 2


def test_pruned_trials_are_counted_and_listed_on_demand_and_failed_ones_are_few() -> None:
    study = swept(6, pruned=30, failed=9, **MANY)
    text = printed(study, 80)
    assert "Failed, 5 of 9" in text
    assert text.count(" error ") == 5
    assert "pruned" not in text.split("Failed")[1].split("Not ranked")[0]
    assert "Not ranked: 30 pruned, 9 error. `besom leaderboard s --all` lists them." in text
    everything = printed(study, 80, show_all=True)
    assert everything.count(" pruned ") >= 30
    assert "--all" not in everything


def test_all_shows_every_row_of_a_long_ranking() -> None:
    study = swept(130, **MANY)
    assert "30 more rows: --all shows them" in printed(study, 200)
    rows = [x for x in printed(study, 200, show_all=True).splitlines() if x.startswith("│")]
    assert len(rows) == 130


def test_a_study_in_which_nothing_completed_shows_why() -> None:
    text = printed(swept(0, failed=3, **MANY), 80)
    assert text.count(" error ") == 3


def test_two_hyperparameters_of_one_short_name_keep_their_paths_apart() -> None:
    trial = dataclasses.replace(
        make_trial(0, BASE_PARAMS, baseline=True),
        params={"model.rate": 0.1, "optimizer.rate": 0.2, "model.depth": 3},
    )
    study = StudyRecord("s", (VAL_ACCURACY,), (trial,))
    text = to_markdown(study, ranking(study))
    assert "model.rate" in text
    assert "optimizer.rate" in text
    assert "model.depth" not in text


def test_a_hyperparameter_named_like_a_column_of_ours_hides_nothing() -> None:
    """A config path always has a dot or is a group; ``trial`` and ``rank`` stay ours."""
    trial = dataclasses.replace(
        make_trial(0, BASE_PARAMS, baseline=True), params={"trainer.epochs": 4, "model.rank": 2}
    )
    study = StudyRecord("s", (VAL_ACCURACY,), (trial,))
    frame = ranking(study)
    assert frame["trainer.epochs"].tolist() == [4]
    assert frame["rank"].tolist() == [1]
    shown = to_markdown(study, frame)
    assert "trainer.epochs" in shown
    assert "model.rank" in shown


def test_booleans_lists_and_absent_values_are_shown_for_people() -> None:
    trials = (
        dataclasses.replace(
            make_trial(0, BASE_PARAMS, baseline=True),
            params={"a.flag": True, "a.units": [8, 16], "a.none": None, "a.map": {"x": 1}},
        ),
        dataclasses.replace(make_trial(1, BASE_PARAMS), params={"a.flag": False}),
    )
    study = StudyRecord("s", (VAL_ACCURACY,), trials)
    text = to_markdown(study, ranking(study))
    assert "8-16" in text
    assert "true" in text
    assert "false" in text
    assert "None" not in text


def test_both_files_are_written(tmp_path: Path) -> None:
    study = make_study(20)
    paths = StudyPaths.of(tmp_path, "s")
    write_leaderboard(study, paths)
    assert paths.leaderboard_csv.read_text() == to_csv(ranking(study))
    assert paths.leaderboard_md.read_text() == to_markdown(study, ranking(study))
    assert sorted(p.name for p in paths.root.iterdir()) == ["leaderboard.csv", "leaderboard.md"]


def scoring(number: int, n_right: int, *, has_bits: bool = True) -> TrialRecord:
    """A trial that got so many of 400 examples right."""
    right = np.arange(400) < n_right
    known = {"correct": np.packbits(right).tobytes()} if has_bits else {}
    return dataclasses.replace(
        make_trial(number, BASE_PARAMS, baseline=number == 0),
        values=(n_right / 400,),
        history={"val_accuracy": [n_right / 400]},
        best_epoch=1,
        n_validation=400,
        **known,
    )


@pytest.mark.parametrize(
    ("trials", "leader"),
    [
        ([scoring(0, 350), scoring(1, 360), scoring(2, 370)], 2),
        ([scoring(0, 350), scoring(1, 370), scoring(2, 370)], 1),
        ([scoring(0, 370), scoring(1, 370), scoring(2, 350)], 0),
        ([scoring(0, 350), scoring(1, 370, has_bits=False), scoring(2, 370)], 2),
        ([scoring(0, 350), scoring(1, 360), scoring(2, 370, has_bits=False)], 2),
        ([scoring(0, 350), scoring(1, 370, has_bits=False), scoring(2, 370, has_bits=False)], 1),
    ],
)
def test_sentence_first_row_best_and_best_yaml_name_one_trial(
    trials: list[TrialRecord], leader: int, tmp_path: Path
) -> None:
    record = StudyRecord("s", (VAL_ACCURACY,), tuple(trials))
    claimed, paths = claim(record, n_draws=20), StudyPaths.of(tmp_path, "s")
    assert claimed.leader == leader
    assert f"trial {leader}" in claimed.text or f"trials {leader} and" in claimed.text
    assert ranking(record).iloc[0]["trial"] == ranking(record, claimed).iloc[0]["trial"] == leader
    assert Study.of(record, tmp_path).best.number == leader
    write_best(record, paths)
    assert f"Trial {leader} of" in paths.best.read_text()


def test_the_files_are_rewritten_as_trials_finish_but_not_all_the_time(tmp_path: Path) -> None:
    now = [0.0]
    study = make_study(3)
    paths = StudyPaths.of(tmp_path, "s")
    writer = LeaderboardWriter(paths, clock=lambda: now[0])
    writer.began(lambda: study, 3, 1)
    writer.idle()
    assert not paths.root.exists()
    writer.finished(study.trials[0])
    writer.idle()
    assert paths.leaderboard_csv.exists()
    paths.leaderboard_csv.unlink()
    writer.finished(study.trials[1])
    writer.idle()
    assert not paths.leaderboard_csv.exists()
    now[0] += INTERVAL_S
    writer.idle()
    assert paths.leaderboard_csv.exists()
    paths.leaderboard_csv.unlink()
    now[0] += SHARE
    writer.idle()
    assert not paths.leaderboard_csv.exists(), "nothing new to write"


def test_five_thousand_trials_are_ranked() -> None:
    some = make_study(100, n_epochs=2).trials
    trials = (dataclasses.replace(some[i % 100], number=i, baseline=i == 0) for i in range(5000))
    study = StudyRecord("large", (VAL_ACCURACY,), tuple(trials))
    frame = ranking(study)
    assert len(frame) == len(study.complete)
    assert to_markdown(study, frame)
    assert math.isfinite(frame["val_accuracy"].sum())


def on_a_gpu(study: StudyRecord, gpus_per_worker: float = 1.0) -> StudyRecord:
    """The same study as if its workers had had a GPU."""
    environment = {"device": {"gpus": ["H100"]}, "gpus_per_worker": gpus_per_worker}
    trials = tuple(dataclasses.replace(t, environment={"id": "x"}) for t in study.trials)
    return dataclasses.replace(study, trials=trials, facts={"environments": {"x": environment}})


def test_each_row_says_what_it_cost_in_the_files_and_not_on_the_terminal() -> None:
    study = make_study(12)
    frame = ranking(study)
    by_number = {trial.number: trial for trial in study.trials}
    for _, row in frame.iterrows():
        assert row["cpu_seconds"] == pytest.approx(by_number[row["trial"]].cpu_seconds, abs=1e-3)
    assert "cpu_seconds" in to_csv(frame)
    assert "cpu_seconds" in json.loads(to_json(frame))[0]
    assert "cpu_seconds" not in printed(study)
    assert "gpu_seconds" not in to_csv(frame)
    gpu = ranking(on_a_gpu(study, gpus_per_worker=0.5))
    assert list(gpu["gpu_seconds"]) == pytest.approx(list(gpu["seconds"] / 2), abs=1e-3)


@pytest.mark.parametrize("metric", ["seconds", "cpu_seconds"])
def test_a_cost_as_the_objective_stays_exact_and_hides_no_hyperparameter(metric: str) -> None:
    objective = Objective(metric, "minimize")
    trials = tuple(
        dataclasses.replace(t, values=(t.seconds / 3,), params={"model.depth": 3})
        for t in make_study(6, failed=0.0, pruned=0.0).trials
    )
    study = StudyRecord("s", (objective,), trials)
    frame = ranking(study)
    assert list(frame[metric]) == sorted(t.seconds / 3 for t in trials)
    assert hyperparameters(frame) == ["model.depth"]
    assert metric in printed(study)


# What it has cost


def test_every_trial_has_a_row_of_costs() -> None:
    study = make_study(40, failed=0.3)
    rows = list(csv.DictReader(io.StringIO(ledger.to_csv(study))))
    assert [int(row["trial"]) for row in rows] == list(range(40))
    assert list(rows[0]) == ["trial", "outcome", "epochs", "seconds", "cpu_seconds", "gpu_seconds"]
    for row, trial in zip(rows, study.trials, strict=True):
        assert row["outcome"] == str(trial.outcome)
        assert float(row["seconds"]) == pytest.approx(trial.seconds, abs=1e-3)
    assert len(json.loads(ledger.to_json(study))) == 40
    totals = ledger.ledger(study).by_outcome
    assert totals["seconds"].iloc[-1] == pytest.approx(sum(t.seconds for t in study.trials), 1e-3)
    assert totals["trials"].iloc[:-1].sum() == totals["trials"].iloc[-1] == 40
    text = ledger.to_markdown(study)
    assert sum(line.startswith("|") for line in text.splitlines()) == 40 + 2 + len(totals) + 2


def test_runs_on_fresh_seeds_are_part_of_the_cost() -> None:
    study = make_study(10, pruned=0.0)
    again = tuple(dataclasses.replace(t, seed=seed) for t in study.trials[:2] for seed in (1, 2, 3))
    study = dataclasses.replace(study, replicates=again)
    totals = ledger.ledger(study).by_outcome.set_index("outcome")
    assert totals.loc["again on fresh seeds", "trials"] == 6
    spent = sum(t.seconds for t in (*study.trials, *again))
    assert totals.loc["total", "seconds"] == pytest.approx(spent, 1e-3)
    assert totals["share"].iloc[:-1].sum() == pytest.approx(1.0)
    assert f"for {duration(spent)} of worker time" in told_ledger(study)


def test_what_a_killed_worker_took_of_the_cpu_is_not_called_nothing() -> None:
    trials = (
        make_trial(0, BASE_PARAMS, baseline=True),
        dataclasses.replace(make_trial(1, BASE_PARAMS, Outcome.TIMEOUT), cpu_seconds=0.0),
        dataclasses.replace(make_trial(2, BASE_PARAMS, Outcome.INFEASIBLE), cpu_seconds=0.0),
    )
    study = StudyRecord("s", (VAL_ACCURACY,), trials)
    assert [row["cpu_seconds"] is None for row in json.loads(ledger.to_json(study))] == [
        *(False, True, False)
    ]
    assert "that were killed, whose CPU seconds are not in the sums: 1." in told_ledger(study)


def test_the_most_expensive_trials_are_named_where_some_are_expensive() -> None:
    even = [dataclasses.replace(t, seconds=10.0) for t in make_study(20).trials]
    assert "expensive" not in told_ledger(StudyRecord("s", (VAL_ACCURACY,), tuple(even)))
    even[7] = dataclasses.replace(even[7], seconds=500.0)
    told = told_ledger(StudyRecord("s", (VAL_ACCURACY,), tuple(even)))
    assert "5 most expensive trials" in told
    assert "72%" in told


def test_the_ledger_of_nothing_can_be_shown() -> None:
    study = StudyRecord("empty", (VAL_ACCURACY,), ())
    assert "total" in told_ledger(study)
    assert json.loads(ledger.to_json(study)) == []
    assert "# Cost of empty" in ledger.to_markdown(study)


def told_ledger(study: StudyRecord) -> str:
    out = io.StringIO()
    ledger.print_ledger(study, Console(file=out, width=200))
    return out.getvalue()


@pytest.mark.parametrize(
    ("metric", "value", "shown", "gain"),
    [
        ("val_accuracy", 0.9, "0.9000", "+90.00 points"),
        ("val_loss", 0.123456, "0.12346", "+0.1235"),
        ("n_params", 167178.0, "167178", "+167,178"),
        ("n_params", 2410.0, "2410", "+2410"),
        ("val_cost", 99999.7, "100000", "+100,000"),
        ("val_loss", 1e20, "1e+20", "+1e+20"),
    ],
)
def test_a_value_is_rounded_and_a_count_stays_whole(
    metric: str, value: float, shown: str, gain: str
) -> None:
    objective = Objective(metric, "maximize")
    assert objective.text(value) == shown
    assert objective.gain_text(value) == gain
    assert VAL_LOSS.text(float("nan")) == "nan"


def test_a_number_as_the_objective_is_a_column_once() -> None:
    study = make_study(20, objectives=[Objective("n_params", "minimize")])
    frame = ranking(study)
    assert list(frame.columns).count("n_params") == 1
    assert frame["n_params"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("objective", "gain", "said"),
    [
        (VAL_ACCURACY, 0.25, "+25.00 points over the baseline"),
        (VAL_ACCURACY, -0.25, "-25.00 points over the baseline"),
        (VAL_LOSS, 0.78, "0.78 better than the baseline"),
        (VAL_LOSS, 21224.2, "21,224 better than the baseline"),
        (VAL_LOSS, -0.1, "0.1 worse than the baseline"),
        (VAL_LOSS, 0.0, "equal to the baseline"),
    ],
)
def test_a_loss_that_fell_is_better_than_the_baseline(objective, gain, said) -> None:
    assert over_baseline(objective, gain) == said


def test_the_headline_says_so_and_does_not_compare_the_baseline_with_itself() -> None:
    study = make_study(3)
    losses = dataclasses.replace(
        study,
        objectives=(VAL_LOSS,),
        trials=tuple(
            dataclasses.replace(t, values=(value,), baseline=t.number == 0)
            for t, value in zip(study.trials, (0.5, 0.25, 0.75), strict=True)
        ),
    )
    assert "best val_loss 0.25 (trial 1, 0.25 better than the baseline before" in headline(losses)
    alone = dataclasses.replace(losses, trials=losses.trials[:1])
    assert "best val_loss 0.5 (trial 0, the baseline itself); " in headline(alone)
