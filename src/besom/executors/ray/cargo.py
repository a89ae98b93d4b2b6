"""Functions and arrays that were given from Python: to each node once, whatever its workers.

The driver puts the files into Ray's object store. The first actor on a node writes them to its
disk, where all of them memory-map the arrays, as workers on one machine do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from besom.errors import BesomError

#: Ray spills whole objects to disk where memory is short; and no message is larger.
_CHUNK = 64 * 2**20

#: Written last.
_WHOLE = ".whole"


@dataclass(frozen=True)
class Cargo:
    """Files in the object store.

    Attributes:
        digest: of their names and contents.
        files: name, relative to their folder, to references to its parts.
    """

    digest: str
    files: dict[str, list[Any]]


def load(folder: Path, put: Callable[[bytes], Any]) -> Cargo:
    """Put all files of a folder into the object store.

    Args:
        folder: of the functions and arrays, see ``Trust.functions``.
        put: ``ray.put``.

    Raises:
        BesomError: a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    files: dict[str, list[Any]] = {}
    try:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = file.relative_to(folder).as_posix()
            digest.update(f"{name}\0{file.stat().st_size}\0".encode())
            files[name] = []
            for chunk in _chunks(file):
                digest.update(chunk)
                files[name].append(put(chunk))
    except OSError as error:
        raise BesomError(f"What was given from Python cannot be read: {error}.") from error
    return Cargo(digest.hexdigest(), files)


def unload(cargo: Cargo, store: Path, get: Callable[[Any], bytes], where: str) -> Path:
    """Write the files to this node's disk, if nobody has, and return their folder.

    It is not deleted while this process lives. The first process that needs another one deletes
    those that no process needs.

    Args:
        cargo: made by ``load``.
        store: the folder on this node for all cargoes.
        get: ``ray.get``.
        where: what to call this machine.

    Raises:
        BesomError: they cannot be written.
    """
    folder = store / cargo.digest
    try:
        store.mkdir(parents=True, exist_ok=True)
        if folder not in _LOCKS:
            name = store / f"{cargo.digest}.lock"
            _LOCKS[folder] = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        lock = _LOCKS[folder]
        fcntl.flock(lock, fcntl.LOCK_SH)
        while not (folder / _WHOLE).exists():
            # Whoever else waits here has it next, and finds it done.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / _WHOLE).exists():
                _delete_unused(store)
                _write(cargo, folder, get)
            fcntl.flock(lock, fcntl.LOCK_SH)  # another process may have been let in for a moment
        return folder
    except OSError as error:
        raise BesomError(
            f"{where} cannot store the functions and arrays given from Python in {store}: "
            f"{error.strerror}. Free disk space there, or start its Ray with another --temp-dir."
        ) from error


#: Locks that this process holds to its end.
_LOCKS: dict[Path, int] = {}


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk


def _write(cargo: Cargo, folder: Path, get: Callable[[Any], bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, parts in cargo.files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as opened:
            for part in parts:
                opened.write(get(part))
    (folder / _WHOLE).touch()


def _delete_unused(store: Path) -> None:
    for other in store.glob("*.lock"):
        folder = other.with_suffix("")
        if not folder.exists():
            continue
        with other.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # in use
                continue
            shutil.rmtree(folder, ignore_errors=True)
