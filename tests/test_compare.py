"""``besom compare`` and ``besom diff``: what differs, and only what may be held against another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from besom.errors import StudyError
from besom.report.comparison import (
    best_after,
    compare,
    display,
    headline,
    outcomes_of,
    spent,
    to_markdown,
    write_comparison_files,
)
from besom.report.diff import contrast, contrasts_of, differences, verdict
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.text.values import ABSENT

if TYPE_CHECKING:
    from user_project import Project
from records_factory import VAL_LOSS, make_study
from reporting_world import store

ACCURACY = Objective("val_accuracy", "maximize")


def trial(number: int, value: float | None, **fields: Any) -> TrialRecord:
    outcome = Outcome.COMPLETE if value is not None else Outcome.ERROR
    defaults: dict[str, Any] = {"seconds": 10.0, "cpu_seconds": 8.0, "finished": float(number)}
    values = None if value is None else (value,)
    return TrialRecord(number, outcome, values, baseline=number == 0, **{**defaults, **fields})


def study(name: str, *values: float | None, **fields: Any) -> StudyRecord:
    trials = tuple(trial(number, value) for number, value in enumerate(values))
    return StudyRecord(name, (ACCURACY,), trials, **fields)


# Studies


def test_the_best_the_gain_and_what_was_spent() -> None:
    rows = outcomes_of([study("a", 0.5, 0.7, None, 0.6)], None).iloc[0]
    assert (rows["best"], rows["trial"], rows["baseline"]) == (0.7, 1, 0.5)
    assert rows["gain"] == pytest.approx(0.2)
    assert (rows["trials"], rows["complete"], rows["failed"]) == (4, 3, 1)
    assert (rows["worker_seconds"], rows["cpu_seconds"]) == (40.0, 32.0)


def test_equal_compute_is_what_the_cheapest_study_spent() -> None:
    long = study("long", 0.5, 0.6, 0.7, 0.9)
    short = study("short", 0.5, 0.8)
    compared = compare([long, short])
    assert compared.equal_compute == 20.0
    assert list(compared.outcomes["at_equal_compute"]) == [0.6, 0.8]
    assert headline(compared) == (
        "Best val_accuracy: 0.9000 (long); after 20 s of worker time each: 0.8000 (short)."
    )


def test_studies_that_are_level_are_called_level_whatever_their_order() -> None:
    a, b = study("a", 0.5, 0.9), study("b", 0.9, 0.6, 0.7)
    for order, names in (((a, b), "a and b"), ((b, a), "b and a")):
        both = f"0.9000 ({names})"
        assert headline(compare(order)) == (
            f"Best val_accuracy: {both}; after 20 s of worker time each: {both}."
        )


def judged(name: str, *shares: float) -> StudyRecord:
    """Trials that get so many of 1,000 images right."""
    rows = [np.arange(1000) < round(1000 * share) for share in shares]
    trials = tuple(
        trial(n, bits.mean(), n_validation=1000, correct=np.packbits(bits).tobytes())
        for n, bits in enumerate(rows)
    )
    return StudyRecord(name, (ACCURACY,), trials)


def test_a_lead_within_the_luck_of_having_been_picked_is_called_open() -> None:
    near, far = judged("near", 0.9, 0.91), judged("far", 0.7, 0.75)
    told = headline(compare([judged("first", 0.9, 0.912), near]))
    assert told.startswith("Best val_accuracy: 0.9120 (first)")
    assert told.endswith("which study has the better config is open.")
    assert "open" not in headline(compare([near, far]))


def test_failed_and_pruned_trials_are_part_of_the_compute() -> None:
    assert spent(study("a", None, 0.6, None)) == (30.0, 24.0)
    assert best_after(study("a", None, 0.6, None), 19.0) is None
    assert best_after(study("a", None, 0.6, None), 20.0) == 0.6


def test_different_objectives_are_shown_without_a_ranking(tmp_path: Path) -> None:
    compared = compare([make_study(8, name="a"), make_study(8, name="b", objectives=[VAL_LOSS])])
    assert not compared.comparable
    assert headline(compared) == ""
    assert "their values cannot be compared" in compared.remarks[0]
    assert "at equal compute" not in to_markdown(compared)
    files = write_comparison_files(compared, tmp_path)
    assert [path.name for path in files] == ["a-b.csv", "a-b.md"]


def weighed(name: str, *values: tuple[float, float]) -> StudyRecord:
    trials = tuple(
        TrialRecord(i, Outcome.COMPLETE, v, baseline=i == 0, seconds=10.0, finished=float(i))
        for i, v in enumerate(values)
    )
    return StudyRecord(name, (ACCURACY, Objective("n_params", "minimize")), trials)


def test_several_objectives_are_each_told_with_their_direction_and_nobody_wins() -> None:
    a = weighed("a", (0.5, 100.0), (0.9, 1000.0), (0.8, 2000.0))
    b = weighed("b", (0.4, 50.0), (0.95, 5000.0), (0.7, 80.0))
    compared = compare([a, b])
    table = display(compared).set_index("")
    assert table["a"]["objective"] == "maximizes val_accuracy and minimizes n_params"
    assert (table["a"]["best val_accuracy"], table["a"]["best n_params"]) == ("0.9000", "100")
    assert table["a"]["beaten by none of its own"] == "2 trials"
    assert (table["b"]["best val_accuracy"], table["b"]["best n_params"]) == ("0.9500", "50")
    assert headline(compared) == (
        "Trials that no trial of these studies beats in every objective: a 1, b 3."
    )
    assert not {"best", "baseline", "at equal compute"} & set(table.index)
    assert "With several objectives there is no single best" in compared.remarks[0]


def test_several_objectives_beside_one_are_not_held_against_it() -> None:
    compared = compare([weighed("a", (0.5, 100.0)), study("b", 0.6)])
    assert not compared.comparable
    assert "a maximizes val_accuracy and minimizes n_params" in compared.remarks[0]
    assert headline(compared) == ""


def test_several_objectives_without_a_complete_trial_are_said_to_have_none() -> None:
    assert headline(compare([weighed("a"), weighed("b")])).startswith("No trial")


def test_other_validation_images_are_a_remark() -> None:
    facts = [{"environments": {"x": {"data": {"fingerprint": f}}}} for f in ("one", "two")]
    compared = compare([study("a", 0.5, facts=facts[0]), study("b", 0.5, facts=facts[1])])
    assert any("different validation examples" in remark for remark in compared.remarks)


def test_what_differs_is_listed_by_part_and_nothing_else() -> None:
    def described(low: float, **sweep: Any) -> dict[str, Any]:
        config = {
            "model": {"units": [64]},
            "seed": 0,
            "sweep": {
                "space": {"model.dropout": {"low": low, "high": 0.5}},
                "n_trials": 3,
                **sweep,
            },
        }
        versions = {"versions": {"keras": f"3.{int(low * 10)}", "numpy": "2"}, "git": "same"}
        return {"config": config, "facts": {"environments": {"x": versions}}}

    frame = contrasts_of(
        [study("a", 0.5, **described(0.0)), study("b", 0.5, **described(0.1, audit=0.05))]
    )
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        ("space", "model.dropout.low", "0.0", "0.1"),
        ("config", "sweep.audit", "0.0", "0.05"),
        ("versions", "keras", "3.0", "3.1"),
    ]


def test_a_key_that_came_after_a_study_counts_there_with_its_default() -> None:
    config = {"seed": 0, "sweep": {"n_trials": 3}}
    newer = {"seed": 0, "sweep": {"n_trials": 3, "audit": 0.0, "storage": None, "patience": None}}
    assert contrasts_of([study("a", 0.5, config=config), study("b", 0.5, config=newer)]).empty


def test_versions_that_changed_during_a_sweep_are_all_there() -> None:
    def facts(*kerases: str) -> dict[str, Any]:
        return {"environments": {k: {"versions": {"keras": k}} for k in kerases}}

    frame = contrasts_of(
        [study("a", 0.5, facts=facts("3", "4")), study("b", 0.5, facts=facts("4"))]
    )
    assert list(frame.iloc[0][["a", "b"]]) == ["3, then 4", "4"]


def test_a_study_without_a_complete_trial_is_there_with_empty_cells() -> None:
    compared = compare([study("a", 0.5, 0.6), study("b", None, None)])
    assert np.isnan(compared.outcomes["best"][1])
    assert "b has no complete trial." in compared.remarks
    assert "- " in to_markdown(compared)
    assert display(compared)["b"].tolist().count("-") > 0
    nothing = compare([study("a", None), study("b", None)])
    assert headline(nothing) == "No trial of these studies has completed."


@pytest.mark.parametrize("names", [["a"], ["a", "b", "a"]])
def test_fewer_than_two_different_studies_are_refused(names: list[str]) -> None:
    with pytest.raises(StudyError, match=r"two studies or more|named twice"):
        compare([study(name, 0.5) for name in names])


def test_the_command_writes_a_table_and_a_picture(project: Project) -> None:
    results = project.root / "results"
    for seed, name in enumerate(("one", "two", "three")):
        store(results, make_study(12, name=name, seed=seed))
    done = project.besom("compare", "one", "two", "three")
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (results / "compare").iterdir())
    assert names == [f"one-two-three.{suffix}" for suffix in ("csv", "md", "png")]
    rows = json.loads(project.besom("compare", "one", "two", "--format", "json").output)
    assert [row["study"] for row in rows] == ["one", "two"]
    assert project.besom("compare", "one", "tow").exit_code == 2
    assert "compare" not in project.besom("list").output


# Two trials


def test_only_what_differs_is_shown() -> None:
    one = trial(1, 0.9, config={"a": {"b": 1, "c": [1, 2]}}, numbers={"n_params": 5.0})
    other = trial(2, 0.8, config={"a": {"b": 1, "c": [1, 3]}, "d": None}, numbers={"n_params": 5.0})
    frame = differences(study("s", 0.5), one, other)
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        ("config", "a.c", [1, 2], [1, 3]),
        ("config", "d", ABSENT, None),
        ("outcome", "val_accuracy", 0.9, 0.8),
    ]


def test_true_is_not_one_and_nan_is_nan() -> None:
    assert contrast({"a": True, "b": float("nan")}, {"a": 1, "b": float("nan")}) == [("a", True, 1)]
    assert contrast({"a": 1}, {"a": 1.0}) == []


def test_what_is_empty_in_one_study_is_no_row_beside_what_another_has_in_it() -> None:
    def described(constraints: dict[str, Any], **space: Any) -> dict[str, Any]:
        return {"config": {"sweep": {"constraints": constraints, "space": space}}}

    one = study("one", 0.5, **described({}, optimizer=["adam"]))
    entry = {"optimizer": ["adam", "sgd"], "optimizer.learning_rate": {"low": 0.1}}
    other = study("other", 0.5, **described({"n_params": {"max": 5}}, **entry))
    assert list(contrasts_of([one, other])["what"]) == [
        *("optimizer", "optimizer.learning_rate.low", "sweep.constraints.n_params.max")
    ]


def test_environments_that_differ_are_shown() -> None:
    facts = {"environments": {i: {"versions": {"keras": i}} for i in ("3", "4")}}
    one, other = (trial(n, 0.5, environment={"id": i}) for n, i in ((1, "3"), (2, "4")))
    frame = differences(study("s", 0.5, facts=facts), one, other)
    assert list(frame["what"]) == ["versions.keras"]


def test_two_trials_on_the_same_images_are_tested_image_by_image() -> None:
    right = np.ones(100, bool)
    worse = right.copy()
    worse[:20] = False
    trials = [
        trial(n, bits.mean(), n_validation=100, correct=np.packbits(bits).tobytes())
        for n, bits in ((1, worse), (2, right))
    ]
    said = verdict(study("s", 0.5), trials[0], trials[1])
    assert "trial 2 is 20.0 ± 4.2 points ahead of trial 1: 20 examples " in said
    assert said.endswith("if these two were chosen beforehand and not by their scores.")
    assert verdict(study("s", 0.5), trials[0], replace(trials[1], correct=None)) == ""


def test_the_command_shows_a_diff_or_says_there_is_none(project: Project) -> None:
    store(project.root / "results", make_study(6, name="one"))
    done = project.besom("diff", "one", "1", "2")
    assert done.exit_code == 0, done.output
    assert "model.dropout" in done.output
    assert "do not differ in anything" in project.besom("diff", "one", "1", "1").output
    rows = json.loads(project.besom("diff", "one", "1", "2", "--format", "json").output)
    assert {"part", "what", "trial 1", "trial 2"} == set(rows[0])
    missing = project.besom("diff", "one", "1", "99")
    assert missing.exit_code == 2
    assert "no finished trial 99" in missing.output
