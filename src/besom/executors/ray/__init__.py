"""The Ray executor: warm workers wherever a Ray cluster has room for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from besom.executors.ray.ray_executor import RayExecutor

__all__ = ["RayExecutor"]


def __getattr__(name: str) -> Any:
    # Not at import: the driver and the workers need nothing of the executor that started them.
    if name == "RayExecutor":
        from besom.executors.ray.ray_executor import RayExecutor

        return RayExecutor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
