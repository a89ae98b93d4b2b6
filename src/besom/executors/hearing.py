"""An executor's events, made fit to be stored and shown."""

from __future__ import annotations

from dataclasses import replace

from besom.executors.base import Event, Executor, Failed
from besom.executors.failures import shorten, shorten_reason
from besom.text.printable import storable


def hear(executor: Executor, timeout_s: float | None = None) -> list[Event]:
    """``executor.events``, its texts storable and its reasons short: the one way to listen to it.

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
