"""Where a study is imported from: only read.

It is a study of Optuna's in a database, an SQLite file or a journal, or the folder of another
tuner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from besom.errors import ConfigError, StudyError, did_you_mean
from besom.regular import special_kind
from besom.store.database import driver_message
from besom.store.storage_url import from_environment, with_password, without_password
from besom.store.stored_records import STUDY_ATTRIBUTE
from besom.store.tuners.found import as_optunas
from besom.store.tuners.keras_tuner import is_project, read_project
from besom.store.tuners.ray_tune import is_experiment, read_experiment
from besom.text.counting import listed

#: How an SQLite file begins.
_SQLITE = b"SQLite format 3\0"

#: No connection is left over, also where opening fails midway.
_NO_POOL = {"poolclass": sqlalchemy.NullPool}

_SOURCES = (
    "Give a storage URL that Optuna accepts, such as sqlite:///study.db, the path of an SQLite or "
    "journal file, or a folder that Ray Tune or KerasTuner wrote."
)


@contextmanager
def study_from(
    source: str, name: str | None, metrics: Sequence[str], directions: Sequence[str]
) -> Iterator[tuple[optuna.Study, str, list[str]]]:
    """A study, open for reading, what its source is called for people, and its metrics.

    Args:
        source: a storage URL, a file or a folder.
        name: the study's, or the folder's in ``source``; None: the only one.
        metrics, directions: as given; of a study of Optuna's, its own directions count.

    Raises:
        ConfigError: a metric or a direction that it does not have.
        StudyError: it cannot be read, or there is no such study (near names listed).
    """
    path = Path(source).expanduser()
    if "://" not in source and path.is_dir():
        yield _from_folder(path, name, metrics, directions)
        return
    if directions:
        raise ConfigError("--direction is for folders: a study of Optuna's says it itself.")
    with _optuna_study(source, name) as (study, shown):
        yield study, shown, list(metrics) or study.metric_names or []


def _from_folder(
    folder: Path, name: str | None, metrics: Sequence[str], directions: Sequence[str]
) -> tuple[optuna.Study, str, list[str]]:
    """The search that a folder is, or that is in one of its folders."""
    try:
        within = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
        found = {p.resolve().name: p for p in within if is_experiment(p) or is_project(p)}
    except OSError as error:
        raise StudyError(f"{folder} cannot be read: {error.strerror}.") from error
    if folder.resolve().name in found:
        found = {folder.resolve().name: folder}
    if not found:
        raise StudyError(f"{folder} is a folder, but not of Ray Tune or KerasTuner. {_SOURCES}")
    chosen = found[_one_of(str(folder), name, list(found))]
    try:
        read = read_experiment if is_experiment(chosen) else read_project
        study, metrics = as_optunas(read(chosen), chosen, metrics, directions)
    except OSError as error:
        raise StudyError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StudyError(
            f"{chosen} is not as Ray Tune and KerasTuner write it ({error!r:.200}). besom reads "
            "what Ray 2.60 and KerasTuner 1.4 write."
        ) from error
    return study, str(chosen), metrics


def _one_of(shown: str, name: str | None, names: list[str]) -> str:
    """The name that was given, or the only one.

    Raises:
        StudyError: there is no such name, or none was given, and there are several.
    """
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise StudyError(f"{shown} holds {listed(names)}: choose one with --study.")
    if name not in names:
        raise StudyError(f"{shown} holds no study {name!r}.{did_you_mean(name, names)}")
    return name


@contextmanager
def _optuna_study(source: str, name: str | None) -> Iterator[tuple[optuna.Study, str]]:
    shown, storage = _open(source)
    try:
        names = sorted(summary.study_name for summary in storage.get_all_studies())
        if not names:
            raise StudyError(f"{shown} holds no study of Optuna's. {_SOURCES}")
        name = _one_of(shown, name, names)
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
        if not path.is_file():
            what = special_kind(path)
            problem = f"{path} is {what}" if what else f"There is no file {path}"
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
        elif "storage upgrade" in reason:
            raise StudyError(
                f"{shown} was written by an older Optuna. Upgrade a copy of it, because the older "
                "one cannot read it afterwards: optuna storage upgrade --storage URL"
            ) from None
        raise StudyError(f"{shown} cannot be read as Optuna's: {reason}. {_SOURCES}") from None


def _journal(path: Path) -> JournalStorage:
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # Optuna takes records for what they should be
        raise StudyError(f"{path} is no journal of Optuna's ({error!r:.200}). {_SOURCES}") from None
