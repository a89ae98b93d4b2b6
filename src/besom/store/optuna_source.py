"""Where a study of Optuna's is taken from: a database, an SQLite file or a journal; only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from besom.errors import StudyError, did_you_mean
from besom.regular import special_kind
from besom.store.database import driver_message
from besom.store.storage_url import from_environment, with_password, without_password
from besom.store.stored_records import STUDY_ATTRIBUTE
from besom.text.counting import listed

#: How an SQLite file begins.
_SQLITE = b"SQLite format 3\0"

#: No connection is left over, also where opening fails midway.
_NO_POOL = {"poolclass": sqlalchemy.NullPool}

_SOURCES = (
    "Give a storage URL that Optuna accepts, such as sqlite:///study.db, or the path of an SQLite "
    "or journal file."
)


@contextmanager
def optuna_study(source: str, name: str | None) -> Iterator[tuple[optuna.Study, str]]:
    """A study of Optuna's, open for reading, and what its storage is called for people.

    Raises:
        StudyError: it cannot be read, or there is no such study (near names listed).
    """
    shown, storage = _open(source)
    try:
        names = sorted(summary.study_name for summary in storage.get_all_studies())
        if name is None and len(names) == 1:
            name = names[0]
        if not names:
            raise StudyError(f"{shown} holds no study of Optuna's. {_SOURCES}")
        if name is None:
            raise StudyError(f"{shown} holds {listed(names)}: choose one with --study.")
        if name not in names:
            raise StudyError(f"{shown} holds no study {name!r}.{did_you_mean(name, names)}")
        study = optuna.load_study(study_name=name, storage=storage)
        if STUDY_ATTRIBUTE in study.user_attrs:
            raise StudyError(
                f"The study {name!r} in {shown} was made by besom. Copy its folder instead. Where "
                "it is in a database, a folder of its name with the URL in a file storage.url will "
                "do."
            )
        yield study, shown
    finally:
        if isinstance(storage, RDBStorage):
            storage.remove_session()


def _open(source: str) -> tuple[str, BaseStorage]:
    """What a source is called for people, and its storage; nothing is created."""
    if "://" not in source:
        path = Path(source).expanduser()
        what = special_kind(path) or ("" if path.is_file() else "a folder")
        if not path.exists() or what:
            problem = f"{path} is {what}" if path.exists() else f"There is no file {path}"
            raise StudyError(f"{problem}. {_SOURCES}")
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
        if not is_database:
            return str(path), _journal(path)
        return _database(f"sqlite:///{path.absolute()}", str(path))
    return _database(source, without_password(source))


def _database(source: str, shown: str) -> tuple[str, BaseStorage]:
    url = with_password(source, from_environment())
    try:
        place = sqlalchemy.make_url(url)
        if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
            raise StudyError(f"There is no file {place.database}. {_SOURCES}")
        return shown, RDBStorage(url, skip_table_creation=True, engine_kwargs=_NO_POOL)
    except StudyError:
        raise
    except Exception as error:  # SQLAlchemy and its drivers raise all sorts of exceptions
        reason = driver_message(error, url)
        if "version_info" in reason:
            reason = "it has none of Optuna's tables"
        raise StudyError(f"{shown} cannot be read as Optuna's: {reason}. {_SOURCES}") from None


def _journal(path: Path) -> JournalStorage:
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # Optuna takes records for what they should be
        raise StudyError(f"{path} is no journal of Optuna's ({error!r:.200}). {_SOURCES}") from None
