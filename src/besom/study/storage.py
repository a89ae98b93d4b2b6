"""Opens Optuna storages: the journal in the study's folder, or any storage URL."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from besom import openings
from besom.errors import StudyError, did_you_mean
from besom.layout import ARCHIVE, RESERVED, StudyPaths, write_atomically
from besom.records import GIVEN, STUDY_ATTRIBUTE, Origin, StudyRecord, read_study
from besom.study.journal import StudyJournal


class SweepStudy(optuna.Study):
    """An Optuna study that besom's own loop drives.

    Samplers do not see given or finished trials without parameters: the base config may lie outside
    the space, and samplers that look for parameters common to all trials would then find none.

    Attributes:
        exhausted: a sampler that walks a finite space has said that it has seen all of it.
    """

    exhausted = False

    def stop(self) -> None:
        """Called by samplers; Optuna's own needs Optuna's own loop."""
        self.exhausted = True

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        trials = super()._get_trials(*args, **kwargs)
        return [
            t for t in trials if t.params or not (t.state.is_finished() or GIVEN in t.user_attrs)
        ]


class RunHere(SweepStudy):
    """The same study without knowledge from others, whose epochs no pruner can compare."""

    @property
    def best_trial(self) -> FrozenTrial:
        """The best complete one.

        Raises:
            ValueError: none is complete.
        """
        complete = self.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        sign = 1.0 if self.direction is StudyDirection.MAXIMIZE else -1.0
        return max(complete, key=lambda trial: sign * (trial.value or 0.0))

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        trials = super()._get_trials(*args, **kwargs)
        return [t for t in trials if t.user_attrs.get(GIVEN, {}).get("origin") != _ELSEWHERE]


_ELSEWHERE = str(Origin.WARM_START)


def open_storage(paths: StudyPaths, url: str | None, writable: bool) -> BaseStorage:
    """The storage of a study.

    Raises:
        StudyError: the journal is damaged or cannot be opened, or the URL is wrong.
    """
    if url is None:
        try:
            return _replayed(StudyJournal(paths.journal, writable=writable))
        except OSError as error:
            raise StudyError(f"{paths.journal} cannot be opened: {error.strerror}.") from error
    try:
        return optuna.storages.get_storage(url)
    except Exception as error:  # SQLAlchemy and its drivers raise what they like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudyError(
            f"sweep.storage={url} cannot be opened: {reason}. Give a URL that Optuna takes, such "
            "as sqlite:///study.db or postgresql+psycopg2://user@host/database, and install its "
            "driver."
        ) from error


def _replayed(journal: StudyJournal) -> JournalStorage:
    try:
        return JournalStorage(journal)
    except (OSError, StudyError):
        raise
    except Exception as error:  # Optuna takes records for what they should be
        raise journal.contradicted(error) from error


def flush(storage: BaseStorage) -> None:
    """Wait until a journal is on the disk; other storages see to that themselves.

    Raises:
        StudyError: the disk does not take it.
    """
    backend = getattr(storage, "_backend", None)
    if isinstance(backend, StudyJournal):
        backend.flush()


def stored_url(paths: StudyPaths) -> str | None:
    """The storage URL the study was made with; None means its journal."""
    return paths.storage_url.read_text().strip() if paths.storage_url.exists() else None


def settle_url(paths: StudyPaths, name: str, asked: str | None) -> str | None:
    """Where a study is that is to go on: asked for or not, a study has one place.

    Raises:
        StudyError: it is elsewhere than was asked for.
    """
    known = stored_url(paths)
    if asked == known or asked is None or not (known or paths.journal.exists()):
        return asked or known
    raise StudyError(
        f"The study {name!r} is in {known or paths.journal}, not in sweep.storage={asked}: there "
        "would be two of one name. Leave sweep.storage out to go on with it, sweep under another "
        "name with sweep.name=NAME, or start over with --fresh. If its storage has moved, write "
        f"the new URL into {paths.storage_url}."
    )


def remember_url(paths: StudyPaths, url: str | None) -> None:
    """Write down a storage URL, so that the reporting commands need not be told."""
    if url is not None:
        write_atomically(paths.storage_url, url + "\n")


def study_names(results_dir: Path) -> list[str]:
    """The names of all studies under a results folder."""
    if not results_dir.is_dir():
        return []
    return sorted(
        path.name
        for path in results_dir.iterdir()
        if path.name not in RESERVED
        and ((path / "study.journal").is_file() or (path / "storage.url").is_file())
    )


def load_optuna_study(results_dir: Path, name: str) -> optuna.Study:
    """Open a study for reading, as plain Optuna.

    Raises:
        StudyError: no such study (near names listed), or it is damaged.
    """
    paths = StudyPaths.of(results_dir, name)
    known = study_names(results_dir)
    if name not in known:
        where = f" under {results_dir}" + ("" if known else ", which has none")
        raise StudyError(
            f"There is no study {name!r}{where}."
            + did_you_mean(name, known)
            + " `besom sweep NAME` makes one; --results-dir or BESOM_RESULTS_DIR say where to look."
        )
    storage = open_storage(paths, stored_url(paths), writable=False)
    if _find(storage, name) is not None:
        return optuna.load_study(study_name=name, storage=storage)
    if (moved := only_other(storage, name)) is not None:
        return optuna.load_study(study_name=moved, storage=storage)
    raise StudyError(f"The storage of {name!r} holds no study of that name: it never started.")


def load_record(results_dir: Path, name: str) -> StudyRecord:
    """Read a study into records, under its folder's name; see ``load_optuna_study`` for errors."""
    return replace(read_study(load_optuna_study(results_dir, name)), name=name)


