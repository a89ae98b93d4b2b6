"""A database that may be away, as those see it who need not know how it is reached.

SQLAlchemy takes a quarter of a second to load. So only ``database``, ``patient_database`` and
``lease`` import it, and they are imported only for a study that is in a database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from besom.errors import StudyError
from besom.store.optuna_private import CachedBackend

if TYPE_CHECKING:
    import sqlalchemy


class DatabaseAway(StudyError):
    """A database that has not answered for as long as besom waits for one."""


class OutageHandler:
    """What happens while a database is away; here, nothing."""

    def wait(self, seconds: float) -> bool:
        """Spend some time; return False to stop waiting for the database."""
        time.sleep(seconds)
        return True

    def remark(self, text: str) -> None:
        """Called when the database is away, or back."""


class Database(CachedBackend):
    """The database behind a storage.

    Attributes:
        outage_handler: gets turns while the database is away.
    """

    def __init__(self) -> None:
        self.outage_handler = OutageHandler()

    def own_engine(self) -> sqlalchemy.Engine | None:
        """Connects to the same database for a moment each; None: no other process can."""
        raise NotImplementedError

    def check_commits(self, check: Callable[[sqlalchemy.Connection], None]) -> None:
        """Call ``check`` before each commit; what it raises undoes the transaction."""
        raise NotImplementedError

    def rename_study(self, name: str, new: str) -> None:
        """Give a study another name, in one step."""
        raise NotImplementedError
