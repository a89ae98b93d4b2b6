"""Whether a cluster has room for workers, before any is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from besom.text.counting import counted, listed


@dataclass(frozen=True)
class Room:
    """What fits on the nodes when nothing else runs there.

    Attributes:
        need: what one worker takes, such as ``{"CPU": 2, "GPU": 0.5}``.
        totals: what each node has.
    """

    need: dict[str, float]
    totals: tuple[dict[str, float], ...]

    @classmethod
    def on(cls, nodes: Iterable[Mapping[str, Any]], need: Mapping[str, float]) -> Room:
        """The room on nodes as ``ray.nodes()`` lists them."""
        alive = [dict(node.get("Resources", {})) for node in nodes if node.get("Alive")]
        return cls({name: amount for name, amount in need.items() if amount}, tuple(alive))

    @property
    def per_node(self) -> list[int]:
        """How many workers fit on each node."""
        return [
            min((int(has.get(n, 0.0) / k + 1e-6) for n, k in self.need.items()), default=1)
            for has in self.totals
        ]

    @property
    def n_workers(self) -> int:
        """How many workers fit at once."""
        return sum(self.per_node)

    def __str__(self) -> str:
        worker = f"a worker ({self._amounts(self.need)})"
        n_nodes = counted(len(self.totals), "node")
        if self.n_workers == 0:
            most = {
                name: max(has.get(name, 0.0) for has in self.totals or ({},)) for name in self.need
            }
            return (
                f"no node of the cluster has room for {worker}: of {n_nodes}, none has more than "
                f"{self._amounts(most)}"
            )
        fits = sum(n > 0 for n in self.per_node)
        return (
            f"{worker} fits on {fits} of {n_nodes}, {counted(self.n_workers, 'worker')} at once "
            "when nothing else runs there"
        )

    @staticmethod
    def _amounts(amounts: Mapping[str, float]) -> str:
        return listed([_amount(name, amount) for name, amount in amounts.items()]) or "no resources"


def _amount(name: str, amount: float) -> str:
    if name not in ("CPU", "GPU"):
        return f"{amount:g} {name}"
    return f"{amount:g} {name}{'' if amount == 1 else 's'}"
