"""Runs stored configs again on the executor of their study: what ``confirm`` and ``replay`` share.

Separates how configs are run (feeding workers, a retry where one dies, stopping on a signal) from
what is run and what becomes of it (``Runs``). Knows nothing of Optuna: no trial is asked or told.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from besom.config import Composer, SearchPath, parse_overrides, plain_value
from besom.equality import same
from besom.errors import ConfigError, did_you_mean
from besom.executors.base import Epoch, Executor, Failed, FailureKind, Finished, Ready, Started
from besom.executors.drain import DrainTimeout
from besom.executors.hearing import hear
from besom.executors.local.awake_clock import AwakeClock
from besom.executors.session import started
from besom.executors.signals import StopSignals
from besom.executors.stop import Ending, Stop
from besom.seam import TrialConfig
from besom.store.records import StudyRecord, TrialRecord
from besom.targets import instantiate, names_in
from besom.trust import current

#: How often a run is given to a fresh worker after its worker died.
RETRIES = 1
#: How often it looks up at least, so that Ctrl-C is answered at once.
TICK_S = 0.2

_EXECUTOR_GROUP = "sweep/executor"


class Runs(Protocol):
    """What is to be run, and what hears how it went."""

    def take(self) -> tuple[int, TrialConfig] | None:
        """The next run, as its number and config; None if there is none to start now."""
        ...

    def started(self, event: Started) -> None:
        """A worker began a run."""
        ...

    def epoch(self, event: Epoch) -> bool:
        """An epoch ended; True stops the run, which then ends with its history so far."""
        ...

    def ended(self, event: Finished | Failed) -> None:
        """A run ended, for good."""
        ...

    def retried(self, run: int, reason: str) -> None:
        """A run lost its worker and will be run again."""
        ...

    def replaced(self, worker: int, reason: str) -> None:
        """A worker was replaced by a fresh one."""
        ...

    def stopping(self, reason: str) -> None:
        """No new runs; those running stop at the end of their epoch and are forgotten."""
        ...

    def tick(self) -> None:
        """Called at least once a second, whatever happens."""
        ...


class Driver:
    """Keeps an executor's workers busy until there is nothing left to run.

    Args:
        executor: started.
        runs: what is run.
        timeout_s: wall-clock limit of one run, None = no limit.
    """

    def __init__(self, executor: Executor, runs: Runs, timeout_s: float | None = None) -> None:
        self._executor, self._runs, self._timeout_s = executor, runs, timeout_s
        self._running: dict[int, TrialConfig] = {}
        self._waiting: list[tuple[int, TrialConfig]] = []
        self._deaths: dict[int, int] = {}
        self._cut: set[int] = set()  # told to stop because everything stops
        self._stop = Stop(self._on_stop)
        self._patience = DrainTimeout(AwakeClock())

    def drive(self) -> str | None:
        """Run everything; SIGINT or SIGTERM once ends it in good order, twice at once.

        Returns:
            Why it was stopped; None if everything ran.
        """
        with StopSignals(self._stop.interrupt):
            while True:
                self._feed()
                self._stop.heed()
                if self._nothing_to_wait_for():
                    return self._stop.reason
                for event in hear(self._executor, TICK_S):
                    self._stop.heed()
                    self._handle(event)
                self._runs.tick()

    def stop(self, reason: str) -> None:
        """Start nothing more; running ones end with their epoch, and are not told to ``runs``."""
        self._stop.begin(reason, Ending.BROKEN)

    def _on_stop(self, reason: str) -> None:
        self._patience.stopping()
        self._runs.stopping(reason)

    def _nothing_to_wait_for(self) -> bool:
        """Whether all has ended, or, in a stop, all that still runs hangs: closing ends it."""
        if self._stop.reason is not None:
            return self._patience.exhausted(self._running)
        return not self._running and not self._waiting

    def _feed(self) -> None:
        """Give every idle worker a run; if nothing runs, the next one waits for a worker."""
        while not self._stop.under_way and (self._executor.idle or not self._running):
            if not self._waiting and (run := self._runs.take()) is not None:
                self._waiting.append(run)
            if not self._waiting or not self._executor.idle:  # (its worker may be being replaced)
                return
            number, config = self._waiting.pop(0)
            self._running[number] = config
            self._executor.submit(number, config, self._timeout_s)

    def _handle(self, event: Ready | Started | Epoch | Finished | Failed) -> None:
        match event:
            case Started():
                self._patience.started(event.trial)
                self._runs.started(event)
            case Epoch():
                self._patience.epoch(event.trial)
                stop = self._runs.epoch(event)
                if self._stop.reason is not None:
                    self._cut.add(event.trial)
                self._executor.answer(event.trial, stop or event.trial in self._cut)
            case Finished() | Failed():
                self._over(event)
            case Ready(replaces=reason):
                if reason:
                    self._runs.replaced(event.worker, reason)

    def _over(self, event: Finished | Failed) -> None:
        config = self._running.pop(event.trial)
        self._patience.ended(event.trial)
        if event.trial in self._cut:
            return
        died = isinstance(event, Failed) and event.kind is FailureKind.WORKER_DIED
        if died and self._deaths.get(event.trial, 0) < RETRIES:
            assert isinstance(event, Failed)
            self._deaths[event.trial] = self._deaths.get(event.trial, 0) + 1
            self._waiting.append((event.trial, config))
            self._runs.retried(event.trial, event.reason)
        else:
            self._runs.ended(event)


@contextmanager
def started_executor(
    node: Mapping[str, Any], trial_function: str, config: TrialConfig, logs: Path, n_runs: int
) -> Iterator[tuple[Executor, dict[str, Any]]]:
    """Start an executor, wait until one of its workers has prepared, and close it at the end.

    Args:
        node: the executor's config.
        trial_function: a dotted name, as in ``sweep.trial_function``.
        config: what the workers prepare with.
        logs: the folder for the workers' logs.
        n_runs: how many runs there are at most; no more workers than that are started.

    Yields:
        The executor, and the facts that its first worker returned from ``prepare``.

    Raises:
        BesomError: the workers cannot be spawned or prepared.
    """
    executor: Executor = instantiate(node)
    with started(executor, trial_function, config, logs, n_runs) as facts:
        yield executor, facts


def check_trusted(
    trial_function: str, executor: Mapping[str, Any], trials: Sequence[TrialRecord]
) -> list[tuple[str, str]]:
    """Refuse what a study names and may not run here and now, whatever was trusted then.

    Args:
        trial_function: a dotted name.
        executor: its config.
        trials: whose stored configs run again.

    Returns:
        Every name, for ``besom.trust.trusting``.

    Raises:
        TrustError: names the first one, and the line that would allow it.
    """
    function = trial_function.replace(":", ".")
    current().check_name(function, "sweep.trial_function", is_trial=True)
    found = list(names_in(executor, "sweep.executor"))
    for trial in trials:
        found += names_in(trial.config, f"trial {trial.number}: ")
    for where, dotted in found:
        current().check_name(dotted, where)
    return found


def stored_config(trial: TrialRecord) -> TrialConfig:
    """A copy of what a trial ran with, without what its coordinator wanted beside the value."""
    config = copy.deepcopy(trial.config)
    config.pop("orders", None)
    return config


def same_data(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether a trial trained on the study's base data, which is what the study knows facts of."""
    base = study.config.get("data")
    known = {k: v for k, v in base.items() if k != "space"} if isinstance(base, Mapping) else base
    return same(trial.config.get("data"), known)


