"""Text from outside (a trial's message, a name, a value), made fit to be shown and stored.

An escape sequence in an exception could clear the terminal, set its title, or hide a line; a
character that turns the writing direction makes a text read as another one. Nothing of that kind
is ever written as it is: it is shown as the escape that stands for it in Python, ``\\x1b``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

#: Control characters but tab and newline, what has no width or turns the writing direction, other
#: line separators, and halves of characters, which no file can hold. Not the joiners (U+200C,
#: U+200D), which scripts and emoji need.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
#: A backslash that Markdown would take for an escape, what begins or ends code, emphasis inside a
#: word's edges, a link, HTML.
_MARKDOWN = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])|`|\*|~~|(?<!\w)_|_(?!\w)|\](?=[(\[])|<|&(?=#|[A-Za-z])|\|"
)
_HTML = {"<": "&lt;", "&": "&amp;"}


def visible(text: str) -> str:
    """Return ``text`` with everything hidden in it shown as an escape; tabs and newlines stay."""
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    r"""Return ``text`` as ``visible``, on one line: tabs and newlines as ``\t`` and ``\n``."""
    return visible(text).replace("\t", "\\t").replace("\n", "\\n")


def cut(text: str, n_most: int) -> str:
    """``text`` in at most ``n_most`` characters, its end left out where it is longer."""
    return text if len(text) <= n_most else f"{text[: n_most - 1]}…"


def hidden_in(text: str) -> bool:
    """Whether ``visible`` would change the text."""
    return _HIDDEN.search(text) is not None


def escape_hidden(text: str) -> str:
    """Return ``text`` with what is hidden as the escapes that YAML and JSON strings have for it.

    For the inside of strings in double quotes alone.
    """

    def escaped(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

    return _HIDDEN.sub(escaped, text)


def markdown_cell(text: str) -> str:
    """Return ``text`` on one line, as Markdown that shows it as it is, also in a table."""
    return _MARKDOWN.sub(lambda found: _HTML.get(found[0], f"\\{found[0]}"), one_line(text))


def markdown_line(text: str) -> str:
    """Return a sentence of besom's own as Markdown: what stands in it is no HTML and no link."""
    return re.sub(
        r"<|&(?=#|[A-Za-z])|\](?=[(\[])",
        lambda found: _HTML.get(found[0], f"\\{found[0]}"),
        one_line(text),
    )


def command(*words: object, options: str = "") -> str:
    """Return a command of besom's that a shell takes as it is shown.

    Args:
        words: the command's name and its arguments, each quoted where it must be.
        options: written after them, as they are.

    Example:
        >>> command("confirm", "my sweep", options="--on validation")
        "besom confirm 'my sweep' --on validation"
    """
    verb, *rest = (_shell_word(str(word)) for word in words)
    if any(str(word).startswith("-") for word in words):  # else taken for an option
        return " ".join(filter(None, ["besom", verb, options, "--", *rest]))
    return " ".join(filter(None, ["besom", verb, *rest, options]))


def _shell_word(word: str) -> str:
    if one_line(word) == word:
        return shlex.quote(word)
    # What is hidden is written as an escape here too: bash, zsh and ksh read them.
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + escape_hidden(plain).replace("\n", "\\n").replace("\t", "\\t") + "'"


T = TypeVar("T")

_NO_TEXT = frozenset({float, int, bool, bytes, type(None)})


def storable(value: T) -> T:
    """Return ``value`` with each text in it encodable, and free of NUL, which databases refuse.

    A lone surrogate (half of a character, as ``os.fsdecode`` gives for bytes that are not UTF-8)
    becomes its escape ``\\udcff``. Lists, tuples, mappings with their keys, and dataclasses are
    gone through; anything else is returned as it is.
    """
    made: Any = value
    if type(value) in _NO_TEXT:
        pass
    elif isinstance(value, str):
        if "\0" in value or not (value.isascii() or _is_encodable(value)):
            made = value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    elif isinstance(value, Mapping):
        made = {storable(key): storable(item) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        if not _NO_TEXT.issuperset(map(type, value)):  # a history is long, and all numbers
            made = type(value)(map(storable, value))
    elif is_dataclass(value) and not isinstance(value, type):
        made = replace(value, **{f.name: storable(getattr(value, f.name)) for f in fields(value)})
    return cast("T", made)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
