"""The Ray driver on a cluster that is only played: real worker processes, nodes by word of a file.

``$BESOM_FAKE_RAY/nodes.json`` says how many workers each node takes. It may change at any time: a
node that is no longer in it is lost with its workers. ``$BESOM_FAKE_RAY/end``: the driver dies.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from besom.executors.local.worker_process import WorkerProcess
from besom.executors.ray import driver
from besom.executors.ray.actor import ActorPlace, RayWorker
from besom.executors.ray.driver_messages import Capacity, Connect
from besom.executors.resources import OutOfMemoryKills
from besom.executors.tether import tethered

WORLD = Path(os.environ.get("BESOM_FAKE_RAY", "."))
driver.LOOK_EVERY_S, driver.PLACE_TIMEOUT_S, driver.SAY_EVERY_S = 0.05, 1.0, 0.1


class ActorDiedError(Exception):
    """As Ray's."""


class NodeDiedError(Exception):
    """As Ray's."""


class FakeActor:
    """Calls wait until there is room, then each is made in turn."""

    def __init__(self, cluster: FakeCluster, worker: RayWorker) -> None:
        self.cluster, self.worker = cluster, worker
        self.node = ""
        self.calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.waiting: list[Any] = []
        self.over: Exception | None = None
        self.place, self.tell, self.look = self._place, worker.tell, worker.look

    def _place(self) -> ActorPlace:
        launch = self.worker._launch
        self.worker._process = WorkerProcess(launch, OutOfMemoryKills())
        return ActorPlace(self.node, self.worker._process.pid, str(launch.log or ""), 0)

    def serve(self) -> None:
        while self.over is None:
            method, arguments, done = self.calls.get()
            said = method(*arguments)
            if self.over is None:
                self.waiting.remove(done)
                done(said)

    def end(self, error: Exception) -> None:
        if self.over is None:
            self.over = error
            if (process := getattr(self.worker, "_process", None)) is not None:
                process.kill()
            for done in self.waiting:
                done(error)


class FakeCluster:
    def __init__(self, connect: Connect) -> None:
        self.connect, self.actors = connect, []
        if connect.address == "nowhere":
            raise ConnectionError("no Ray at nowhere")

    def nodes(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((WORLD / "nodes.json").read_text())
        return found

    def free(self) -> list[str]:
        taken = Counter(a.node for a in self.actors if a.over is None)
        return [name for name, n in self.nodes().items() for _ in range(n - taken[name])]

    def open(self, worker: int) -> FakeActor:
        actor = FakeActor(
            self, RayWorker(worker, self.connect.threads, False, self.connect.log_dir)
        )
        self.actors.append(actor)
        self.find_room()
        return actor

    def find_room(self) -> None:
        for actor in self.actors:
            if not actor.node and actor.over is None and (free := self.free()):
                actor.node = free[0]
                threading.Thread(target=actor.serve, daemon=True).start()

    def call(self, method: Any, arguments: Any, done: Any) -> None:
        owner = next(a for a in self.actors if method in (a.place, a.tell, a.look))
        if owner.over is not None:
            done(owner.over)
            return
        owner.waiting.append(done)
        owner.calls.put((method, arguments, done))

    def kill(self, actor: FakeActor) -> None:
        actor.end(ActorDiedError("The actor is dead because it was killed by `ray.kill`."))

    def ended(self) -> bool:
        return False

    def lost(self, node_id: str) -> bool:
        return node_id not in self.nodes()

    def name_of(self, node_id: str) -> str:
        return node_id

    def room(self) -> Capacity:
        if (WORLD / "end").exists():
            print("the head is gone", flush=True)
            os._exit(1)
        nodes = self.nodes()
        for actor in self.actors:
            if actor.node and actor.node not in nodes:
                actor.end(NodeDiedError("The actor's node has died"))
        self.find_room()
        return Capacity(len(self.free()), sum(nodes.values()), len(nodes))

    def room_in_words(self) -> str:
        return ""

    def packed(self, message: Any) -> Any:
        return message

    def close(self) -> None:
        for actor in self.actors:
            actor.end(ActorDiedError("closed"))


def main() -> int:
    channel, _ = tethered("fake Ray driver")
    return driver.Driver(channel, FakeCluster).serve()


if __name__ == "__main__":
    sys.exit(main())