def only_other(storage: BaseStorage, name: str) -> str | None:
    """The name of the study that a renamed or archived folder's journal holds; None if none is."""
    if not isinstance(getattr(storage, "_backend", None), StudyJournal):
        return None  # a storage for many
    names = [summary.study_name for summary in storage.get_all_studies()]
    return names[0] if len(names) == 1 and names[0] != name else None


def open_study(
    storage: BaseStorage, name: str, directions: Sequence[Literal["minimize", "maximize"]]
) -> SweepStudy:
    """Create or load the study; one whose making was cut off is made anew.

    Raises:
        StudyError: the storage has a study of this name that is not besom's.
    """
    study_id = _find(storage, name)
    if study_id is not None and STUDY_ATTRIBUTE not in storage.get_study_user_attrs(study_id):
        trials = storage.get_all_trials(study_id, deepcopy=False)
        if not all(GIVEN in trial.user_attrs for trial in trials):
            raise StudyError(
                f"The storage has a study {name!r} that besom did not make. Sweep under another "
                "name with sweep.name=NAME, or into another sweep.storage."
            )
        optuna.delete_study(study_name=name, storage=storage)
        study_id = None
    if study_id is None:
        optuna.create_study(study_name=name, storage=storage, directions=directions)
    return SweepStudy(study_name=name, storage=storage)


def _find(storage: BaseStorage, name: str) -> int | None:
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return None


def archive(paths: StudyPaths, target: Path) -> None:
    """Move a study's folder to ``target``, a path from ``archived_as``.

    The log of openings is also left where it was: a study that begins anew under the same name
    has had its test images seen.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    paths.root.rename(target)
    if (target / openings.FILE).exists():
        paths.root.mkdir()
        shutil.copy2(target / openings.FILE, paths.root)


def archived_as(paths: StudyPaths) -> Path:
    """A free place for a study's folder: ``<results_dir>/archive/<name>-<time>``."""
    stamped = f"{paths.root.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    target, number = paths.root.parent / ARCHIVE / stamped, 1
    while target.exists():
        number += 1
        target = target.with_name(f"{stamped}-{number}")
    return target


def archive_in_storage(storage: BaseStorage, name: str, archived: str) -> None:
    """Give a study in a shared storage another name, by copying and deleting it."""
    if _find(storage, name) is None:
        return
    optuna.copy_study(
        from_study_name=name, from_storage=storage, to_storage=storage, to_study_name=archived
    )
    optuna.delete_study(study_name=name, storage=storage)
