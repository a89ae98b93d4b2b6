"""One coordinator per study in a database, on whatever machines: a lease that is renewed.

The lease is one of the study's own attributes: who holds it, and a count that goes up with each
renewal. It changes hands by ``UPDATE ... WHERE value_json = <what was seen>``, so of several who
want it one gets it. Clocks need not agree: who waits for a lease takes it over when it has seen
no renewal for ``LEASE_S`` seconds of its own clock. So the holder has that long after each renewal
in which the study is surely its own; later, it looks before it writes.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from besom.errors import StudyTaken
from besom.store.database import database_errors
from besom.store.holder import Command, Holder, held
from besom.store.optuna_private import study_attributes_table
from besom.store.outages import Database

#: The lease's name among the study's attributes.
LEASE = "besom_lease"
#: How often a holder renews, how soon it tries again, and how long its silence is waited out.
RENEW_S, RETRY_S, LEASE_S = 10.0, 2.0, 90.0
#: So long after a renewal the holder need not look: a rival waits longer.
SAFE_S = 60.0
#: How often a rival looks for a renewal, and says how long it will wait.
LOOK_S, SAY_S = 0.5, 30.0
#: The tokens of the leases that this process holds, or is about to.
_HELD: set[str] = set()
#: How long the end of a command may wait for a database that takes the lease back.
RELEASE_S = 5.0


def now() -> float:
    """Seconds, monotonic, also those in which the machine slept: elsewhere they have passed."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Written:
    """What is written in a lease.

    Attributes:
        holder: whose it is.
        token: of this lease; the same process may have another one later.
        count: how often it was renewed.
        stop: why the holder is asked to stop; empty if it is not.
    """

    holder: Holder
    token: str
    count: int = 0
    stop: str = ""

    @property
    def text(self) -> str:
        """As it is stored."""
        known = {"token": self.token, "count": self.count, "stop": self.stop}
        return json.dumps({"holder": self.holder.described(), **known})

    @classmethod
    def read(cls, text: str) -> Written | None:
        """From what is stored; None if that is no lease of besom's."""
        try:
            found = json.loads(text)
            holder = Holder.of(found["holder"])
            written = cls(holder, found["token"], found["count"], found["stop"]) if holder else None
        except (KeyError, TypeError, ValueError):
            return None
        return written

    @property
    def is_void(self) -> bool:
        """Whether its holder is known to be gone, or could not give it back."""
        given_up = self.holder.is_this_process and self.token not in _HELD
        return given_up or self.holder.is_alive is False


class LeaseRow:
    """The place of a study's lease in a database.

    Args:
        engine: connects to the database; without a pool, so that no connection is left over.
        study_id: by which the database knows the study.
    """

    def __init__(self, engine: sqlalchemy.Engine, study_id: int) -> None:
        self._engine, self._study = engine, study_id
        self._table = study_attributes_table()
        columns = self._table.c
        self._value = columns.value_json
        self._here = sqlalchemy.and_(columns.study_id == study_id, columns.key == LEASE)

    def read(self, connection: sqlalchemy.Connection | None = None) -> str | None:
        """What stands there; in a transaction of the caller's, so that it stays there till its end.

        Returns:
            None: nothing.
        """
        asked = sqlalchemy.select(self._value).where(self._here)
        if connection is not None:
            return connection.execute(asked.with_for_update()).scalar_one_or_none()
        with self._engine.connect() as own:
            return own.execute(asked).scalar_one_or_none()

    def insert(self, text: str) -> bool:
        """Write where nothing stands; False: something does."""
        known = {"study_id": self._study, "key": LEASE, "value_json": text}
        try:
            self._change(sqlalchemy.insert(self._table).values(**known))
        except IntegrityError:
            return False
        return True

    def swap(self, seen: str, text: str) -> bool:
        """Replace what was seen; False: something else stands there."""
        changed = sqlalchemy.update(self._table).where(self._here, self._value == seen)
        return self._change(changed.values(value_json=text)) == 1

    def remove(self, seen: str) -> None:
        """Remove what was seen, unless something else stands there."""
        self._change(sqlalchemy.delete(self._table).where(self._here, self._value == seen))

    def _change(self, statement: Any) -> int:
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount


def row_of(database: Database, study_id: int) -> LeaseRow | None:
    """Where a study's lease is; None for one that no other process can reach."""
    engine = database.own_engine()
    return None if engine is None else LeaseRow(engine, study_id)


