"""Text to be sent to others: without the names of machines, absolute paths and secrets."""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Callable
from pathlib import PurePosixPath

#: What stands for what was taken out.
GONE = "[redacted]"

#: Shorter values of the environment stand in too many texts; so do words, unless they are longer.
_LEAST_CHARS, _MOST_CHARS_OF_WORD = 6, 12
#: Its variables whose values say nothing of anyone: the terminal, the language, Python's and ours.
_PLAIN = re.compile(r"TERM|LANG|LC_\w+|SHLVL|COLUMNS|LINES|COLORTERM|FORCE_COLOR|TF_\w+|PYTHON\w+")
#: Variables whose values are secrets, even if they are words.
_SECRET = re.compile(r"KEY|TOKEN|PASS|SECRET|CREDENTIAL|PWD", re.IGNORECASE)

#: A path in quotes, one that is all of a value in YAML, and any other without spaces.
_QUOTED = re.compile(r"""(?P<before>["'])(?P<path>/[^"'\n/][^"'\n]*)(?=["'])""")
_YAML = re.compile(r"(?P<before>(?:: |- ))(?P<path>/[^\s/'\"][^\n'\"]*)(?=$)", re.MULTILINE)
_BARE = re.compile(
    r"(?P<before>^|[\s=(\[{,;:>|]|file://)(?P<path>/[^\s/'\"<>|;,)(\]\[}{:][^\s'\"<>|;,)(\]\[}{:]*)",
    re.MULTILINE,
)
_HOME = re.compile(r"(?P<before>^|[\s=(\[{,;:>|\"'])(?P<path>~[\w.-]*/[^\s'\"<>|;,)(\]\[}{:]*)")

#: Whoever is at a URL, with user and port, and any address of a machine in numbers.
_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<host>[^/\s'\"<>?#]+)")
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])")
_ADDRESS_6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-f]{3,4}:(?:[0-9a-f]{1,4}:)*:|(?:[0-9a-f]{1,4}:){7})[0-9a-f:]+(?![\w:])",
    re.IGNORECASE,
)
#: A name of several parts that ends as machines' names do inside a network.
_INTERNAL = re.compile(r"(?<![\w./-])[\w-]+(?:\.[\w-]+)*\.(?:local|lan|internal|intra|corp|home)\b")


def redactor() -> Callable[[str], str]:
    """Return what takes hosts, absolute paths and values of the environment out of a text.

    A path keeps the name of its file if that has a suffix. Hosts are those of URLs, addresses in
    numbers, names as networks have them inside, and this machine's. The user's name goes, too, and
    the value of every environment variable of this process that is more than a word.

    Example:
        >>> redactor()("data.path=/home/anna/mnist.npz on postgresql://anna@db.example/x")
        'data.path=[redacted]/mnist.npz on postgresql://[redacted]/x'
    """
    names, secrets = _names(), _secrets()

    def redact(text: str) -> str:
        for secret in secrets:
            if secret in text:
                text = text.replace(secret, _of_path(secret))
        text = _URL.sub(lambda found: found["scheme"] + GONE, text)
        for pattern in (_QUOTED, _YAML, _BARE, _HOME):
            text = pattern.sub(lambda found: found["before"] + _of_path(found["path"]), text)
        for pattern in (_ADDRESS, _ADDRESS_6, _INTERNAL, names):
            text = pattern.sub(GONE, text)
        return text

    return redact


def _names() -> re.Pattern[str]:
    """This machine's and this user's."""
    host = socket.gethostname()
    words = {host, host.partition(".")[0], _user()}
    words |= {os.environ.get(name, "") for name in ("USER", "LOGNAME")}
    words = {word for word in words if len(word) > 1} - {"root", "localhost", "user"}
    known = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{known})(?![\w-])" if known else r"(?!)")


def _user() -> str:
    """The name of whoever runs this process, which no variable need hold; empty if it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def _secrets() -> list[str]:
    """Values of the environment, the longest first."""
    found = [
        value
        for name, value in os.environ.items()
        if len(value) >= _LEAST_CHARS
        and not _PLAIN.fullmatch(name)
        and (_SECRET.search(name) or not value.isalpha() or len(value) > _MOST_CHARS_OF_WORD)
    ]
    return sorted(found, key=len, reverse=True)


def _of_path(path: str) -> str:
    """What stands for a path: the name of its file, if it is one."""
    if "/" not in path:
        return GONE
    end = PurePosixPath(path)
    has_suffix = re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{0,9}", end.suffix) is not None
    return f"{GONE}/{end.name}" if has_suffix else GONE
