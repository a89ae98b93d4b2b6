"""Opens Optuna storages: the journal in the study's folder, or any storage URL."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from besom.errors import StudyError, did_you_mean
from besom.regular import special_kind
from besom.store import test_set_log
from besom.store.journal import StudyJournal
from besom.store.optuna_private import FilteredStudy, backend_of
from besom.store.outages import Database, OutageHandler
from besom.store.paths import ARCHIVE, StudyPaths, study_names, write_atomically
from besom.store.records import Origin, StudyRecord
from besom.store.storage_url import (
    from_environment,
    has_password,
    with_password,
    without_password,
)
from besom.store.stored_records import PRESET, origin_of, read_study, waits_ahead


class SweepStudy(FilteredStudy):
    """An Optuna study that besom's own loop drives.

    Samplers and pruners do not see preset or finished trials without parameters: the base config
    may lie outside the space, and samplers that look for parameters common to all trials would then
    find none. Nor do they see what is asked ahead: samplers get a study of their own, which shows
    that (``besom.study.sampler_study``).

    Attributes:
        exhausted: a sampler of a finite space has proposed every point of it.
    """

    exhausted = False

    def stop(self) -> None:
        """Called by samplers; Optuna's own needs Optuna's own loop."""
        self.exhausted = True

    def visible(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the trials that samplers and pruners see."""
        return [t for t in trials if self.has_parameters(t) and not waits_ahead(t)]

    @staticmethod
    def has_parameters(trial: FrozenTrial) -> bool:
        """Whether a trial has parameters, or will have some."""
        return bool(trial.params) or not (trial.state.is_finished() or PRESET in trial.user_attrs)


