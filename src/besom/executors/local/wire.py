"""The channel between the coordinator and a local worker: pickled messages over a pipe."""

from __future__ import annotations

import pickle
from multiprocessing.connection import Connection
from typing import Any

from besom.executors.channel import Channel


class PipeChannel(Channel):
    """One end of a pipe.

    Args:
        connection: the end, which the channel does not close.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, message: Any) -> None:
        """Send a message; returns once it is in the kernel's hands.

        Raises:
            OSError: the other side is gone.
            TypeError, AttributeError, pickle.PicklingError: it holds what cannot be pickled.
        """
        self._connection.send_bytes(pickle.dumps(message, protocol=5))

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            EOFError, OSError: the other side is gone.
        """
        return pickle.loads(self._connection.recv_bytes())
