"""A database as SQLAlchemy has it: opening it, and what its drivers say when that fails."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy
from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from besom.errors import StudyError
from besom.store.optuna_private import DatabaseStorage
from besom.store.storage_url import hide_passwords

#: How long others may take to create a database's tables.
CREATED_S = 10.0
#: SQLite's codes for a file that another process has locked: SQLITE_BUSY, SQLITE_LOCKED.
_SQLITE_LOCKED = (5, 6)


class Lost(Exception):
    """The connection is lost or the file locked; the operation may or may not have been done."""


def driver_message(error: BaseException, url: str) -> str:
    """The first line of a driver's message, without the URL's password."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return hide_passwords(lines[0] if lines else type(error).__name__, url).rstrip(".")


class _Database(DatabaseStorage):
    """Optuna's, which reports a lost connection as ``Lost`` and closes what it cannot use."""

    def __init__(self, url: str) -> None:
        _create_file(url)
        try:
            super().__init__(url)
        except BaseException:
            if "engine" in vars(self):
                self.engine.dispose()
            raise

        def lost(context: ExceptionContext) -> Exception | None:
            # Its own class: Optuna would try some operations again without looking.
            if not _is_lost(context):
                return None
            return Lost(driver_message(context.original_exception, url))

        sqlalchemy.event.listen(self.engine, "handle_error", lost)


def opened(url: str) -> DatabaseStorage:
    """Open a database, while others may be creating the tables of an empty one."""
    until = time.monotonic() + CREATED_S
    while True:
        try:
            return _Database(url)
        except (StorageInternalError, SQLAlchemyError) as error:
            reason = error.__cause__ if isinstance(error, StorageInternalError) else error
            is_there = isinstance(reason, IntegrityError) or "already exists" in str(reason)
            if not is_there or time.monotonic() > until:
                raise
        time.sleep(0.2)


def _is_lost(context: ExceptionContext) -> bool:
    if context.is_disconnect:
        return True
    if context.dialect.name == "sqlite":
        code = getattr(context.original_exception, "sqlite_errorcode", 0)
        return code & 0xFF in _SQLITE_LOCKED
    return isinstance(context.sqlalchemy_exception, OperationalError | InterfaceError)


def _create_file(url: str) -> None:
    """Create the file, as SQLite would ignore the umask: readable by all, writable by one."""
    if file := _sqlite_file(sqlalchemy.make_url(url)):
        with contextlib.suppress(OSError):  # it exists, or SQLite will say what is wrong
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def _sqlite_file(place: sqlalchemy.URL) -> str | None:
    """The file of an SQLite database that names one as a path."""
    is_in_file = place.get_backend_name() == "sqlite" and not is_in_memory(place)
    file = place.database or ""
    return file if is_in_file and not file.startswith("file:") else None


def is_in_memory(place: sqlalchemy.URL) -> bool:
    """Whether a database of SQLite's is in the memory of this process."""
    return (place.database or ":memory:").startswith(":memory:") or "mode=memory" in str(place)


def missing_file(url: str) -> str | None:
    """The file of an SQLite database that is not there; None for any other database."""
    try:
        place = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return None  # opening it says what is wrong
    file = _sqlite_file(place)
    return file if file and not Path(file).exists() else None


@contextlib.contextmanager
def database_errors(url: str | None) -> Iterator[None]:
    """Say which storage an error of the database within the block comes from.

    Raises:
        StudyError: in place of the error.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise StudyError(
            f"The storage {url} reports an error: {driver_message(error, url or '')}. Fix the "
            "problem, then run the same command again."
        ) from error
