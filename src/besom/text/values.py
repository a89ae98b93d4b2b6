"""A config's values as text: one writer for everything that shows them, and one for CSV files.

Two values that differ never look alike. Text is written as it is where it can be read as nothing
else, and as a JSON string where it can: ``relu``, but ``"1"``, ``"null"``, ``"a, b"`` and ``""``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Final

from besom.text.printable import escape_hidden, hidden_in

_TARGET = "_target_"

#: Stands for "there is no value here" wherever null is one.
ABSENT: Final = object()

#: Words that YAML, JSON or a reader takes for something else.
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"}
#: Numbers, dates and times, as YAML 1.1 has them; and besom's own lists, ``46-140-18``.
_NUMBER = re.compile(r"[.]?[0-9][0-9a-fA-FxXoO_.:+\-eEtTzZ ]*|\.(nan|inf)", re.IGNORECASE)
#: What stands for itself: it begins with a letter or a digit, has no punctuation of YAML, JSON or
#: besom's own in it, and no space but single ones inside.
_PLAIN = re.compile(r"""\w(?:[^"'`,()\[\]{}=|#\\\s:]|:(?=[^\s:])|[ ](?=[^ ]))*""")
_PATH = re.compile(r"(?:~|\.|\.\.)?/[\w./+@-]*|\.\w[\w.-]*")

#: What makes a spreadsheet take a cell for a formula, also in its full-width forms.
_FORMULA = tuple("=+-@\t\r＝＋－＠")


def value_text(value: Any, digits: int | None = None) -> str:
    """Return a plain value as people read it, on one line.

    Args:
        value: null, a bool, a number, text, a list or a mapping. A mapping with a ``_target_`` is
            the object it makes, those of Keras by their last name. Anything else by its ``str``.
        digits: of floats; None: all that tell them apart. A float always has a point or an
            exponent, whatever is rounded.

    Example:
        >>> value_text([512, 256]), value_text([512]), value_text("512-256")
        ('512-256', '[512]', '"512-256"')
    """
    if isinstance(value, list | tuple) and len(value) > 1 and all(map(_is_count, value)):
        return "-".join(map(str, value))
    return _nested(value, digits)


def compact_text(value: Any, digits: int | None = None) -> str:
    """``value_text``, but a list of mappings, such as layers, without their keys.

    For the values of one hyperparameter: what an element has depends on what else is in it, so
    that two of these differ here too.

    Example:
        >>> compact_text([{"units": 512, "activation": "relu"}, {"units": 64, "activation": None}])
        '512 relu – 64 null'
    """
    if not isinstance(value, list | tuple) or not value or not all(map(_is_element, value)):
        return value_text(value, digits)
    keys = dict.fromkeys(key for element in value for key in element)
    return " – ".join(
        " ".join(_word(element[key], digits) for key in keys if key in element) for element in value
    )


def _is_element(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 0 and _TARGET not in value


def _word(value: Any, digits: int | None) -> str:
    """A value among others: a text of several words is quoted."""
    if isinstance(value, str) and " " in value:
        return quoted(value)
    return value_text(value, digits)


def given_text(value: Any) -> str:
    """Return a value as a message repeats it, so that no one takes it for the message's words.

    Example:
        >>> given_text(None), given_text("relx"), given_text([64, "a"])
        ('null', "'relx'", '[64, a]')
    """
    return repr(value) if isinstance(value, str) else _nested(value, None)


def _nested(value: Any, digits: int | None) -> str:
    if isinstance(value, str):
        return value if is_plain(value) else quoted(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return _float(float(value), digits)
    if isinstance(value, Mapping):
        return _mapping(value, digits)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_nested(item, digits) for item in value) + "]"
    return quoted(str(value))


def _is_count(value: Any) -> bool:
    return (
        isinstance(value, Integral) and value is not True and value is not False and int(value) >= 0
    )


def _float(value: float, digits: int | None) -> str:
    text = repr(value) if digits is None else f"{value:.{digits}g}"
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def _mapping(node: Mapping[Any, Any], digits: int | None) -> str:
    """The same in whatever order its keys are."""
    target = node.get(_TARGET)
    named = isinstance(target, str) and all(part.isidentifier() for part in target.split("."))
    items = sorted(
        (_nested(str(key), None), _nested(value, digits))
        for key, value in node.items()
        if not (named and key == _TARGET)
    )
    if named:
        name = str(target)
        short = name.rpartition(".")[2] if name.startswith("keras.") else name
        return f"{short}({', '.join(f'{key}={text}' for key, text in items)})"
    return "{" + ", ".join(f"{key}: {text}" for key, text in items) + "}"


def is_plain(text: str) -> bool:
    """Whether a text needs no quotes: nothing else is written like it."""
    if text.lower() in _WORDS or _NUMBER.fullmatch(text) or not _shown_whole(text):
        return False
    return (_PLAIN.fullmatch(text) or _PATH.fullmatch(text)) is not None


def _shown_whole(text: str) -> bool:
    return text.isprintable() and not hidden_in(text)


def quoted(text: str) -> str:
    """Return a text as a JSON string in which nothing is hidden."""
    escaped = "".join(
        char if char.isprintable() or hidden_in(char) else json.dumps(char)[1:-1]
        for char in json.dumps(text, ensure_ascii=False)[1:-1]
    )
    return f'"{escape_hidden(escaped)}"'


# CSV


def csv_value(value: Any) -> str:
    """Return a value as a cell that ``read_cell`` gives back; empty for ``ABSENT`` and for NaN.

    JSON, but text that can be taken for nothing else stands without quotes.
    """
    if value is ABSENT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value if is_plain(value) else json.dumps(value)
    return json.dumps(value, default=_of_numpy)


def csv_text(text: str) -> str:
    """Return a text that is no config's value as a cell: as it is, where no harm can come of it.

    A spreadsheet would run ``=1+2``; as a JSON string it begins with a quotation mark.
    """
    harmless = not text.startswith((*_FORMULA, '"')) and "\n" not in text and not hidden_in(text)
    return text if harmless else json.dumps(text)


def read_cell(cell: str) -> Any:
    """Return what ``csv_value`` wrote: a cell that is no JSON is the text itself.

    An empty one is ``ABSENT``: a hyperparameter that does not apply.
    """
    if cell == "":
        return ABSENT
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def read_text(cell: str) -> str:
    """Return what ``csv_text`` wrote."""
    found = read_cell(cell) if cell.startswith('"') else cell
    return found if isinstance(found, str) else cell


def _of_numpy(value: Any) -> Any:
    """A number of numpy's as Python's own, anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)