def executor_config(
    study: StudyRecord, words: Sequence[str] = (), workers: int | None = None
) -> dict[str, Any]:
    """The executor's config: the study's own, with what the command line says instead.

    Args:
        study: where the stored config is.
        words: ``executor.KEY=VALUE`` (``sweep.executor.KEY=VALUE`` too), or ``executor=OPTION`` to
            take another one from the config group.
        workers: wins over all of them, if given.

    Raises:
        ConfigError: another word, an unknown option, or something that is no override.
    """
    node = dict(study.config["sweep"]["executor"])
    for override in parse_overrides(words):
        key = override.key_or_group.removeprefix("sweep.").replace("sweep/", "", 1)
        value = plain_value(override.value())
        if key == "executor":
            node = _option(str(value))
        elif key.startswith("executor.") and key.count(".") == 1:
            node[key.partition(".")[2]] = value
        else:
            raise ConfigError(
                f"{override.input_line}: only the executor may differ from the study's, as in "
                "executor.workers=4 or executor=local; what is run is the stored config."
            )
    if workers is not None:
        node["workers"] = workers
    return node


def _option(name: str) -> dict[str, Any]:
    composer = Composer(SearchPath.of(), "train")
    options = composer.groups[_EXECUTOR_GROUP]
    if name not in options:
        raise ConfigError(f"There is no executor {name!r}.{did_you_mean(name, options)}")
    return dict(composer.option(_EXECUTOR_GROUP, name))
