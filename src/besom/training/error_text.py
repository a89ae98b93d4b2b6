"""What Keras and TensorFlow say of an error, in one sentence instead of a traceback."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

#: A longer message says no more to a person.
_MOST_CHARS = 300

#: Lines that TensorFlow and Keras put before what they have to say.
_PREAMBLE = re.compile(
    r"Graph execution error|Detected at node|<stack traces unavailable>|in user code:"
    r"|Exception encountered when calling|File \"|Stack trace for op|Arguments received by"
)
#: What they add to it: colours, the node of the graph, the operation, the labels themselves.
_TRIMMINGS = re.compile(
    r"\x1b\[[0-9;]*m|\{\{function_node [^}]*\}\} ?|\s*\[\[\{\{.*|\s*\[Op:.*|\s+Label values:.*"
)

_BESOM = str(Path(__file__).parents[1])


def sentence(error: BaseException) -> str:
    """The class of an error and what it says, on one line, with the place in the user's own code.

    Example:
        >>> sentence(ValueError("Graph execution error:\\n\\nA label is 9.  Label values: 9 3"))
        'ValueError: A label is 9'
    """
    said: list[str] = []
    for line in (_TRIMMINGS.sub("", line).strip() for line in str(error).splitlines()):
        if line and not _PREAMBLE.match(line):
            said.append(line)
        elif said:
            break
    text = " ".join(said).rstrip(".")
    if len(text) > _MOST_CHARS:
        text = f"{text[: _MOST_CHARS - 3]}..."
    place = _place(error)
    return type(error).__name__ + (f": {text}" if text else "") + (f" ({place})" if place else "")


def _place(error: BaseException) -> str:
    """``my.py, line 12``: the last frame in the user's own code, which is in the current folder."""
    here = str(Path.cwd())
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if file.startswith(here) and not file.startswith(_BESOM) and "site-packages" not in file:
            return f"{Path(file).relative_to(here)}, line {frame.lineno}"
    return ""
