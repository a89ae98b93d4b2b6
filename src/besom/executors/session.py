"""Starts an executor's workers, listens to them, and closes them at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from besom.errors import ConfigError, StudyTaken
from besom.executors.base import Event, Executor, Failed, Ready, Remark
from besom.executors.failures import shorten, shorten_reason
from besom.seam import TrialConfig
from besom.text.printable import storable
from besom.text.values import given_text

log = logging.getLogger("besom.executors")


@contextmanager
def started(
    executor: Executor,
    trial_function: str,
    config: TrialConfig,
    logs: Path | None,
    n_trials: int,
    artifacts: Path | None = None,
    say: Callable[[str], object] = log.info,
) -> Iterator[dict[str, Any]]:
    """Start an executor, wait until one of its workers has prepared, and close it at the end.

    Args:
        executor: not started yet.
        trial_function: a dotted name, as in ``sweep.trial_function``.
        config: what the workers prepare with.
        logs: the folder for the workers' logs; None: they are discarded.
        n_trials: how many there are at most; no more workers than that are started.
        artifacts: the folder that kept models and checkpoints are named in, see ``Executor.start``.
        say: told what the executor remarks until then.

    Yields:
        The facts that its first worker returned from ``prepare``.

    Raises:
        BesomError: the workers cannot be spawned or prepared.
    """
    try:
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
        folder = None if artifacts is None else str(artifacts.absolute())
        function = module_function(trial_function)
        log_dir = None if logs is None else str(logs)
        executor.start(function, config, log_dir, n_trials=n_trials, artifacts=folder)
        yield _first_ready(executor, say)
    except (KeyboardInterrupt, StudyTaken):
        executor.close(grace_s=0.0)
        raise
    finally:
        executor.close()


def _first_ready(executor: Executor, say: Callable[[str], object]) -> dict[str, Any]:
    """Wait until one worker has prepared; the others get ready while it works."""
    while True:
        for event in storable_events(executor, timeout_s=1.0):
            if isinstance(event, Ready):
                return event.facts
            if isinstance(event, Remark):
                say(event.text)


def module_function(dotted: str) -> str:
    """``package.module.function`` as ``package.module:function``.

    Raises:
        ConfigError: there is no module in it.
    """
    module, _, function = dotted.replace(":", ".").rpartition(".")
    if not module:
        raise ConfigError(
            f"sweep.trial_function is {given_text(dotted)}, expected a dotted name such as "
            "'besom.training.trial.run_trial'."
        )
    return f"{module}:{function}"


def storable_events(executor: Executor, timeout_s: float | None = None) -> list[Event]:
    """``executor.events``, its texts storable and its reasons short: listen with this only.

    What a trial says may come from anywhere; one message that no file takes would make the whole
    study unusable.

    Raises:
        BesomError: the workers cannot be prepared.
    """
    return [_short(storable(event)) for event in executor.events(timeout_s=timeout_s)]


def _short(event: Event) -> Event:
    if not isinstance(event, Failed):
        return event
    return replace(event, reason=shorten_reason(event.reason), detail=shorten(event.detail))
