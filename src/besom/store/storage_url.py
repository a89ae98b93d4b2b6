"""Storage URLs and their passwords, which are never stored and never shown.

A password reaches the database by way of its driver (``~/.pgpass``, ``PGPASSWORD``) or in the URL
that ``BESOM_STORAGE`` holds. Everything else has the URL without it.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, unquote_plus

from besom.errors import ConfigError

#: An environment variable: the URL of the storage where new studies begin, its password included.
VARIABLE = "BESOM_STORAGE"

_HIDDEN = "***"
#: ``scheme://user:password@``: as SQLAlchemy reads it, and on to the last ``@`` before the host.
_USERINFO = re.compile(r"(?P<before>[\w+.%-]+://[^:/@\s]*):(?P<password>[^@]*(?:@[^@/?]*(?=@))*)@")
_USERINFO_IN_TEXT = re.compile(
    r"(?P<before>[\w+.%-]+://[^:/@\s]*):[^@\s'\"]+(?:@[^@/?\s'\"]*(?=@))*@"
)
_USERINFO_EMPTY = re.compile(r"(?P<before>[\w+.%-]+://[^:/@\s]*):@")
#: ``password=...`` in a query, an ODBC string or a driver's own spelling; ``passfile`` is a path.
_VALUE = r"(?P<password>[^&;\s'\"]+|'[^']*'|\"[^\"]*\")"
_KEYED = re.compile(rf"[\w.-]*(?:pass(?!file)|pwd|secret|token)[\w.-]*\s*=\s*{_VALUE}", re.I)
_PAIR = re.compile(rf"(?P<key>[\w.%-]+)\s*=\s*{_VALUE}")


def from_environment() -> str | None:
    """The URL in ``BESOM_STORAGE``, password and all; None where there is none."""
    return os.environ.get(VARIABLE) or None


def has_password(url: str) -> bool:
    """Whether a URL holds a password, in whatever spelling."""
    return without_password(url) != _USERINFO_EMPTY.sub(r"\g<before>@", url)


def check_no_password(url: str) -> None:
    """Refuse a password in ``sweep.storage``: it would be stored, and seen in the process list.

    Raises:
        ConfigError: says where it belongs.
    """
    if has_password(url):
        raise ConfigError(
            f"sweep.storage={without_password(url)} was given with a password, which would be "
            "stored with the study. Omit the password: PostgreSQL's driver reads it from ~/.pgpass "
            f"or PGPASSWORD. Or put the whole URL into the environment variable {VARIABLE}, and "
            "omit sweep.storage."
        )


def without_password(url: str) -> str:
    """The URL as it may be stored and shown."""
    url = _USERINFO.sub(r"\g<before>@", url)
    if "://" not in url:  # what is no URL, such as "host=... password=...", may hold one yet
        return _hidden(url)
    base, _, query = url.partition("?")
    parts = re.split("([&;])", query)
    kept = [part for part in parts[::2] if not _KEYED.search(unquote_plus(part))]
    if len(kept) == len(parts[::2]):
        return url
    return base + ("?" + "&".join(kept) if any(kept) else "")


def with_password(url: str, *candidates: str | None) -> str:
    """The URL to connect with: the first of the candidates that is this URL with a password."""
    for candidate in candidates:
        if candidate and has_password(candidate) and without_password(candidate) == url:
            return candidate
    return url


def hide_passwords(text: str, *urls: str) -> str:
    """A text, such as a driver's message, without any password.

    Args:
        text: any.
        urls: their passwords are hidden as they stand, too.
    """
    for secret in sorted({s for url in urls for s in _secrets(url)}, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _hidden(_USERINFO_IN_TEXT.sub(rf"\g<before>:{_HIDDEN}@", text))


def _hidden(text: str) -> str:
    """Hide ``password=...``, also where names or whole connection strings are encoded."""

    def hide(found: re.Match[str]) -> str:
        return f"{found['key']}={_HIDDEN}" if _KEYED.search(unquote_plus(found[0])) else found[0]

    return _PAIR.sub(hide, text)


def _secrets(url: str) -> set[str]:
    """Every password of a URL, as written and decoded."""
    found = [match["password"] for match in _USERINFO.finditer(url)]
    found += [match["password"] for match in _KEYED.finditer(url)]
    found += [match["password"] for match in _KEYED.finditer(unquote_plus(url))]
    found += [piece for password in found for piece in password.split("@")]
    spelled = {s for secret in found for s in (secret, unquote(secret), unquote_plus(secret))}
    return {secret for secret in spelled if len(secret) > 2}  # a shorter one would garble all
