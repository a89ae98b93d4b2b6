"""What sweeps and reruns share: the workers' beginning and end, signals, files of whole lines.

And how a sweep stops: with which reason, and how long it waits for what runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from besom.errors import BesomError, ConfigError
from besom.executors import stop
from besom.executors.base import Event, Executor, Ready, Started
from besom.executors.session import module_function, started
from besom.executors.signals import StopSignals
from besom.executors.stop import DrainTimeout, Ending, Stop
from besom.store.append_only import all_or_nothing, drop_cut_line, write_all


class Scripted(Executor):
    """Says what it is told to say, and notes what it is asked."""

    def __init__(self, *events: list[Event] | BesomError) -> None:
        self.script = list(events)
        self.asked: list[object] = []

    def start(self, *what: object, **named: object) -> None:
        self.asked.append(("start", *what, *named.items()))

    def events(self, timeout_s: float | None = None) -> list[Event]:
        said = self.script.pop(0)
        if isinstance(said, BesomError):
            raise said
        return said

    def close(self, grace_s: float = 2.0) -> None:
        self.asked.append(("close", grace_s))


def test_workers_are_started_awaited_and_closed(tmp_path: Path) -> None:
    executor = Scripted([], [Started(0, 0)], [Ready(1, {"data": "digits"}), Ready(0, {})])
    logs = tmp_path / "deep" / "logs"
    with started(executor, "package.module.function", {"seed": 0}, logs, 3) as facts:
        assert facts == {"data": "digits"}
        assert logs.is_dir()
        named = (("n_trials", 3), ("artifacts", None))
        assert executor.asked == [
            ("start", "package.module:function", {"seed": 0}, str(logs), *named)
        ]
    assert executor.asked[1:] == [("close", 2.0)]


@pytest.mark.parametrize(
    ("raised", "first_close"), [(KeyboardInterrupt, ("close", 0.0)), (BesomError, ("close", 2.0))]
)
def test_whatever_happens_they_are_closed_and_at_once_on_ctrl_c(
    tmp_path: Path, raised: type[BaseException], first_close: tuple[str, float]
) -> None:
    executor = Scripted([Ready(0)])
    with pytest.raises(raised), started(executor, "m.f", {}, tmp_path, 1):
        raise raised
    assert executor.asked[1] == first_close


def test_workers_that_cannot_prepare_are_closed_too(tmp_path: Path) -> None:
    executor = Scripted([], BesomError("the data is missing"))
    with (
        pytest.raises(BesomError, match="data is missing"),
        started(executor, "m.f", {}, tmp_path, 1),
    ):
        pass
    assert executor.asked[-1] == ("close", 2.0)


def test_a_trial_function_is_named_with_its_module() -> None:
    assert module_function("a.b.c") == module_function("a.b:c") == "a.b:c"
    with pytest.raises(ConfigError, match="'quadratic', expected a dotted name"):
        module_function("quadratic")


# Signals


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_and_the_second_interrupts(signum: signal.Signals) -> None:
    before, reasons = signal.getsignal(signum), list[str]()
    with StopSignals(reasons.append):
        signal.raise_signal(signum)
        assert reasons == [f"{signum.name} received"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signum)
    assert len(reasons) == 1
    assert signal.getsignal(signum) is before


def test_a_signal_that_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals(lambda _: None):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_where_nothing_runs_yet_the_first_signal_interrupts() -> None:
    reasons = list[str]()
    with StopSignals() as signals:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signals.stop = reasons.append
    assert not reasons


# How a sweep stops


def test_an_interruption_only_takes_effect_where_it_is_applied() -> None:
    """It comes from a signal's handler, in the middle of anything, even of a print."""
    said = list[str]()
    stop = Stop(said.append)
    stop.apply_interruption()
    assert not stop.under_way
    stop.interrupt("SIGINT received")
    assert stop.under_way
    assert (said, stop.reason, stop.ending) == ([], None, Ending.DONE)
    stop.apply_interruption()
    stop.apply_interruption()
    assert (said, stop.ending) == (["SIGINT received"], Ending.INTERRUPTED)


def test_the_first_reason_to_stop_counts_but_an_interruption_counts_always() -> None:
    said = list[str]()
    stop = Stop(said.append)
    stop.begin("the time is spent", Ending.BUDGET)
    stop.begin("all failed", Ending.BROKEN)
    assert (said, stop.ending) == (["the time is spent"], Ending.BUDGET)
    stop.interrupt("SIGTERM received")
    stop.apply_interruption()
    assert said[1:] == [stop.reason] == ["the time is spent; SIGTERM received"]
    assert stop.ending is Ending.INTERRUPTED


class Waiting:
    """A patience with two trials, 0 and 1, and a clock set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.patience = DrainTimeout(lambda: self.now)
        for trial in (0, 1):
            self.patience.started(trial)

    def at(self, now: float) -> DrainTimeout:
        self.now = now
        return self.patience


def test_a_sweep_that_does_not_stop_waits_for_ever() -> None:
    assert not Waiting().at(1e9).exhausted([0, 1])


def test_a_trial_that_has_never_reported_has_the_least_patience() -> None:
    waiting = Waiting()
    waiting.at(1000.0).stopping()
    assert not waiting.at(1000.0 + stop.LEAST_S - 1).exhausted([0, 1])
    assert waiting.at(1000.0 + stop.LEAST_S).exhausted([0, 1])
    assert waiting.patience.exhausted([])


def test_a_trial_has_a_multiple_of_its_longest_epoch_and_a_first_one_of_any_trials() -> None:
    waiting = Waiting()
    waiting.at(500.0).epoch(0)
    waiting.at(600.0).stopping()
    enough = 600.0 + stop.FACTOR * 500.0
    for trial in (0, 1):
        assert not waiting.at(enough - 1).exhausted([trial])
        assert waiting.at(enough).exhausted([trial])


def test_a_sign_of_life_begins_the_patience_anew_for_that_trial_alone() -> None:
    waiting = Waiting()
    waiting.at(10.0).stopping()
    waiting.at(30.0).epoch(1)
    assert waiting.at(10.0 + 3 * 30.0).exhausted([0])
    assert not waiting.patience.exhausted([1])
    assert not waiting.patience.exhausted([0, 1])
    waiting.patience.ended(1)
    assert waiting.at(200.0).exhausted([0])


# Lines


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    with all_or_nothing(descriptor) as size:
        assert size == 4
        write_all(descriptor, b"two\n")
    with contextlib.suppress(OSError), all_or_nothing(descriptor):
        write_all(descriptor, b"thr")
        raise OSError(28, "No space left on device")
    os.close(descriptor)
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b"", b""),
        (b"cut", b""),
        (b"one\n", b"one\n"),
        (b"one\ncut", b"one\n"),
        (b"one\n" + b"x" * 200_000, b"one\n"),
        (b"x" * 200_000, b""),
    ],
)
def test_only_a_line_without_its_end_is_dropped(tmp_path: Path, left: bytes, kept: bytes) -> None:
    path = tmp_path / "lines"
    drop_cut_line(path)
    assert not path.exists()
    path.write_bytes(left)
    drop_cut_line(path)
    assert path.read_bytes() == kept
