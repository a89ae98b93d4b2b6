"""What is said of an actor that is gone, and which of a stored executor's options are taken."""

from __future__ import annotations

import pytest

from besom.executors.base import Executor
from besom.executors.local import LocalExecutor
from besom.executors.ray import RayExecutor
from besom.executors.ray.deaths import describe_loss

#: As Ray 2.60 writes it.
KILLED = """The actor died unexpectedly before finishing this task.
\tclass_name: RayWorker
\tactor_id: f8a00d80e4acd74b69e1d52a01000000
\tpid: 17650
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit \
detail: Worker unexpectedly exits with a connection error code 2. End of file. Some common causes \
include: (1) the process was killed by the OOM killer due to high memory usage."""
SHORT_OF_MEMORY = KILLED.replace("SYSTEM_ERROR", "NODE_OUT_OF_MEMORY")


class ActorDiedError(Exception):
    """As Ray's: known by its name, as the coordinator does not import Ray."""


class ActorUnavailableError(Exception):
    pass


class OutOfMemoryError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "node_lost", "words", "kind"),
    [
        (
            ActorDiedError(KILLED),
            False,
            "its actor was killed or ended (Worker unexpectedly exits with a connection error "
            "code 2. End of file)",
            (False, False),
        ),
        (ActorDiedError(KILLED), True, "its node n7 was lost", (False, True)),
        (ActorUnavailableError("no answer"), False, "its node n7 was lost", (False, True)),
        (ActorDiedError(SHORT_OF_MEMORY), False, "out of memory (killed by Ray", (True, False)),
        (OutOfMemoryError("killed"), False, "out of memory (killed by Ray", (True, False)),
        (
            ActorDiedError("a\nnew text"),
            False,
            "its actor is gone (ActorDiedError: new",
            (False,) * 2,
        ),
    ],
)
def test_a_lost_actor_is_described_by_what_ray_knows(error, node_lost, words, kind) -> None:
    death = describe_loss(error, "n7", node_lost)
    assert death.reason.startswith(words)
    assert (death.out_of_memory, death.node_lost) == kind


def test_no_cluster_and_no_environment_is_taken_from_a_stored_study() -> None:
    stored = {
        "_target_": "besom.executors.ray.RayExecutor",
        "address": "ray://stranger:10001",
        "runtime_env": {"pip": ["anything"]},
        "workers": 4,
    }
    taken = RayExecutor.anywhere(stored)
    assert (taken["address"], taken["runtime_env"], taken["workers"]) == (None, None, 4)
    assert LocalExecutor.anywhere({"workers": 4}) == Executor.anywhere({"workers": 4})
