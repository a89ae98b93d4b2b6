"""What the coordinator and its Ray driver say to each other.

The coordinator sends ``Connect`` once, then ``Open``, ``Say`` and ``Kill``, and ``Quit`` at the
end. The driver sends ``Connected`` or ``Unconnected`` once, then ``Capacity`` whenever that
changes and every few seconds, and of each worker ``Placed``, ``Said`` and at last ``Gone``. A
worker is called by its key: a number that no other worker of the sweep has, not even the one that
it replaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from besom.executors.channel import FromWorker, Setup, ToWorker
from besom.executors.failures import Death


@dataclass(frozen=True)
class Need:
    """What one worker takes of a node.

    Attributes:
        num_cpus, num_gpus: of Ray's resources of these names; fractions are shares.
        resources: of the cluster's own resources.
    """

    num_cpus: float
    num_gpus: float
    resources: Mapping[str, float] = field(default_factory=dict)

    @property
    def amounts(self) -> dict[str, float]:
        """All of it by Ray's names, without what is not needed."""
        every = {"CPU": self.num_cpus, "GPU": self.num_gpus, **self.resources}
        return {name: amount for name, amount in every.items() if amount > 0}

    def __str__(self) -> str:
        return ", ".join(f"{name} {amount:g}" for name, amount in self.amounts.items())


@dataclass(frozen=True)
class Connect:
    """How to reach Ray, and what workers need of it.

    Attributes:
        address: as ``ray.init`` takes it; None: a Ray of the driver's own on this machine.
        need: of one worker.
        runtime_env: as ``ray.init`` takes it.
        threads: that a worker computes with.
        waits: workers may wait for room, and so make an autoscaler add nodes.
        log_dir: the folder of the workers' logs, where that exists on a node.
        own_cpus, own_resources: what a Ray of the driver's own offers.
        own_folder: what it keeps its files in.
        sent: what workers on other machines need of this one; None: they are all here.
    """

    address: str | None
    need: Need
    runtime_env: Mapping[str, Any] | None
    threads: int
    waits: bool
    log_dir: str | None
    own_cpus: int = 1
    own_resources: Mapping[str, float] = field(default_factory=dict)
    own_folder: str | None = None
    sent: Setup | None = None


@dataclass(frozen=True)
class Open:
    """Start a worker as soon as a node has room for it."""

    key: int
    worker: int


@dataclass(frozen=True)
class Say:
    """Pass this on to a worker."""

    key: int
    message: ToWorker


@dataclass(frozen=True)
class Kill:
    """End a worker now; ``Gone`` follows."""

    key: int


@dataclass(frozen=True)
class Connected:
    """Ray is there.

    Attributes:
        room: what it has room for, in words.
    """

    room: str = ""


@dataclass(frozen=True)
class Unconnected:
    """Ray cannot be reached or started; the driver ends.

    Attributes:
        message: why, for the user.
    """

    message: str


@dataclass(frozen=True)
class Capacity:
    """What the cluster has room for.

    Attributes:
        more: how many more workers fit now.
        most: how many would fit if nothing else ran.
        nodes: how many nodes there are.
    """

    more: int
    most: int
    nodes: int


@dataclass(frozen=True)
class Placed:
    """A worker's process runs.

    Attributes:
        node: its machine's name; empty on a Ray of the driver's own.
        pid: its number there.
        log: the path of its log there.
        log_start: where in that file its own output begins.
    """

    key: int
    node: str
    pid: int
    log: str
    log_start: int


@dataclass(frozen=True)
class Said:
    """A worker has said this."""

    key: int
    message: FromWorker


@dataclass(frozen=True)
class Gone:
    """A worker's process is over, or out of reach.

    Attributes:
        death: why.
        tail: the end of its log.
    """

    key: int
    death: Death
    tail: str = ""


ToDriver = Connect | Open | Say | Kill
News = Connected | Unconnected | Capacity
FromDriver = News | Placed | Said | Gone
