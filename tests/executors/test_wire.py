"""What may cross from a worker to the coordinator, and how failures read."""

from __future__ import annotations

import dataclasses
import enum
import pickle

import numpy as np
import pytest

from besom.errors import ConfigError
from besom.executors.base import FailureKind
from besom.executors.failures import (
    MAX_DETAIL_CHARS,
    MAX_REASON_CHARS,
    describe_death,
    describe_exception,
)
from besom.executors.worker_loop import plain, plain_result
from besom.seam import TrialResult


class Colour(enum.StrEnum):
    RED = "red"


def test_numpys_scalars_arrive_as_pythons():
    sent = TrialResult(
        history={"loss": [np.float32(0.5), np.float64(0.25)]},
        numbers={"n_params": np.int64(7)},
        best_epoch=np.int64(2),
        correct=np.packbits(np.ones(9, bool)).tobytes(),
        environment={"threads": np.int32(2), "colour": Colour.RED, "shape": (28, 28), 3: None},
    )
    got = plain_result(sent)
    assert b"numpy" not in pickle.dumps(got)
    assert got.history == {"loss": [0.5, 0.25]}
    assert got.numbers == {"n_params": 7.0}
    assert got.environment == {"threads": 2, "colour": "red", "shape": [28, 28], "3": None}
    assert type(got.environment["colour"]) is str


def test_every_field_of_a_result_arrives():
    sent = TrialResult(
        history={"loss": [0.5]},
        numbers={"n_params": 7.0},
        best_epoch=1,
        stopped_early=True,
        n_validation=9,
        correct=b"\xff\x80",
        correct_by_epoch=[b"\xff\x80"],
        per_example={
            "loss": {"kind": "mean", "values": b"1234" * 9, "by_epoch": [b"1234" * 9]},
            "auc": {"kind": "other", "values": b"1234" * 4},
        },
        environment={"device": "cpu"},
        runs=[{"repeat": 0}],
    )
    names = [field.name for field in dataclasses.fields(TrialResult)]
    assert all(getattr(sent, name) != getattr(TrialResult(), name) for name in names)
    assert plain_result(sent) == sent


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"kind": "loss", "values": b"1234"}, "has no kind of share, mean, other"),
        ({"kind": "mean", "values": b"1234"}, "has a row of 4 bytes, expected 8 bytes"),
        ({"kind": "mean", "values": b"1234" * 2, "by_epoch": [b"1"]}, "1 epochs for 2 of history"),
        ({"kind": "other", "values": b"1234"}, "expected float32 twice for each draw"),
    ],
)
def test_what_is_kept_of_each_example_must_fit_their_number(known: dict, message: str):
    result = TrialResult(history={"a": [1.0, 2.0]}, n_validation=2, per_example={"a": known})
    with pytest.raises(ValueError, match=message):
        plain_result(result)


def test_an_array_may_not_leave_the_worker():
    with pytest.raises(TypeError, match=r"weights\['w'\] is a numpy.ndarray: only dicts, lists"):
        plain({"w": np.zeros(3)}, "weights")


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (None, TypeError, "returned a NoneType, expected a besom.seam.TrialResult"),
        (TrialResult(numbers={"a": "x"}), TypeError, r"numbers\['a'\] is a str, expected a number"),
        (TrialResult(history={"a": [1.0], "b": []}), ValueError, r"differ in length \(a: 1, b: 0"),
        (
            TrialResult(history={"a": [1.0]}, correct_by_epoch=[]),
            ValueError,
            "0 entries for 1 epoch",
        ),
        (
            TrialResult(history={"a": [1.0]}, n_validation=9, correct_by_epoch=[b"x"]),
            ValueError,
            "an entry of 1 bytes, expected 2",
        ),
    ],
)
def test_a_result_that_breaks_the_seam_is_refused(result, error, message):
    with pytest.raises(error, match=message):
        plain_result(result)


def raised(error: Exception) -> tuple[FailureKind, str, str]:
    def worker():
        raise error

    try:
        worker()
    except Exception as caught:
        return describe_exception(caught)
    raise AssertionError


class ResourceExhaustedError(Exception):
    """As TensorFlow names it."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("a\nb"), "ValueError: a"),
        (ValueError(), "ValueError"),
        (ConfigError("No such optimizer."), "No such optimizer."),
        (MemoryError(), "out of memory (MemoryError)"),
        (ResourceExhaustedError("OOM"), "out of memory (ResourceExhaustedError: OOM)"),
        (OSError(12, "no room"), "out of memory (OSError: [Errno 12] no room)"),
        (ValueError("ran out of memory cards"), "ValueError: ran out of memory cards"),
    ],
)
def test_the_reason_of_an_exception_is_one_line(error, reason):
    of_memory = reason.startswith("out of memory")
    kind = FailureKind.OUT_OF_MEMORY if of_memory else FailureKind.ERROR
    assert raised(error)[:2] == (kind, reason)


def test_a_whole_graph_in_a_message_is_cut_short():
    _, reason, detail = raised(ValueError("x" * 10**6))
    assert len(reason) <= MAX_REASON_CHARS
    assert len(detail) <= MAX_DETAIL_CHARS + 100
    assert "characters left out" in detail


@pytest.mark.parametrize(
    ("status", "tail", "oom_killed", "reason"),
    [
        (-9, "", False, "killed by SIGKILL"),
        (-15, "", True, "killed by SIGTERM"),
        (-40, "", False, "killed by signal 40"),
        (-11, "failed: Cannot allocate memory", False, "out of memory (killed by SIGSEGV"),
        (1, "", False, "ended with exit code 1"),
        (None, "", False, "the worker process cannot be ended: it hangs in the kernel"),
    ],
)
def test_a_death_is_named(status, tail, oom_killed, reason):
    death = describe_death(status, tail, oom_killed)
    assert death.reason.startswith(reason)
    assert death.out_of_memory == reason.startswith("out of memory")
