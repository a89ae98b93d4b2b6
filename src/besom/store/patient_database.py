"""A database that may be unreachable for a while: every operation is retried until it succeeds.

Operations run in a thread of their own, so that the coordinator can still listen to its workers
while the database hangs. After a lost connection it is unknown whether a write arrived. Reads and
most writes may be done twice; for the others we look first. That works because a study has one
coordinator: whatever has appeared in the meantime is its own.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import sqlalchemy
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from besom.errors import StudyError
from besom.store.database import Lost, driver_message, is_in_memory, opened
from besom.store.optuna_private import DatabaseStorage, cached, id_of, studies_table
from besom.store.outages import Database, DatabaseAway
from besom.store.storage_url import VARIABLE, without_password

T = TypeVar("T")

#: An operation may take this long before the database counts as away, and the user is told so.
SLOW_S = 2.0
#: How often the outage handler gets a turn.
TICK_S = 0.2
#: The longest pause between two attempts; the first is made at once, and each pause is twice the
#: one before.
RETRY_S = 2.0

_URLS = (
    "Give a URL that Optuna accepts, such as sqlite:///study.db or "
    "postgresql+psycopg2://user@host/database, and install its driver."
)
_PASSWORDS = f"~/.pgpass, PGPASSWORD and {VARIABLE}"


def open_database(shown: str, secret: str, patience_s: float) -> BaseStorage:
    """The storage at a URL.

    Args:
        shown: the URL for messages, without its password.
        secret: the URL, with its password.
        patience_s: how long the database may be away once it has been reached; 0: not at all.

    Raises:
        StudyError: it cannot be opened, or the URL is wrong.
    """
    try:
        if "@" in (sqlalchemy.make_url(secret).host or ""):
            raise ValueError("an @ in its password")
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # Not what SQLAlchemy says: it shows the wrong piece of the URL, which may be the password.
        raise StudyError(
            f"sweep.storage={shown} is not a URL that SQLAlchemy can read. In its user and "
            f"password, write @ as %40, : as %3A and / as %2F. {_URLS}"
        ) from None
    try:
        database = PatientDatabase(secret, patience_s)
    except Exception as error:  # SQLAlchemy and its drivers raise all sorts of exceptions
        reason = driver_message(error, secret)
        hint = f" Besom looks for a password in {_PASSWORDS}." if "password" in reason else ""
        raise StudyError(
            f"sweep.storage={shown} cannot be opened: {reason}.{hint} {_URLS}"
        ) from None
    return cached(database)


class PatientDatabase(Database):
    """Optuna's ``RDBStorage``, which waits while the database is away.

    Args:
        url: where it is, password included.
        patience_s: how long it may be away once it has been reached; 0: not at all.

    Raises:
        Exception: it cannot be opened; SQLAlchemy and its drivers raise all sorts of exceptions.
    """

    def __init__(self, url: str, patience_s: float = 0.0) -> None:
        super().__init__()
        self._url, self._patience_s = url, patience_s
        self._away_since: float | None = None
        self._pause_s, self._reported = 0.0, False
        self._newest: dict[int, int] = {}  # the highest id of a trial that is known of each study
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._calls,), name="database", daemon=True).start()
        try:
            self._database: DatabaseStorage = self._attempt(lambda: opened(url))
        except BaseException:
            self._calls.put(None)
            raise
        weakref.finalize(self, _close, self._calls, self._database)

    def __getattr__(self, name: str) -> Any:
        """Every operation that may be done twice; the others are defined below."""
        if name == "_database":
            raise AttributeError(name)
        operation = getattr(self._database, name)
        if not callable(operation):
            return operation
        return lambda *args, **kwargs: self._patiently(lambda: operation(*args, **kwargs))

    def own_engine(self) -> sqlalchemy.Engine | None:
        """See ``Database``."""
        place = sqlalchemy.make_url(self._url)
        if place.get_backend_name() == "sqlite" and is_in_memory(place):
            return None
        return sqlalchemy.create_engine(place, poolclass=sqlalchemy.NullPool)

    def check_commits(self, check: Callable[[sqlalchemy.Connection], None]) -> None:
        """See ``Database``."""
        sqlalchemy.event.listen(self._database.engine, "commit", check)

    def rename_study(self, name: str, new: str) -> None:
        """Give a study another name, in one step; after a lost connection, it may have it."""
        studies = studies_table()
        named = sqlalchemy.update(studies).where(studies.c.study_name == name)

        def rename() -> None:
            with self._database.engine.begin() as connection:
                connection.execute(named.values(study_name=new))

        self._patiently(rename)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study; after a lost connection, one of this name is ours."""

        def create() -> int:
            return self._database.create_new_study(directions, study_name)

        def again() -> int:
            try:
                return create()
            except DuplicatedStudyError:
                return self._database.get_study_id_from_name(cast(str, study_name))

        return self._patiently(create, again)

    def delete_study(self, study_id: int) -> None:
        """Delete a study; after a lost connection, a missing one has been deleted."""

        def again() -> None:
            with contextlib.suppress(KeyError):
                self._database.delete_study(study_id)

        self._patiently(lambda: self._database.delete_study(study_id), again)

    def create_trial(self, study_id: int, template: FrozenTrial | None) -> FrozenTrial:
        """Create a trial; after a lost connection, one that was unknown before is ours."""
        if study_id not in self._newest:
            self.read_trials(study_id, set(), -1)
        newest = self._newest[study_id]
        state = TrialState.RUNNING if template is None else template.state

        def create() -> FrozenTrial:
            return self._database.create_trial(study_id, template)

        def again() -> FrozenTrial:
            unknown = self._database.read_trials(study_id, set(), newest)
            ours = [trial for trial in unknown if trial.state is state]
            return min(ours, key=lambda trial: trial.number) if ours else create()

        trial = self._patiently(create, again)
        self._newest[study_id] = max(newest, id_of(trial))
        return trial

    def read_trials(self, study_id: int, ids: set[int], above: int) -> list[FrozenTrial]:
        """Read trials, and remember the newest."""
        trials = self._patiently(lambda: self._database.read_trials(study_id, ids, above))
        newest = max(map(id_of, trials), default=-1)
        self._newest[study_id] = max(self._newest.get(study_id, -1), newest)
        return trials

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Start or end a trial; after a lost connection, it may already be as it should."""

        def change() -> bool:
            return self._database.set_trial_state_values(trial_id, state, values)

        def again() -> bool:
            stored = self._database.get_trial(trial_id)
            asked = None if values is None else list(values)
            return (stored.state, stored.values) == (state, asked) or change()

        return self._patiently(change, again)

    def _patiently(self, operation: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Repeat an operation until it succeeds.

        Args:
            operation: the first attempt.
            again: all further ones; they must not do twice what the first has done.

        Raises:
            DatabaseAway: it has been away for too long.
            StudyError: the database answers with an error.
        """
        attempt = operation
        while True:
            try:
                result = self._attempt(attempt)
            except Lost as error:
                self._pause(str(error))
                attempt = again or operation
            except (StorageInternalError, SQLAlchemyError) as error:
                raise StudyError(
                    f"The storage {without_password(self._url)} reports an error: "
                    f"{driver_message(error, self._url)}. The trials stored there are not lost. "
                    "Fix the problem, then run the same command again."
                ) from error
            else:
                self._answered()
                return result

    def _attempt(self, operation: Callable[[], T]) -> T:
        """Do an operation once, in the database's thread, where it may hang."""
        done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def call() -> None:
            try:
                done.put((operation(), None))
            except BaseException as error:  # raised again where it is waited for
                done.put((None, error))

        self._calls.put(call)
        since = time.monotonic()
        while True:
            try:
                result, error = done.get(timeout=TICK_S)
            except queue.Empty:
                slow = time.monotonic() - since > SLOW_S
                if self._patience_s and (slow or self._away_since is not None):
                    self._away_since = self._away_since or since
                    self._wait("it hangs", 0.0)
                continue
            if error is None:
                return cast(T, result)
            try:
                raise error
            finally:
                del error  # with its traceback it would keep all this alive

    def _pause(self, reason: str) -> None:
        """After a lost connection: retry at once the first time, then after a pause."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        until = now + self._pause_s
        if not self._patience_s or self._pause_s:
            self._wait(reason, TICK_S)
        while time.monotonic() < until:
            self._wait(reason, TICK_S)
        self._pause_s = min(RETRY_S, 2 * self._pause_s or TICK_S)

    def _wait(self, reason: str, seconds: float) -> None:
        """Give the outage handler a turn, unless the database has been away for too long."""
        away = time.monotonic() - (self._away_since or time.monotonic())
        if away >= self._patience_s:
            what = f"has not answered for {away:.0f} s" if away >= 1 else "does not answer"
            raise self._gave_up(what, reason)
        if away >= SLOW_S and not self._reported:
            self._reported = True
            self.outage_handler.remark(
                f"the storage does not answer ({reason}): retrying for up to "
                f"{self._patience_s:g} s (sweep.storage_patience_s); running trials continue"
            )
        if not self.outage_handler.wait(seconds):
            raise self._gave_up("does not answer", reason)

    def _gave_up(self, what: str, reason: str) -> DatabaseAway:
        return DatabaseAway(
            f"The storage {without_password(self._url)} {what} ({reason}). "
            "The trials stored there are not lost. Run the same command again when it answers: "
            "trials whose results could not be stored run again."
        )

    def _answered(self) -> None:
        if self._away_since is not None and self._reported:
            away = time.monotonic() - self._away_since
            self.outage_handler.remark(f"the storage answers again after {away:.0f} s")
        self._away_since, self._pause_s, self._reported = None, 0.0, False


def _work(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    """The database's thread. It keeps no reference to a call that is done."""
    while (call := calls.get()) is not None:
        call()
        del call


def _close(calls: queue.SimpleQueue[Callable[[], None] | None], database: DatabaseStorage) -> None:
    calls.put(None)
    database.engine.dispose()
