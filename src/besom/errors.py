"""User-facing exceptions: each says what was given, what was expected, and what to do.

Every other module may import this one; it imports nothing of besom.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable

#: A reason of more characters is cut.
MAX_REASON_CHARS = 200


class BesomError(Exception):
    """Something a user can cause and fix. The command line prints it and exits with 2."""

    exit_code = 2


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


def reason_of(error: Exception) -> str:
    """Describe any exception in one line: Keras's messages have paragraphs and examples."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    try:
        text = str(error).strip().partition("\n\n")[0]
    except Exception:  # a user's exception may fail to describe itself
        text = ""
    text = textwrap.shorten(text, MAX_REASON_CHARS, placeholder=" ...").rstrip(".")
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind
