"""Who holds a study: a command in a process on a machine, and whether that process lives."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from besom.errors import StudyError

#: What holds a study while it runs.
Command = Literal["sweep", "confirm", "replay", "rename", "delete", "import"]

_DOING: dict[str, str] = {
    "sweep": "being swept",
    "confirm": "being confirmed",
    "replay": "being replayed",
    "rename": "being renamed",
    "delete": "being deleted",
    "import": "being imported",
}
_WAIT = "Wait for it, or stop it."
_INSTEAD = {"sweep": "Wait for it, stop it, or sweep under another name with sweep.name=NAME."}

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Holder:
    """A process that holds a study, as it describes itself in a lock file or in a database.

    Attributes:
        command: what it does with the study, such as ``sweep``.
        host: the name of its machine, for people.
        pid: its number there.
        since: seconds of the epoch, by its clock.
        boot, namespace: the boot of its machine and the process namespace that ``pid`` counts in;
            empty where the system does not say (not Linux).
        started: when the process began, in the kernel's ticks since the boot; numbers are used
            again.
    """

    command: str
    host: str
    pid: int
    since: float
    boot: str = ""
    namespace: str = ""
    started: int | None = None

    @classmethod
    def this_process(cls, command: Command) -> Holder:
        """This process, from now on."""
        pid = os.getpid()
        boot, namespace = _machine()
        now = time.time()
        return cls(command, socket.gethostname(), pid, now, boot, namespace, _started(pid))

    @classmethod
    def of(cls, described: Any) -> Holder | None:
        """A holder as ``described`` gives it; None if that is no description of one."""
        try:
            known = {f.name: described[f.name] for f in fields(cls) if f.name in described}
            holder = cls(**known)
            time.localtime(holder.since)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return None
        return holder if isinstance(holder.pid, int) else None

    @classmethod
    def read(cls, text: str | bytes) -> Holder | None:
        """The same from JSON."""
        try:
            return cls.of(json.loads(text))
        except ValueError:
            return None

    def described(self) -> dict[str, Any]:
        """What ``of`` reads."""
        return asdict(self)

    @property
    def is_here(self) -> bool:
        """Whether ``pid`` is a process that this one can see: same boot, same namespace."""
        return bool(self.boot) and (self.boot, self.namespace) == _machine()

    @property
    def is_this_process(self) -> bool:
        """Whether it is the process that asks."""
        return self.is_here and (self.pid, self.started) == (os.getpid(), _started(os.getpid()))

    @property
    def is_alive(self) -> bool | None:
        """Whether its process lives; None where that cannot be known from here."""
        return _started(self.pid) == self.started if self.is_here else None

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        doing = _DOING.get(self.command, "in use")
        return f"{doing} by process {self.pid} on {self.host} since {since}"


def held(what: str, holder: Holder | None, command: Command) -> StudyError:
    """The refusal of a command for a study that another process holds.

    Args:
        what: the study, as the sentence begins.
        holder: who holds it; None: not known.
        command: the one that is refused.
    """
    by = str(holder) if holder else "in use by another process"
    return StudyError(f"{what} is {by}. {_INSTEAD.get(command, _WAIT)}")


def _machine() -> tuple[str, str]:
    """This boot of this machine, and this process namespace; empty where there is no such thing."""
    try:
        return _BOOT_ID.read_text().strip(), str(_NAMESPACE.readlink())
    except OSError:
        return "", ""


def _started(pid: int) -> int | None:
    """When a process began; None if it is gone, or only waits to be collected by its parent."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(rest[18])
