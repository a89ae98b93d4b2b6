"""The user's own functions: pickles that only whoever has the user's key can have written.

A pickle runs code when it is read, and a study may come from anybody. So each file begins with a
signature made with a key in the user's home folder. What was signed with another key is refused,
until the user trusts ``besom.from_python``.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

#: The module whose names are such functions.
FROM_PYTHON = "besom.from_python"

N_BYTES = 32

#: Signatures made in this process: they hold even where no key can be stored.
_MADE: set[bytes] = set()


def signed(pickled: bytes) -> bytes:
    """The content of a file: the signature, then the pickle."""
    signature = _signature(pickled)
    _MADE.add(signature)
    return signature + pickled


def file_of(folder: str | Path | None, dotted: str) -> Path | None:
    """The file of the function that ``dotted`` names; None where no folder is known."""
    return None if folder is None else Path(folder) / f"{dotted.rpartition('.')[2]}.pkl"


def objection_to_function(folder: str | None, dotted: str) -> str:
    """Why the function that ``dotted`` names may not be loaded; empty if it may, or is missing."""
    file = file_of(folder, dotted)
    if file is None or not file.is_file():
        return ""  # it may be written yet; loading it says what is missing
    content = file.read_bytes()
    signature = content[:N_BYTES]
    if signature in _MADE or hmac.compare_digest(signature, _signature(content[N_BYTES:])):
        return ""
    return (
        f"{file} was written by another user or on another machine, and a pickled function may "
        "hold any code"
    )


def _signature(pickled: bytes) -> bytes:
    return hmac.new(_key(), pickled, hashlib.sha256).digest()


@functools.cache
def _key() -> bytes:
    """The user's key; one for this process alone where it cannot be stored."""
    key = secrets.token_bytes(N_BYTES)
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        file = home / "besom" / "key"
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            mine = file.with_name(f"key-{secrets.token_hex(8)}")
            mine.touch(mode=0o600)
            mine.write_bytes(key)
            os.link(mine, file)  # whole at once, and never over another's
        mine.unlink()
        stored = file.read_bytes()
        return stored if len(stored) == N_BYTES else key
    return key
