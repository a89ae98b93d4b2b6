"""Trials asked for before workers want them: how many, who sees them, what a resume does."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from slow_sampler import SlowSampler
from sweep_trials import value_of
from sweeping import RESULTS, assert_whole, stored, sweep
from virtual_workers import VirtualWorkers

from besom.errors import ConfigError
from besom.seam import TrialConfig, TrialResult
from besom.store.records import Outcome, TrialRecord
from besom.store.stored_records import AHEAD
from besom.study import SweepOutcome
from besom.study.ask_ahead import AskAhead
from besom.study.watcher import Watcher
from user_project import Project, wait_for

# How many, and by whom


def asker(n_workers: int, ask_s: float = 0.0, trial_s: float = 0.0) -> Any:
    """Someone who asks, and has asked for a trial already; an ask takes ``ask_s``."""
    numbers, now = itertools.count(), [0.0]

    def ask(ahead: bool) -> Any:
        now[0] += ask_s
        return SimpleNamespace(number=next(numbers), ahead=ahead, begun=False)

    def begin(trial: Any) -> Any:
        trial.begun = True
        return trial

    asking = AskAhead(ask, begin, lambda: n_workers, lambda: now[0])
    asking.take()
    asking.note(trial_s)
    return asking


def test_with_one_worker_a_trial_is_asked_for_when_it_is_wanted() -> None:
    asking = asker(1, ask_s=0.03, trial_s=0.03)
    asking.order(1)
    assert (asking.depth, len(asking), asking.ready) == (0, 0, True)
    trial = asking.take()
    assert (trial.ahead, trial.begun) == (False, False)


def test_nothing_is_asked_ahead_while_asking_is_quick() -> None:
    asking = asker(8, trial_s=10.0)
    asking.order(1)
    assert (asking.depth, len(asking), asking.ready) == (0, 0, True)


@pytest.mark.parametrize(("trial_s", "depth"), [(10.0, 0), (0.6, 1), (0.1, 3), (0.001, 8)])
def test_as_many_are_asked_ahead_as_workers_would_wait_for(trial_s: float, depth: int) -> None:
    asking = asker(8, ask_s=0.03, trial_s=trial_s)
    assert asking.depth == depth
    for _ in range(depth):
        asking.order(0)
        wait_for(lambda: asking.ready and not asking.under_way, "a trial")
    asking.order(0)
    assert len(asking) == depth
    taken = [asking.take() for _ in range(depth)]
    assert [(trial.number, trial.ahead, trial.begun) for trial in taken] == [
        (number, True, True) for number in range(1, depth + 1)
    ]
    asking.close()


def test_a_worker_that_waits_is_asked_for_even_where_nothing_is_asked_ahead() -> None:
    asking = asker(8, ask_s=0.03, trial_s=10.0)
    assert not asking.ready
    asking.order(n_idle=1)
    wait_for(lambda: asking.ready, "the trial")
    assert asking.take().begun
    asking.close()


# Whole sweeps, on workers that take no time


def workers(n: int = 4, seconds: float = 0.2) -> VirtualWorkers:
    def run(config: TrialConfig) -> TrialResult:
        history = [value_of(config) - 2.0**-epoch for epoch in range(1, 4)]
        return TrialResult(history={"val_accuracy": history}, best_epoch=3)

    return VirtualWorkers(n, (seconds, seconds), run)


SLOW = ("sweep.sampler._target_=slow_sampler.SlowSampler", "sweep.replicates=0")


def swept(*words: str, watcher: Watcher | None = None, **how: Any) -> SweepOutcome:
    SlowSampler.threads.clear()
    return sweep(*SLOW, *words, watcher=watcher or Watcher(), executor=workers(), **how)


class After(Watcher):
    """Does something once so many trials have finished."""

    def __init__(self, n: int, do: Callable[[], None]) -> None:
        self._left, self._do = n, do

    def finished(self, trial: TrialRecord) -> None:
        self._left -= 1
        if self._left == 0:
            self._do()


def trials_of_optuna(path: Path = RESULTS / "cheap" / "study.journal") -> list[Any]:
    """What Optuna reads itself."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.load_study(study_name="cheap", storage=storage).trials


@pytest.mark.usefixtures("project")
def test_a_sweep_that_asks_ahead_ends_with_exactly_its_trials() -> None:
    outcome = swept("sweep.n_trials=20")
    assert len(outcome.study.complete) == 20
    assert_whole(20)
    assert "sampler" in SlowSampler.threads
    assert {t.state for t in trials_of_optuna()} == {TrialState.COMPLETE}


