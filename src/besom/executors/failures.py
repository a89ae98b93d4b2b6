"""Why a trial has no result, in words: from an exception, or from how its worker ended."""

from __future__ import annotations

import errno
import re
import signal
import traceback
from dataclasses import dataclass

from besom.errors import BesomError, TrialDiverged
from besom.executors.base import FailureKind

#: The study stores details, and TensorFlow's messages can hold a whole graph.
MAX_DETAIL_CHARS = 16_000
MAX_REASON_CHARS = 300

#: Signals whose names do not say what went wrong; SIGKILL's does.
_FAULTS = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGXCPU}
)

_MEMORY_CLASSES = frozenset({"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"})
_MEMORY_WORDS = re.compile(
    r"std::bad_alloc|\bMemoryError\b|\bOOM\b|out of memory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED"
    r"|cannot allocate memory",
    re.IGNORECASE,
)


def describe_exception(error: BaseException) -> tuple[FailureKind, str, str]:
    """Return the kind, the one-line reason and the detail of what a trial function raised.

    Never raises: the exception is of any class, and what it says of itself is that class's code.
    """
    try:
        kind, reason = _kind_and_reason(error)
    except BaseException as broken:
        kind = FailureKind.ERROR
        reason = f"{_name(error)} (its own code raised {_name(broken)} when asked what it is)"
    detail = "" if kind is FailureKind.DIVERGED else shorten(_traceback(error))
    return kind, shorten_reason(reason), detail


def _kind_and_reason(error: BaseException) -> tuple[FailureKind, str]:
    reason = _first_line(message_of(error))
    if isinstance(error, TrialDiverged):
        return FailureKind.DIVERGED, reason
    if not isinstance(error, BesomError):
        reason = f"{_name(error)}: {reason}" if reason else _name(error)
    if _is_out_of_memory(error):
        return FailureKind.OUT_OF_MEMORY, f"out of memory ({reason})"
    return FailureKind.ERROR, reason


def message_of(error: BaseException) -> str:
    """Return ``str(error)``, or why there is none."""
    try:
        return str.__str__(str(error))  # a subclass of str would bring its class along
    except BaseException as broken:
        return f"(its message cannot be shown: str() of it raised {_name(broken)})"


def _name(error: BaseException) -> str:
    """Of its class, past any metaclass that says otherwise."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name


def _traceback(error: BaseException) -> str:
    trace = BaseException.__dict__["__traceback__"].__get__(error)
    trace = trace and trace.tb_next  # the first frame is the worker's own
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:
        return "".join([*traceback.format_tb(trace), _name(error)])


@dataclass(frozen=True)
class Death:
    """How a worker process ended.

    Attributes:
        reason: one line.
        out_of_memory: whether it ended for lack of memory.
        node_lost: whether its machine was lost with it, or the connection to it.
        no_room: whether it never ran, as there was no room for it.
        not_begun: whether it was idle: a trial that it was told to run has not begun.
    """

    reason: str
    out_of_memory: bool = False
    node_lost: bool = False
    no_room: bool = False
    not_begun: bool = False


def describe_death(status: int | None, log_tail: str, oom_killed: bool) -> Death:
    """Say why a worker died.

    Args:
        status: the exit code, or the negated signal; None if the process could not be reaped.
        log_tail: the end of what it printed.
        oom_killed: the kernel's out-of-memory killer struck since the last such death.
    """
    if status is None:
        return Death("the worker process cannot be ended: it hangs in the kernel")
    if status < 0:
        ending = f"killed by {_signal_name(-status)}"
        if oom_killed and -status == signal.SIGKILL:
            reason = f"out of memory ({ending}, the kernel's out-of-memory killer)"
            return Death(reason, out_of_memory=True)
    else:
        ending = f"ended with exit code {status}"
    if status != 0 and _MEMORY_WORDS.search(log_tail):
        return Death(f"out of memory ({ending})", out_of_memory=True)
    return Death(ending)


def shorten(detail: str) -> str:
    """Return ``detail`` with its middle left out if it is too long to keep."""
    if len(detail) <= MAX_DETAIL_CHARS:
        return detail
    half = MAX_DETAIL_CHARS // 2
    return f"{detail[:half]}\n[{len(detail) - 2 * half} characters left out]\n{detail[-half:]}"


def shorten_reason(reason: str) -> str:
    """Return ``reason`` cut to what a line of a table takes."""
    return reason if len(reason) <= MAX_REASON_CHARS else f"{reason[: MAX_REASON_CHARS - 3]}..."


def _is_out_of_memory(error: BaseException) -> bool:
    """TensorFlow's and PyTorch's classes are known by name: neither is imported here."""
    if any(base.__name__ in _MEMORY_CLASSES for base in type(error).__mro__):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    foreign = type(error).__module__.partition(".")[0] in {"tensorflow", "jaxlib", "torch"}
    return foreign and _MEMORY_WORDS.search(message_of(error)) is not None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _signal_name(number: int) -> str:
    try:
        known = signal.Signals(number)
    except ValueError:  # a real-time signal
        return f"signal {number}"
    words = (signal.strsignal(number) or "").lower()
    return f"{known.name} ({words})" if words and known in _FAULTS else known.name
