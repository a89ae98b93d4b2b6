"""What a trial says can always be stored, whatever it says, and ends no more than that trial."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from besom.errors import DataError
from besom.executors.base import Epoch, Failed, FailureKind, Finished, Ready
from besom.executors.failures import MAX_DETAIL_CHARS, MAX_REASON_CHARS, describe_exception
from besom.executors.session import storable_events
from besom.executors.worker_loop import plain, plain_numbers, plain_result
from besom.report.leaderboard import ranking, to_json, unranked, write_leaderboard
from besom.seam import TrialResult
from besom.store.paths import StudyPaths
from besom.store.records import Outcome, StudyRecord
from besom.store.storage import load_record
from besom.text.printable import storable
from records_factory import VAL_ACCURACY, make_study
from reporting_world import store

BAD = "bad \udcff surrogate \x00 nul"
GOOD = "bad \\udcff surrogate \\x00 nul"


class Said:
    """An executor that says these events."""

    def __init__(self, *events):
        self._events = list(events)

    def events(self, timeout_s=None):
        return self._events


@pytest.mark.parametrize("text", ["", "plain", "Köln 東京 😀", "a\nb\tc"])
def test_text_that_can_be_stored_is_left_as_it_is(text):
    assert storable(text) is text


def test_lone_surrogates_and_nul_become_escapes_wherever_they_stand():
    value = {BAD: [BAD, (1, BAD), None, 2.5, b"\x00"], "history": [0.5, 0.25]}
    cleaned = storable(value)
    assert cleaned == {GOOD: [GOOD, (1, GOOD), None, 2.5, b"\x00"], "history": [0.5, 0.25]}
    json.dumps(cleaned["history"], ensure_ascii=False).encode()


def test_every_event_is_heard_with_storable_text_from_any_executor():
    result = TrialResult({BAD: [0.5]}, {BAD: 1.0}, 1, environment={"device": BAD, "log": [BAD]})
    ready, epoch, finished, failed = storable_events(
        Said(
            Ready(0, {"device": {"name": BAD}}, BAD),
            Epoch(0, 0, 1, {BAD: 0.5}),
            Finished(0, 0, result, None),
            Failed(0, 0, FailureKind.ERROR, BAD + "x" * 10**6, BAD + "y" * 10**7),
        )
    )
    assert ready == Ready(0, {"device": {"name": GOOD}}, GOOD)
    assert epoch.metrics == {GOOD: 0.5}
    assert finished.result == TrialResult(
        {GOOD: [0.5]}, {GOOD: 1.0}, 1, environment={"device": GOOD, "log": [GOOD]}
    )
    assert failed.kind is FailureKind.ERROR
    assert failed.reason.startswith(GOOD)
    assert len(failed.reason) <= MAX_REASON_CHARS
    assert len(failed.detail) <= MAX_DETAIL_CHARS + 100


def test_a_study_that_holds_such_text_already_is_read_and_shown(tmp_path: Path) -> None:
    import dataclasses

    made = make_study(4)
    failed = dataclasses.replace(
        made.trials[1],
        outcome=Outcome.ERROR,
        values=None,
        reason=BAD,
        detail=BAD,
        history={BAD: [0.5]},
        numbers={BAD: 1.0},
        environment={"device": BAD},
    )
    trials = (made.trials[0], failed, *made.trials[2:])
    store(tmp_path, StudyRecord("s", (VAL_ACCURACY,), trials, made.config, made.facts))
    study = load_record(tmp_path, "s")
    assert study.trials[1].reason == study.trials[1].detail == GOOD
    assert study.trials[1].history == {GOOD: [0.5]}
    write_leaderboard(study, StudyPaths.of(tmp_path, "s"))
    assert GOOD in "".join(map(str, unranked(study)["reason"]))
    to_json(ranking(study)).encode()


# Exceptions that break in being described


class StrRaises(Exception):
    def __str__(self) -> str:
        raise SystemExit(9)


class StrRecurses(Exception):
    def __str__(self) -> str:
        return str(self)


class UserErrorStrRaises(DataError):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class NoText(Exception):
    def __str__(self):
        return 3


class _Nameless(type):
    @property
    def __name__(cls):
        raise KeyError("no name")


class NamelessClass(Exception, metaclass=_Nameless):
    pass


class ClassRaises(Exception):
    __class__ = property(lambda self: 1 / 0)


class TracebackRaises(Exception):
    __traceback__ = property(lambda self: 1 / 0)
    __cause__ = property(lambda self: 1 / 0)


class ErrnoRaises(OSError):
    errno = property(lambda self: 1 / 0)


class OwnText(str):
    def splitlines(self, keepends=False):
        raise ZeroDivisionError


class SpeaksOwnText(Exception):
    def __str__(self):
        return OwnText("its words")


@pytest.mark.parametrize(
    "name",
    [
        "StrRaises",
        "StrRecurses",
        "UserErrorStrRaises",
        "NoText",
        "NamelessClass",
        "ClassRaises",
        "TracebackRaises",
        "ErrnoRaises",
        "SpeaksOwnText",
    ],
)
def test_an_exception_that_cannot_be_described_is_a_failed_trial_with_a_reason(name):
    def trial():
        raise globals()[name]("words")

    try:
        trial()
    except BaseException as error:
        described = describe_exception(error)
    assert described[0] is FailureKind.ERROR
    assert described[1]
    assert b"test_storable" not in pickle.dumps(described[:2]), "plain text only"
    assert "in trial" in described[2]


def test_what_is_no_result_is_refused_in_the_worker():
    def refused(match, **fields):
        with pytest.raises((TypeError, ValueError), match=match):
            plain_result(TrialResult(history={"loss": [0.5]}, **fields))

    refused("best_epoch is 99, expected 1 to 1", best_epoch=99)
    refused("best_epoch is -3", best_epoch=-3)
    refused("16610 bits", environment={"n": 10**5000})


def test_text_of_a_class_of_the_users_arrives_as_pythons_own():
    sent = plain({OwnText("k"): OwnText("v")}, "environment")
    assert {type(item) for pair in sent.items() for item in pair} == {str}
    assert {type(name) for name in plain_numbers({OwnText("k"): 1}, "numbers")} == {str}
