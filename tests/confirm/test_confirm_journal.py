"""The journal of runs: what a crash leaves of it, and which runs need not be made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from besom.errors import StudyError
from besom.rerun.confirm import ConfirmPlan
from besom.rerun.confirm.run_journal import RunJournal, RunRecord, find_runs, read_runs
from besom.store.records import Outcome, StudyRecord

PlanOf = Callable[..., ConfirmPlan]
RUN = RunRecord(
    key="k",
    trial=3,
    seed=1,
    on="test",
    outcome=Outcome.COMPLETE,
    split_seed=0,
    history={"val_accuracy": [0.1, 0.2]},
    numbers={"test_accuracy": 0.97},
    best_epoch=2,
    seconds=1.5,
    environment={"versions": {"keras": "3"}},
    n_images=10,
    correct=b"\xff\x80",
)
BAD_BITS = '{"key":"k","trial":1,"seed":1,"on":"test","outcome":"complete","correct":"??"}'
DIVERGED = replace(RUN, seed=2, outcome=Outcome.DIVERGED, reason="val_loss is nan at epoch 2")


def write(path: Path, *runs: RunRecord) -> Path:
    with RunJournal(path) as journal:
        for run in runs:
            journal.append(run)
    return path


def test_runs_come_back_as_they_were(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "none.jsonl") == []
    path = write(tmp_path / "confirm" / "runs.jsonl", RUN, DIVERGED)
    write(path, replace(RUN, seed=3))
    assert read_runs(path) == [RUN, DIVERGED, replace(RUN, seed=3)]


def test_a_line_cut_short_by_a_crash_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.jsonl", RUN, DIVERGED)
    path.write_bytes(path.read_bytes()[:-20])
    assert read_runs(path) == [RUN]
    write(path, replace(RUN, seed=3))
    assert read_runs(path) == [RUN, replace(RUN, seed=3)]


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", '{"outcome": "grand"}', BAD_BITS])
def test_a_damaged_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "runs.jsonl", RUN)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(StudyError, match="line 2 is not a run"):
        read_runs(path)


def test_a_newer_besoms_fields_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.jsonl", RUN)
    path.write_text(path.read_text().replace('{"key"', '{"colour":"red","key"'))
    assert read_runs(path) == [RUN]


def test_a_journal_of_a_besom_that_stored_no_bits_still_reads(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.jsonl", RUN)
    line = json.loads(path.read_text())
    assert line["correct"] == "/4A="
    del line["correct"], line["n_images"]
    path.write_text(json.dumps(line) + "\n")
    assert read_runs(path) == [replace(RUN, n_images=0, correct=None)]


def run_of(plan: ConfirmPlan, trial: int, seed: int, **fields: object) -> RunRecord:
    return replace(RUN, key=plan.key_of(trial, seed), trial=trial, seed=seed, **fields)  # type: ignore[arg-type]


def test_only_runs_of_the_very_same_config_count(study: StudyRecord, plan_of: PlanOf) -> None:
    plan = plan_of(study)
    runs = [run_of(plan, 1, 1), run_of(plan, 2, 2)]
    assert find_runs(plan, runs) == {(1, 1): runs[0], (2, 2): runs[1]}
    for other in (
        plan_of(study, new_split=True),
        plan_of(study, words=["trainer.precision=bfloat16"]),
    ):
        assert find_runs(other, runs) == {}


def test_a_run_that_measured_the_test_images_answers_for_validation_too(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    validation = plan_of(study)
    test = replace(validation, on="test")
    measured, failed = run_of(test, 1, 1), run_of(test, 1, 2, outcome=Outcome.ERROR)
    trained = run_of(test, 1, 3, on="validation")
    assert find_runs(validation, [measured, failed, trained]) == {(1, 1): measured, (1, 3): trained}
    assert find_runs(test, [measured, failed, trained]) == {(1, 1): measured, (1, 2): failed}
    both = [replace(trained, key=measured.key, seed=1), measured]
    assert find_runs(validation, both) == {(1, 1): both[0]}  # it has the bits of these images
    assert find_runs(test, both) == {(1, 1): measured}


def test_failed_runs_stay_failed_unless_asked_for_again(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    plan = plan_of(study)
    failed = run_of(plan, 1, 1, on="validation", outcome=Outcome.WORKER_DIED)
    assert find_runs(plan, [failed]) == {(1, 1): failed}
    assert find_runs(plan_of(study, retry_failed=True), [failed]) == {}
    again = replace(failed, outcome=Outcome.COMPLETE)
    assert find_runs(plan, [failed, again]) == {(1, 1): again}
