"""Ray itself, as the driver uses it: the one module that imports it.

Read in Ray 2.60: it writes workers' errors to the driver's stdout even with ``log_to_driver=False``
(the driver's stdout is a log), replaces SIGTERM's handler in ``init`` (put back here), and with
``address=None`` would join any Ray that runs on this machine (``'local'`` does not).
"""

from __future__ import annotations

import math
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import ray

from besom.errors import BesomError, reason_of
from besom.executors.channel import FromWorker, ToWorker
from besom.executors.ray.actor import RayWorker
from besom.executors.ray.driver_messages import Capacity, Connect, Need
from besom.executors.ray.freight import Parcel, Sender
from besom.executors.ray.room import Room

#: Trials load their data in their own worker; a message is all that the object store holds.
_OWN_OBJECT_STORE_BYTES = 128 * 1024**2
#: How long a head on a slow network may take to take a connection.
_KNOCK_TIMEOUT_S = 10.0

#: The processes without which there is no Ray, by their names.
_SERVERS = ("gcs_server", "raylet")


class Cluster:
    """A connection to Ray.

    Raises:
        Exception: Ray cannot be reached or started; of any class.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        handler = signal.getsignal(signal.SIGTERM)
        own: dict[str, Any] = {}
        if connect.address is None:
            own = {
                "num_cpus": connect.own_cpus,
                "resources": dict(connect.own_resources) or None,
                "object_store_memory": _OWN_OBJECT_STORE_BYTES,
                "include_dashboard": False,
                "_temp_dir": connect.own_folder,
            }
        _knock(connect.address)
        self._sender: Sender | None = None
        runtime_env = dict(connect.runtime_env or {})
        with tempfile.TemporaryDirectory(prefix="besom-staged-") as folder:
            if connect.sent is not None:
                self._sender = Sender(connect.sent, Path(folder))
                modules = [*runtime_env.get("py_modules", ()), *self._sender.py_modules]
                runtime_env["py_modules"] = modules
            try:
                ray.init(
                    connect.address or "local",
                    runtime_env=runtime_env or None,
                    log_to_driver=False,
                    **own,
                )
            finally:
                signal.signal(signal.SIGTERM, handler)
        # Ray takes a minute to give up a head that is gone: of our own, we can see it at once.
        servers = psutil.Process().children() if connect.address is None else []
        self._servers = [server for server in servers if server.name() in _SERVERS]
        if self._sender is not None:
            self._sender.load(ray.put)
        need = connect.need
        self._actor = ray.remote(RayWorker).options(
            num_cpus=need.num_cpus,
            num_gpus=need.num_gpus,
            resources=dict(need.resources),
            max_restarts=0,
            max_task_retries=0,
        )

    def ended(self) -> bool:
        """Whether a Ray of the driver's own is no longer there."""
        return any(
            not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
            for server in self._servers
        )

    def open(self, worker: int) -> Any:
        """Ask for a worker, and return its actor; it may wait for room."""
        connect = self._connect
        has_gpu = connect.need.num_gpus > 0
        return self._actor.remote(worker, connect.threads, has_gpu, connect.log_dir)

    def packed(self, message: ToWorker) -> Any:
        """A message with what has to go along, where workers are on other machines."""
        return message if self._sender is None else self._sender.pack(message)

    def unpacked(self, parcel: Parcel) -> FromWorker:
        """What a worker said, once what came along is in the study's folder."""
        assert self._sender is not None
        return self._sender.unpack(parcel)

    def call(self, method: Any, arguments: tuple[Any, ...], done: Callable[[Any], None]) -> None:
        """Call a method of an actor; ``done`` is given what it returns, or the exception.

        It is called in a thread of Ray's, which must not wait.
        """

        def completed(future: Any) -> None:
            error = future.exception()
            done(error if error is not None else future.result())

        method.remote(*arguments).future().add_done_callback(completed)

    def kill(self, actor: Any) -> None:
        """End an actor now, or withdraw it if it still waits for room."""
        ray.kill(actor, no_restart=True)

    def lost(self, node_id: str) -> bool:
        """Whether a node is no longer there."""
        return not any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())

    def name_of(self, node_id: str) -> str:
        """What to call a node; empty on a Ray of the driver's own."""
        if self._connect.address is None:
            return ""
        nodes = ray.nodes()
        names = [node["NodeManagerHostname"] for node in nodes]
        name = next((n["NodeManagerHostname"] for n in nodes if n["NodeID"] == node_id), "")
        return f"{name}/{node_id[:4]}" if names.count(name) > 1 else name

    def room(self) -> Capacity:
        """What there is room for."""
        nodes = [node for node in ray.nodes() if node["Alive"]]
        free = _available(nodes)
        need = self._connect.need
        return Capacity(
            more=sum(fitting(free.get(node["NodeID"], {}), need) for node in nodes),
            most=sum(fitting(node["Resources"], need) for node in nodes),
            nodes=len(nodes),
        )

    def room_in_words(self) -> str:
        """What there is room for when nothing else runs; empty on a Ray of the driver's own."""
        if self._connect.address is None:
            return ""
        return str(Room.on(ray.nodes(), self._connect.need.amounts))

    def close(self) -> None:
        """Leave the cluster, which ends this sweep's actors; end a Ray of its own."""
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Find out at once whether anything listens there: Ray takes a minute to give up.

    Raises:
        BesomError: nothing does.
    """
    host, colon, port = (address or "").removeprefix("ray://").strip("[]").rpartition(":")
    if not colon or not port.isdigit():  # "auto"
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise BesomError(
            f"nothing answers there ({reason_of(error)}). Is the cluster running, and can this "
            "machine reach it?"
        ) from error


def fitting(resources: dict[str, float], need: Need) -> int:
    """How many workers fit into these resources."""
    shares = [resources.get(name, 0.0) / amount for name, amount in need.amounts.items()]
    return math.floor(min(shares) + 1e-6)  # Ray counts in 1/10,000


def _available(nodes: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What is free on each node, by its id."""
    try:
        from ray._private.state import available_resources_per_node

        found: dict[str, dict[str, float]] = available_resources_per_node()
    except Exception:  # another version, or Ray's client, which only knows the sum
        return {node["NodeID"]: node["Resources"] for node in nodes}
    return found