class OwnTrialsStudy(SweepStudy):
    """The same study without trials from other studies, whose epochs no pruner can compare."""

    @property
    def best_trial(self) -> FrozenTrial:
        """The best complete one.

        Raises:
            ValueError: none is complete.
        """
        complete = self.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        sign = 1.0 if self.direction is StudyDirection.MAXIMIZE else -1.0
        return max(complete, key=lambda trial: sign * (trial.value or 0.0))

    def visible(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the trials that were trained for this study."""
        seen = super().visible(trials)
        return [t for t in seen if origin_of(t) is not Origin.WARM_START]


def open_storage(
    paths: StudyPaths, url: str | None, writable: bool, patience_s: float = 0.0
) -> BaseStorage:
    """The storage of a study.

    Args:
        paths: where the study lives.
        url: the storage, without its password; None: the journal.
        writable: whether the journal is opened for writing.
        patience_s: how long a database that has been opened may be away; 0: not at all.

    Raises:
        StudyError: the journal is damaged or cannot be opened, or the URL is wrong.
    """
    if url is None:
        try:
            return _replayed(StudyJournal(paths.journal, writable=writable))
        except OSError as error:
            raise StudyError(f"{paths.journal} cannot be opened: {error.strerror}.") from error
    secret = with_password(url, from_environment(), _as_written(paths))
    from besom.store.patient_database import open_database  # loads SQLAlchemy

    return open_database(without_password(url), secret, patience_s)


def handle_outages(storage: BaseStorage, handler: OutageHandler) -> None:
    """Call the handler while a database is away; a journal never is."""
    if isinstance(backend := backend_of(storage), Database):
        backend.outage_handler = handler


def _replayed(journal: StudyJournal) -> JournalStorage:
    try:
        return JournalStorage(journal)
    except (OSError, StudyError):
        raise
    except Exception as error:  # Optuna takes records for what they should be
        raise journal.rejected_by_optuna(error) from error


def flush(storage: BaseStorage) -> None:
    """Wait until a journal is on the disk; other storages do that themselves.

    Raises:
        StudyError: the disk does not take it.
    """
    if isinstance(backend := backend_of(storage), StudyJournal):
        backend.flush()


def check_files(paths: StudyPaths) -> None:
    """Refuse a study's folder in which something other than a file stands in a file's place.

    Raises:
        StudyError: names it, and what it is.
    """
    root = paths.root
    if os.path.lexists(root) and not root.is_dir():
        raise StudyError(
            f"{root} is {special_kind(root) or 'a file'}, expected the folder of a study. Move it "
            "elsewhere, or choose another name or results_dir."
        )
    opened = (paths.journal, paths.storage_url, paths.lock, paths.leaderboard_csv)
    for path in (*opened, root / test_set_log.FILE, root / "confirm" / "runs.jsonl"):
        if kind := special_kind(path):
            raise StudyError(
                f"{path} is {kind}, expected a file that besom wrote. Move it elsewhere, or choose "
                "another name or results_dir."
            )


def stored_url(paths: StudyPaths) -> str | None:
    """The storage URL the study was made with; None means its journal."""
    written = _as_written(paths)
    return without_password(written) if written else None


def _as_written(paths: StudyPaths) -> str | None:
    """The same, with a password if a user has written one there."""
    return paths.storage_url.read_text().strip() if paths.storage_url.exists() else None


def settle_url(paths: StudyPaths, name: str, asked: str | None) -> str | None:
    """The storage of a study that is to continue: asked for or not, a study has one.

    A new study for which no storage is asked goes into ``BESOM_STORAGE``, where that is set.

    Raises:
        StudyError: it is elsewhere than was asked for.
    """
    known = stored_url(paths)
    exists = known or paths.journal.exists()
    if asked == known or asked is None or not exists:
        everywhere = from_environment()
        new = without_password(everywhere) if everywhere and not exists else None
        return asked or known or new
    raise StudyError(
        f"The study {name!r} is in {known or paths.journal}, not in sweep.storage={asked}: there "
        "would be two studies of one name. Omit sweep.storage to continue it, sweep under another "
        "name with sweep.name=NAME, or start over with --fresh. If its storage has moved, write "
        f"the new URL into {paths.storage_url}."
    )


def remember_url(paths: StudyPaths, url: str | None) -> None:
    """Store a storage URL, so that the reporting commands need not be given it."""
    if url is not None:
        write_atomically(paths.storage_url, without_password(url) + "\n")


def holds_password(paths: StudyPaths) -> bool:
    """Whether the file with the study's storage URL holds a password, written there by hand."""
    return has_password(_as_written(paths) or "")


def find_study(results_dir: Path, name: str) -> StudyPaths:
    """Where a study lives that is there.

    Raises:
        StudyError: no such study (near names listed), or something else stands in its place.
    """
    paths = StudyPaths.of(results_dir, name)
    known = study_names(results_dir)
    if name not in known:
        where = f" under {results_dir}" + ("" if known else ", which holds no studies")
        raise StudyError(
            f"There is no study {name!r}{where}."
            + did_you_mean(name, known)
            + " Make one with `besom sweep NAME`, or name another folder with --results-dir or "
            "BESOM_RESULTS_DIR."
        )
    check_files(paths)
    return paths


def load_optuna_study(results_dir: Path, name: str) -> optuna.Study:
    """Open a study for reading, as plain Optuna.

    Raises:
        StudyError: no such study (near names listed), or it is damaged.
    """
    paths = find_study(results_dir, name)
    url = stored_url(paths)
    _check_database_is_there(paths, url)
    storage = open_storage(paths, url, writable=False)
    if find(storage, name) is not None:
        return optuna.load_study(study_name=name, storage=storage)
    if (moved := only_other(storage, name)) is not None:
        return optuna.load_study(study_name=moved, storage=storage)
    raise StudyError(f"The storage of {name!r} holds no study of that name: it never started.")


def _check_database_is_there(paths: StudyPaths, url: str | None) -> None:
    """Refuse to read from an SQLite file that is not there, which opening would make, empty."""
    if url is None:
        return
    from besom.store.database import missing_file  # loads SQLAlchemy

    if file := missing_file(url):
        raise StudyError(
            f"The database {file} of the study {paths.root.name!r} is not there. If it has moved, "
            f"write its new URL into {paths.storage_url}."
        )


def load_record(results_dir: Path, name: str) -> StudyRecord:
    """Read a study into records, under its folder's name; see ``load_optuna_study`` for errors."""
    study = load_optuna_study(results_dir, name)
    return replace(read_study(study, results_dir / name), name=name)


def only_other(storage: BaseStorage, name: str) -> str | None:
    """The name of the study that a renamed or archived folder's journal holds; None if none is."""
    if not isinstance(getattr(storage, "_backend", None), StudyJournal):
        return None  # a storage for many
    names = [summary.study_name for summary in storage.get_all_studies()]
    return names[0] if len(names) == 1 and names[0] != name else None


def find(storage: BaseStorage, name: str) -> int | None:
    """The number by which a storage knows the study of this name; None if it has none."""
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return None


def archive(paths: StudyPaths, target: Path) -> None:
    """Move a study's folder to ``target``, a path from ``archived_as``.

    The test-set log is also left where it was: a study that starts again under the same name
    has had its test set used.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    paths.root.rename(target)
    if (target / test_set_log.FILE).exists():
        paths.root.mkdir()
        shutil.copy2(target / test_set_log.FILE, paths.root)


def archived_as(paths: StudyPaths) -> Path:
    """A free place for a study's folder: ``<results_dir>/archive/<name>-<time>``."""
    stamped = f"{paths.root.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    target, number = paths.root.parent / ARCHIVE / stamped, 1
    while target.exists():
        number += 1
        target = target.with_name(f"{stamped}-{number}")
    return target


def rename_in_storage(storage: BaseStorage, name: str, new: str) -> None:
    """Give a study in a database another name, in one step, where the database has it."""
    if isinstance(backend := backend_of(storage), Database):
        backend.rename_study(name, new)
