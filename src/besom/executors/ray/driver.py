"""The Ray driver: a child process of the coordinator that alone has to do with Ray.

Ray's client library ends its process 60 s after it has lost the cluster's head, prints to stdout,
and has signal handlers of its own. None of that may touch the coordinator and its study.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field, replace
from typing import Any

from besom.executors.channel import Channel, Quit
from besom.executors.ray.actor import ActorPlace, Ended
from besom.executors.ray.deaths import (
    describe_loss,
    describe_unconnected,
    describe_unprepared_node,
)
from besom.executors.ray.driver_messages import (
    Capacity,
    Connect,
    Connected,
    FromDriver,
    Gone,
    Kill,
    Open,
    Placed,
    Said,
    Say,
    Unconnected,
)
from besom.executors.ray.freight import Parcel
from besom.executors.tether import tethered

#: How often to look what there is room for.
LOOK_EVERY_S = 1.0
#: How often to say that nothing has changed.
SAY_EVERY_S = 10.0
#: A worker that found no room for so long is withdrawn, so that no autoscaler adds nodes for it.
PLACE_TIMEOUT_S = 15.0


@dataclass
class _Worker:
    """A worker from ``Open`` to ``Gone``."""

    key: int
    actor: Any
    opened: float = field(default_factory=time.monotonic)
    place: ActorPlace | None = None
    node: str = ""
    withdrawn: bool = False
    n_calls: int = 0  # that have not returned


class Driver:
    """Carries messages between the coordinator and the workers.

    Args:
        channel: to the coordinator.
        connect: makes a cluster of a ``Connect``; ``besom.executors.ray.cluster.Cluster``.
    """

    def __init__(self, channel: Channel, connect: Any) -> None:
        self._channel, self._make_cluster = channel, connect
        self._workers: dict[int, _Worker] = {}
        self._outbox: queue.SimpleQueue[FromDriver] = queue.SimpleQueue()
        self._over = threading.Event()
        self._counting = threading.Lock()

    def serve(self) -> int:
        """Connect, then carry messages until told to quit; return the process's exit code.

        Raises:
            EOFError, OSError: the coordinator is gone.
        """
        self._connect: Connect = self._channel.receive()
        try:
            self._cluster = self._make_cluster(self._connect)
        except Exception as error:
            self._channel.send(Unconnected(describe_unconnected(error)))
            return 1
        self._outbox.put(Connected(self._cluster.room_in_words()))
        for work in (self._send, self._look_around, self._watch):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()
        while not isinstance(message := self._channel.receive(), Quit):
            self._handle(message)
        self._over.set()
        for worker in list(self._workers.values()):
            self._cluster.kill(worker.actor)
        self._cluster.close()
        return 0

    def _handle(self, message: Open | Say | Kill) -> None:
        match message:
            case Open(key, number):
                worker = _Worker(key, self._cluster.open(number))
                self._workers[key] = worker
                self._cluster.call(worker.actor.place, (), lambda said: self._placed(worker, said))
            case Say(key, to_worker):
                if (known := self._workers.get(key)) is not None:
                    self._ask(known, known.actor.tell, self._cluster.packed(to_worker))
            case Kill(key):
                if (known := self._workers.get(key)) is not None:
                    self._cluster.kill(known.actor)

    def _ask(self, worker: _Worker, method: Any, *arguments: Any) -> None:
        with self._counting:
            worker.n_calls += 1
        self._cluster.call(method, arguments, lambda said: self._said(worker, said))

    # Called in threads of Ray's, which must not wait

    def _placed(self, worker: _Worker, said: Any) -> None:
        if isinstance(said, BaseException):
            if unprepared := describe_unprepared_node(said):
                self._outbox.put(Said(worker.key, unprepared))
            self._ended(worker, said)
            return
        worker.place = said
        in_thread(self._announce, worker, said)

    def _said(self, worker: _Worker, said: Any) -> None:
        with self._counting:
            worker.n_calls -= 1
        if said is None:  # it was only looked at
            return
        if isinstance(said, BaseException | Ended):
            self._ended(worker, said)
        elif isinstance(said, Parcel):
            in_thread(self._deliver, worker, said)
        else:
            self._outbox.put(Said(worker.key, said))

    def _ended(self, worker: _Worker, how: BaseException | Ended) -> None:
        # Every call that waits is told of it; the first one counts.
        if self._workers.pop(worker.key, None) is not None:
            in_thread(self._bury, worker, how)

    # In threads of their own

    def _deliver(self, worker: _Worker, parcel: Parcel) -> None:
        self._outbox.put(Said(worker.key, self._cluster.unpacked(parcel)))

    def _announce(self, worker: _Worker, place: ActorPlace) -> None:
        worker.node = self._cluster.name_of(place.node_id)
        self._outbox.put(Placed(worker.key, worker.node, place.pid, place.log, place.log_start))

    def _bury(self, worker: _Worker, how: BaseException | Ended) -> None:
        tail = ""
        if isinstance(how, Ended):
            death, tail = how.death, how.tail
        else:
            lost = worker.place is not None and self._cluster.lost(worker.place.node_id)
            death = describe_loss(how, worker.node, lost)
        self._cluster.kill(worker.actor)  # it may be alive, or out of reach
        death = replace(death, no_room=worker.withdrawn)
        self._outbox.put(Gone(worker.key, death, tail))

    def _send(self) -> None:
        while True:
            self._channel.send(self._outbox.get())

    def _watch(self) -> None:
        """End with the cluster; a thread of its own, as those that ask a lost one wait for it."""
        while not self._over.wait(LOOK_EVERY_S):
            if self._cluster.ended():
                print("Ray has ended", flush=True)
                os._exit(1)

    def _look_around(self) -> None:
        before: Capacity | None = None
        said = pause_s = 0.0
        while not self._over.wait(pause_s):
            pause_s = LOOK_EVERY_S
            for worker in list(self._workers.values()):
                if worker.place is not None and worker.n_calls == 0:
                    self._ask(worker, worker.actor.look)
            try:
                room, now = self._room(), time.monotonic()
            except Exception:  # the cluster does not answer just now
                traceback.print_exc()
                continue
            if room != before or now > said + SAY_EVERY_S:
                self._outbox.put(room)
                said = now
            before = room

    def _room(self) -> Capacity:
        """What there is room for, less what waits for it already."""
        room, now = self._cluster.room(), time.monotonic()
        waiting = [w for w in list(self._workers.values()) if w.place is None]
        if not self._connect.waits:
            for worker in waiting:
                if worker.opened + PLACE_TIMEOUT_S < now and not worker.withdrawn:
                    worker.withdrawn = True
                    self._cluster.kill(worker.actor)
        return Capacity(max(0, room.more - len(waiting)), room.most, room.nodes)


def in_thread(work: Any, *arguments: Any) -> None:
    """Do something in a thread of its own."""
    threading.Thread(target=work, args=arguments, daemon=True).start()


def main() -> int:
    """Run the driver."""
    channel, _ = tethered("Ray driver")
    # The coordinator ends in good order when everything here is sent a SIGTERM, and then this does.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    from besom.executors.ray.cluster import Cluster

    try:
        return Driver(channel, Cluster).serve()
    except (EOFError, OSError):  # the coordinator is gone
        return 1


if __name__ == "__main__":
    sys.exit(main())
