"""User-facing exceptions: each says what was given, what was expected, and what to do.

Every other module may import this one; it imports nothing of besom.
"""

from __future__ import annotations

import difflib
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

#: A reason of more characters is cut.
MAX_REASON_CHARS = 300

#: Lines that TensorFlow and Keras put before their message.
_PREAMBLE = re.compile(
    r"Graph execution error|Detected at node|<stack traces unavailable>|in user code:"
    r"|Exception encountered when calling|File \"|Stack trace for op|Arguments received by"
)
#: What they add to it: colours, the node of the graph, the operation, the labels themselves.
_TRIMMINGS = re.compile(
    r"\x1b\[[0-9;]*m|\{\{function_node [^}]*\}\} ?|\s*\[\[\{\{.*|\s*\[Op:.*|\s+Label values:.*"
)

_BESOM = str(Path(__file__).parent)


class BesomError(Exception):
    """Something a user can cause and fix. The command line prints it and exits with 2."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message, not besom's own calls."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(BesomError):
    """A config, override or option that cannot be used."""


class TrustError(ConfigError):
    """A config names code that it may not run; see ``besom.trust``."""


class SpaceError(ConfigError):
    """A search space that cannot be sampled, or that does not fit the config."""


class DataError(BesomError):
    """A dataset that is missing, malformed, or cannot be trained on."""


class StudyError(BesomError):
    """A study that is unknown, locked, damaged, or does not fit the config."""


class StudyTaken(StudyError):
    """A study that another process has taken over: nothing more may be written to it."""


class TrialDiverged(Exception):
    """Training produced a NaN or an infinity: the trial failed, and retrying would not help.

    Args:
        epoch: the epoch (from 1) in which it was seen.
        metric: the name of the metric that is not finite.
        value: its value.
    """

    def __init__(self, epoch: int, metric: str, value: float) -> None:
        super().__init__(epoch, metric, value)
        self.epoch, self.metric, self.value = epoch, metric, value

    def __str__(self) -> str:
        return f"{self.metric} is {self.value} at epoch {self.epoch}"


class TrainingStopped(Exception):
    """Ends a user's ``trainer.fit``, within a callback of besom's; besom catches it.

    It is raised after the last epoch that is wanted: the trial is pruned, its patience is over, or
    the sweep is being stopped. The function may clean up in ``finally``.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End an error message about an unknown ``name``: similar names, else all known.

    Returns:
        For example ``" Did you mean 'adam' or 'adamw'?"`` or ``" Known: cnn, mlp."``,
        an empty string when nothing is known.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return " Did you mean " + " or ".join(repr(n) for n in near) + "?"
    return " Known: " + ", ".join(names) + "." if names else ""


def reason_of(error: BaseException) -> str:
    """Any exception in one line: its class, its message, and the place in the user's own code.

    Example:
        >>> reason_of(ValueError("Graph execution error:\\n\\nA label is 9.  Label values: 9 3"))
        'ValueError: A label is 9'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    try:
        text = _message(str(error))
    except Exception:  # a user's exception may have no words of its own
        text = ""
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = _place(error)
    return f"{reason} ({place})" if place else reason


def _message(text: str) -> str:
    """The first paragraph that is no preamble: messages of Keras have several, with examples."""
    message: list[str] = []
    for line in (_TRIMMINGS.sub("", line).strip() for line in text.splitlines()):
        if line and not _PREAMBLE.match(line):
            message.append(line)
        elif message:
            break
    whole = " ".join(message).rstrip(".")
    return whole if len(whole) <= MAX_REASON_CHARS else f"{whole[: MAX_REASON_CHARS - 3]}..."


def _place(error: BaseException) -> str:
    """``my.py, line 12``: the last frame in the user's own code.

    It is in the current folder, or in the project that the config belongs to, whose modules are
    found before all others.
    """
    homes = [Path.cwd(), Path(sys.path[0])]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        home = next((home for home in homes if home in file.parents), None)
        foreign = str(file).startswith(_BESOM) or "site-packages" in file.parts
        if home is not None and not foreign:
            return f"{file.relative_to(home)}, line {frame.lineno}"
    return ""
