"""The clock of time limits: it stands still while the coordinator does, and only then."""

from __future__ import annotations

import pytest

from besom.executors.suspend_clock import LOOK_EVERY_S, NAP_S, SuspendAwareClock


class Times:
    """The process's two clocks, set by hand."""

    def __init__(self) -> None:
        self.now = self.cpu = 100.0

    def clock(self) -> SuspendAwareClock:
        return SuspendAwareClock(lambda: self.now, lambda: self.cpu)


def test_it_runs_as_long_as_it_is_read() -> None:
    times = Times()
    clock = times.clock()
    began = clock()
    for _ in range(20):
        times.now += LOOK_EVERY_S
        clock()
    assert clock() - began == pytest.approx(20 * LOOK_EVERY_S)


def test_an_absence_does_not_count_however_often_it_comes() -> None:
    times = Times()
    clock = times.clock()
    began = clock()
    for _ in range(3):
        times.now += 3600.0
        assert clock() - began < 5.0
        times.now += 0.5
        clock()
    assert clock() - began == pytest.approx(1.5)


def test_thinking_is_no_absence() -> None:
    """A sampler may compute for longer than the clock is usually left alone."""
    times = Times()
    clock = times.clock()
    began = clock()
    times.now, times.cpu = times.now + 30.0, times.cpu + 29.5
    assert clock() - began == pytest.approx(30.0)
    times.now, times.cpu = times.now + 30.0, times.cpu + 10.0  # stopped in the midst of it
    assert clock() - began == pytest.approx(40.0)


def test_it_never_goes_back() -> None:
    times = Times()
    clock = times.clock()
    read = [clock()]
    for step, computed in ((0.1, 4.0), (NAP_S + 1, 0.0), (10.0, 40.0), (9.0, 0.0), (0.0, 0.0)):
        times.now, times.cpu = times.now + step, times.cpu + computed
        read.append(clock())
    assert read == sorted(read)