@pytest.mark.usefixtures("project")
def test_with_one_worker_the_sampler_has_no_thread_of_its_own() -> None:
    SlowSampler.threads.clear()
    sweep(*SLOW, "sweep.n_trials=4", executor=workers(1))
    assert set(SlowSampler.threads) == {"MainThread"}


@pytest.mark.usefixtures("project")
def test_a_sweep_goes_on_while_no_worker_is_idle_and_no_trial_runs() -> None:
    class Recycled(VirtualWorkers):
        """Each is replaced after each trial, and nobody is idle until all have been."""

        @property
        def idle(self) -> int:
            n = super().idle
            self._looked = 0 if n < self.n_workers else getattr(self, "_looked", 0) + 1
            return n if n < self.n_workers or self._looked > 3 else 0

    run = workers()._run
    outcome = sweep(*SLOW, "sweep.n_trials=12", executor=Recycled(2, (10.0, 10.0), run))
    assert len(outcome.study.complete) == 12


@pytest.mark.usefixtures("project")
def test_what_is_asked_ahead_is_in_no_report_and_begins_first_after_a_resume() -> None:
    interrupt = After(9, lambda: signal.raise_signal(signal.SIGINT))
    outcome = swept("sweep.n_trials=24", watcher=interrupt)
    assert outcome.exit_code == 130
    ahead = [t for t in trials_of_optuna() if t.user_attrs.get(AHEAD) is True]
    assert ahead
    assert {t.state for t in ahead} == {TrialState.RUNNING}
    assert not {t.number for t in ahead} & {t.number for t in stored().trials}
    assert not {t.number for t in ahead} & {t.number for t in outcome.study.trials}

    begun: list[int] = []
    hears = Watcher()
    hears.started = lambda trial, worker: begun.append(trial)  # type: ignore[method-assign]
    left = [t.number for t in stored().trials if t.outcome is Outcome.RUNNING]
    swept("sweep.n_trials=24", watcher=hears)
    assert begun[: len(left) + len(ahead)] == [*left, *(t.number for t in ahead)]
    whole = assert_whole(24)
    again = {t.number: t for t in whole.trials}
    for trial in ahead:  # as it was proposed
        assert again[trial.number].raw_params == trial.params
        assert again[trial.number].started > trial.datetime_start.timestamp()


@pytest.mark.usefixtures("project")
def test_a_sweep_that_has_reached_its_end_leaves_alone_what_was_asked_ahead() -> None:
    swept("sweep.n_trials=24", "sweep.target=0.0")
    n = len(stored().trials)
    assert n < 24
    assert swept("sweep.n_trials=24", "sweep.target=0.0").exit_code == 0
    assert len(stored().trials) == n


@pytest.mark.usefixtures("project")
def test_a_sampler_that_breaks_in_its_thread_is_one_message_and_all_else_is_kept() -> None:
    with pytest.raises(ConfigError, match="cannot propose a trial: no more ideas"):
        swept("sweep.n_trials=20", "+sweep.sampler.breaks_at=12")
    done = [t for t in stored().trials if t.outcome is Outcome.COMPLETE]
    assert len(done) >= 8


@pytest.mark.usefixtures("project")
def test_a_grid_is_walked_once_and_to_its_end_when_it_is_asked_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from besom.study.samplers import SpaceGridSampler

    propose = SpaceGridSampler.sample_relative

    def slowly(*what: Any) -> Any:
        time.sleep(0.03)
        return propose(*what)

    monkeypatch.setattr(SpaceGridSampler, "sample_relative", slowly)
    space = (
        "sweep.space={model.dropout: [0.0, 0.1, 0.2, 0.3], optimizer.learning_rate: [0.1, 0.01]}"
    )
    outcome = sweep(
        "sweep/sampler=grid", "sweep.replicates=0", space, "sweep.n_trials=50", executor=workers()
    )
    points = [
        (t.params["model.dropout"], t.params["optimizer.learning_rate"])
        for t in outcome.study.complete
        if not t.baseline
    ]
    assert len(set(points)) == len(points) == 8


@pytest.mark.long
@pytest.mark.usefixtures("no_orphans")
def test_a_sweep_killed_while_it_asks_ahead_goes_on_to_exactly_its_trials(
    project: Project,
) -> None:
    words = ("sweep", "cheap", *SLOW, "sweep.n_trials=16", "sweep.executor.workers=2")
    process = project.spawn(*words, "+sweep.sampler.seconds=0.1", "trainer.seconds=0.02")
    journal = RESULTS / "cheap" / "study.journal"
    asked = f'"{AHEAD}":true'
    wait_for(lambda: journal.exists() and journal.read_text().count(asked) > 4, "asks", 100)
    process.kill()
    process.communicate()
    project.done(*words, "+sweep.sampler.seconds=0.1", "trainer.seconds=0.02")
    assert_whole(16)
