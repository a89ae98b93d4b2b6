"""Holding a study, so that one process at a time runs it, wherever it is stored.

A study in its own folder is held by the folder's lock. One in a database is held by a lease, too:
other folders and other machines may lead to the same database. The lease's module loads SQLAlchemy,
so it is imported only then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage

from besom.errors import StudyError, StudyTaken
from besom.store.holder import Command, Holder
from besom.store.lock import CoordinatorLock, holder_of
from besom.store.optuna_private import backend_of
from besom.store.outages import Database
from besom.store.paths import StudyPaths
from besom.store.storage import SweepStudy, find, open_storage
from besom.store.stored_records import PRESET, STUDY_ATTRIBUTE

if TYPE_CHECKING:
    import sqlalchemy

    from besom.store.lease import Lease, LeaseRow

__all__ = ["Hold", "Holder", "StudyTaken", "ask_to_stop", "hold_study", "open_study", "who_holds"]

Directions = Sequence[Literal["minimize", "maximize"]]


class Hold:
    """A study that this process holds; ``hold_study`` makes it.

    Args:
        name: the study's.
        url: the database it is in, without a password; None: its folder.
        command: what holds it.
        say: hears of waiting for another holder that may be dead.
    """

    def __init__(
        self, name: str, url: str | None, command: Command, say: Callable[[str], None]
    ) -> None:
        self.name, self.url = name, url
        self._command, self._say = command, say
        self._lease: Lease | None = None

    def check(self) -> None:
        """Notice that the study was lost; this costs nothing.

        Raises:
            StudyTaken: another process has taken it over. Nothing more may be written.
        """
        if self._lease is not None:
            self._lease.check()

    @property
    def asked_to_stop(self) -> str | None:
        """Why another process asks this one to stop; None if none does."""
        return None if self._lease is None else self._lease.asked_to_stop

    def claim(self, storage: BaseStorage, study_id: int) -> bool:
        """Take the lease of the study, unless it is held already.

        Returns:
            False: the study is gone by now.

        Raises:
            StudyError: another process holds it, or the database does not answer.
        """
        if self._lease is not None or (row := _lease_row(storage, study_id)) is None:
            return True
        from besom.store import lease as leases

        lease = leases.Lease(row, f"The study {self.name!r} in {self.url}", self._command)
        if leases.take(lease, self.url, self._say):
            self._lease = lease
        return self._lease is not None

    def guard(self, storage: BaseStorage) -> None:
        """Let nothing be committed to a database once the study is lost."""
        if isinstance(backend := backend_of(storage), Database):
            backend.check_commits(self._check_commit)

    def _check_commit(self, connection: sqlalchemy.Connection) -> None:
        if self._lease is not None:
            self._lease.check_commit(connection)

    def stand_still(self) -> None:
        """Renew the lease no more, because the study is about to be deleted."""
        if self._lease is not None:
            self._lease.stand_still()
            self._lease = None

    def release(self) -> None:
        """Give the study back."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None


@contextlib.contextmanager
def hold_study(
    paths: StudyPaths,
    url: str | Callable[[], str | None] | None,
    name: str,
    command: Command,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Hold]:
    """Hold a study while the block runs; one that is yet to be made is held from then on.

    Args:
        paths: where its folder is.
        url: its database, without a password; None: its journal. A function is asked when the
            folder is locked.
        name: the study's.
        command: what holds it, for other processes' messages.
        say: hears of waiting for another holder that may be dead.

    Raises:
        StudyError: another process holds it: named are its command, host and process.
    """
    with CoordinatorLock(paths.lock, command):
        place = url() if callable(url) else url
        hold = Hold(name, place, command, say)
        try:
            if place is not None:
                _claim_existing(hold, open_storage(paths, place, writable=True))
            yield hold
        finally:
            hold.release()


def _claim_existing(hold: Hold, storage: BaseStorage) -> None:
    """Take the lease of a study that has begun, or that another process is creating."""
    study_id = find(storage, hold.name)
    if study_id is None:
        return
    from besom.store import lease as leases

    if not {leases.LEASE, STUDY_ATTRIBUTE}.isdisjoint(storage.get_study_user_attrs(study_id)):
        hold.claim(storage, study_id)


def open_study(storage: BaseStorage, hold: Hold, directions: Directions) -> SweepStudy:
    """Create or load the study, and hold it; one that was not created completely is created again.

    Raises:
        StudyError: the storage has a study of this name that is not besom's, or another process
            holds it.
    """
    name = hold.name
    hold.guard(storage)
    while True:
        study_id, is_new = find(storage, name), False
        if study_id is None:
            try:
                optuna.create_study(study_name=name, storage=storage, directions=directions)
                is_new = True
            except DuplicatedStudyError:
                continue  # by another process, just now
            study_id = storage.get_study_id_from_name(name)
        if STUDY_ATTRIBUTE not in storage.get_study_user_attrs(study_id):
            trials = storage.get_all_trials(study_id, deepcopy=False)
            if not all(PRESET in trial.user_attrs for trial in trials):
                raise StudyError(
                    f"The storage has a study {name!r} that besom did not make. Sweep under "
                    "another name with sweep.name=NAME, or into another sweep.storage."
                )
        if not hold.claim(storage, study_id):
            continue
        if is_new or STUDY_ATTRIBUTE in storage.get_study_user_attrs(study_id):
            return SweepStudy(study_name=name, storage=storage)
        hold.stand_still()
        optuna.delete_study(study_name=name, storage=storage)


def who_holds(paths: StudyPaths, url: str | None, name: str) -> Holder | None:
    """Which process holds a study; None: none, as far as that is known here.

    A holder on another machine may have died without giving the study back.
    """
    if (holder := holder_of(paths.lock)) is not None or url is None:
        return holder
    if (row := _stored_row(paths, url, name)) is None:
        return None
    from besom.store import lease as leases

    return leases.holder_in(row, url)


def ask_to_stop(paths: StudyPaths, url: str, name: str, reason: str) -> Holder | None:
    """Ask who holds a study in a database to stop; it sees that at its next renewal.

    Returns:
        Who was asked; None: nobody holds it.
    """
    if (row := _stored_row(paths, url, name)) is None:
        return None
    from besom.store import lease as leases

    return leases.ask_to_stop(row, url, reason)


def _stored_row(paths: StudyPaths, url: str, name: str) -> LeaseRow | None:
    storage = open_storage(paths, url, writable=False)
    study_id = find(storage, name)
    return None if study_id is None else _lease_row(storage, study_id)


def _lease_row(storage: BaseStorage, study_id: int) -> LeaseRow | None:
    """Where a study's lease is; None for one that no other process can reach but by its folder."""
    if not isinstance(backend := backend_of(storage), Database):
        return None
    from besom.store import lease as leases

    return leases.row_of(backend, study_id)