class Lease:
    """A study held in a database, renewed by a thread of its own until it is released.

    Args:
        row: where it is written.
        what: the study, as a sentence begins.
        command: for which command.

    Attributes:
        asked_to_stop: why another process asks that this one stops; None if none does.
    """

    def __init__(self, row: LeaseRow, what: str, command: Command) -> None:
        self._row, self._what, self._command = row, what, command
        self._token = uuid.uuid4().hex
        self._mine = Written(Holder.this_process(command), self._token)
        self._renewed_at = 0.0
        self._taken = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew_on, name="lease", daemon=True)
        self.asked_to_stop: str | None = None

    def claim(self, say: Callable[[str], None]) -> bool:
        """Get hold of the study, waiting where another holder may be dead.

        Args:
            say: hears that and how long it waits.

        Returns:
            False: the study is gone.

        Raises:
            StudyError: it is another's, who renews.
            SQLAlchemyError: the database does not answer; the same may then be tried again.
        """
        _HELD.add(self._token)
        try:
            won = self._claim(say)
        except BaseException:
            _HELD.discard(self._token)
            raise
        if won:
            self._thread.start()
        return won

    def _claim(self, say: Callable[[str], None]) -> bool:
        mine = self._mine.text
        while True:
            at = now()
            seen = self._row.read()
            if seen == mine:  # written by an attempt whose answer was lost
                won = True
            elif seen is None:
                won = self._row.insert(mine)
                if not won and self._row.read() is None:
                    return False
            else:
                self._wait_for_the_end_of(seen, say)
                at = now()
                won = self._row.swap(seen, mine)
            if won:
                self._renewed_at = at
                return True

    def _wait_for_the_end_of(self, seen: str, say: Callable[[str], None]) -> None:
        """Wait until a lease has not been renewed for long enough, or is gone.

        Raises:
            StudyError: it was renewed.
        """
        written, since, said = Written.read(seen), now(), 0.0
        by = str(written.holder) if written else "in use by another process"
        while not (written and written.is_void):
            left = LEASE_S - (now() - since)
            if left <= 0:
                say(f"{self._what} gives no sign of life: taking it over")
                return
            if not said or now() - said >= SAY_S:
                said = now()
                say(
                    f"{self._what} is {by}. Waiting up to {left:.0f} s for a sign of that process: "
                    "without one, this one takes over"
                )
            time.sleep(min(LOOK_S, left))
            found = self._row.read()
            if found is None:
                return
            if found != seen:
                now_by = Written.read(found)
                raise held(self._what, now_by.holder if now_by else None, self._command)

    def check(self) -> None:
        """Notice a loss, as far as it is known without asking the database.

        Raises:
            StudyTaken: the study is another's by now.
        """
        if self._taken:
            raise StudyTaken(self._taken)

    def check_commit(self, connection: sqlalchemy.Connection) -> None:
        """Let a transaction be committed only as long as the study is held.

        It costs a look at the clock where the lease was renewed of late. Otherwise the transaction
        itself reads the lease, which nobody else can then change before the transaction's end.

        Raises:
            StudyTaken: the study is another's by now.
        """
        if now() - self._renewed_at > SAFE_S and not self._over.is_set():
            self._mine_in(self._row.read(connection))
        self.check()

    def stand_still(self) -> None:
        """Renew no more; the lease stays where it is."""
        self._over.set()
        self._thread.join(RELEASE_S)
        _HELD.discard(self._token)

    def release(self) -> None:
        """Give the study back; a database that is away is not waited for."""
        self.stand_still()
        remover = threading.Thread(target=self._remove, name="lease", daemon=True)
        remover.start()
        remover.join(RELEASE_S)

    def _remove(self) -> None:
        with contextlib.suppress(SQLAlchemyError):
            found = self._row.read()
            if found is not None and self._mine_in(found):
                self._row.remove(found)

    def _renew_on(self) -> None:
        pause = RENEW_S
        while not self._over.wait(pause) and not self._taken:
            try:
                pause = RENEW_S if self._renew() else RETRY_S
            except SQLAlchemyError:  # whoever uses the study hears of that, and says so
                pause = RETRY_S

    def _renew(self) -> bool:
        """Renew it, and take note of what others have written into it."""
        at, stands = now(), self._row.read()
        written = self._mine_in(stands)
        if stands is None or written is None:
            return False
        self.asked_to_stop = written.stop or None
        renewed = replace(written, count=written.count + 1)
        if won := self._row.swap(stands, renewed.text):
            self._renewed_at = at
        return won

    def _mine_in(self, found: str | None) -> Written | None:
        """What was found, if that is this lease; else the study is lost, which is noted."""
        written = None if found is None else Written.read(found)
        if written is not None and written.token == self._token:
            return written
        by = f"is {written.holder}" if written else "has been taken over by another process"
        self._taken = (
            f"{self._what} {by}. This process had not renewed its hold on the study for "
            f"{now() - self._renewed_at:.0f} s, so that another could take over. The workers were "
            "stopped, and nothing more was written. No finished trial is lost. Only one process at "
            "a time may hold a study: run the command again when the other has ended."
        )
        return None


# What commands do with a lease. An error of the database at ``url`` becomes a StudyError.


def take(lease: Lease, url: str | None, say: Callable[[str], None]) -> bool:
    """Claim a lease; a connection that was lost may have been the only one to be lost.

    Returns:
        False: the study is gone.

    Raises:
        StudyError: it is another's, or the database reports an error.
    """
    with database_errors(url):
        for pause_s in (0.0, RETRY_S):
            try:
                return lease.claim(say)
            except (OperationalError, InterfaceError):
                time.sleep(pause_s)
        return lease.claim(say)


def holder_in(row: LeaseRow, url: str) -> Holder | None:
    """Who holds a lease; None: nobody, as far as that is known here."""
    with database_errors(url):
        written = Written.read(row.read() or "")
    return None if written is None or written.is_void else written.holder


def ask_to_stop(row: LeaseRow, url: str, reason: str) -> Holder | None:
    """Ask the holder of a lease to stop; it sees that at its next renewal.

    Returns:
        Who was asked; None: nobody holds it.
    """
    with database_errors(url):
        while (seen := row.read()) is not None and (written := Written.read(seen)) is not None:
            if written.is_void:
                return None
            if row.swap(seen, replace(written, stop=reason).text):
                return written.holder
    return None
