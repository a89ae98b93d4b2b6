"""What was stored and read again is what it was, on every version of Python."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from besom.equality import same
from besom.rerun.confirm.run_journal import RunRecord
from besom.rerun.stored_runs import same_data
from besom.seam import TrialResult
from besom.statistics import mean_interval, same_images
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.study_identity import differences
from records_factory import VAL_ACCURACY

PLAIN = {"a": [1, 2.5, None, {"b": math.nan}], "c": math.nan, "d": {}, "e": True, "f": -math.inf}


def read_again(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_plain_data_is_the_same_after_it_was_stored() -> None:
    assert same(PLAIN, read_again(PLAIN))
    assert differences(PLAIN, read_again(PLAIN)) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (True, 1),
        (0, False),
        (1, "1"),
        ([1], 1),
        ([1], [True]),
        ([1, 2], [1]),
        (None, math.nan),
        (0.0, math.nan),
        ({"a": [math.nan]}, {"a": [0.0]}),
        ({"a": None}, {}),
    ],
)
def test_what_only_looks_alike_is_not_the_same(a: Any, b: Any) -> None:
    assert not same(a, b)
    assert not same(b, a)
    assert differences({"x": a}, {"x": b})


def test_a_whole_float_is_the_number_it_is() -> None:
    assert same(1, 1.0)
    assert same(10**400, 10**400)


TRIAL = TrialRecord(3, Outcome.DIVERGED, numbers={"n_params": math.nan}, config=PLAIN)
STUDY = StudyRecord("s", (VAL_ACCURACY,), (TRIAL,), config=PLAIN)
RUN = RunRecord("key", 3, 1, "test", Outcome.DIVERGED, numbers={"test_loss": math.nan})
RESULT = TrialResult(history={"loss": [0.5, math.nan]}, environment=PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TRIAL, replace(TRIAL, numbers=read_again(TRIAL.numbers), config=read_again(PLAIN))),
        (STUDY, replace(STUDY, trials=(replace(TRIAL, numbers=read_again(TRIAL.numbers)),))),
        (RUN, replace(RUN, numbers=read_again(RUN.numbers))),
        (RESULT, TrialResult(read_again(RESULT.history), environment=read_again(PLAIN))),
        (mean_interval([0.9]), replace(mean_interval([0.9]), standard_error=float("nan"))),
    ],
    ids=["trial", "study", "run", "result", "estimate"],
)
def test_records_with_an_unknown_number_are_equal(one: Any, other: Any) -> None:
    assert one == other
    assert one != replace(one, **{next(iter(vars(one))): None})
    assert one != object()


def test_trials_on_data_with_a_nan_in_its_config_are_on_the_same_data() -> None:
    data = {"_target_": "my.data", "fill": math.nan}

    def trial(number: int) -> TrialRecord:
        read = {"data": read_again(data)}
        return TrialRecord(number, Outcome.COMPLETE, config=read, n_validation=8, correct=b"\x0f")

    assert same_data(StudyRecord("s", (VAL_ACCURACY,), (), config={"data": data}), trial(0))
    assert same_images(trial(0), trial(1))
