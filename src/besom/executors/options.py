"""What an executor's config means, asked of its class: only that knows the names of its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from besom.errors import BesomError
from besom.executors.base import Executor
from besom.targets import TARGET, resolve

_LOCAL = "besom.executors.local.LocalExecutor"


def with_workers(node: Mapping[str, Any], workers: int) -> dict[str, Any]:
    """An executor's config with another number of workers."""
    return _class_of(node).with_workers(node, workers)


def with_threads(node: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """An executor's config with another number of threads per worker."""
    return _class_of(node).with_threads(node, threads)


def _class_of(node: Mapping[str, Any]) -> type[Executor]:
    """``Executor`` itself where the class says nothing, or may not be imported (a stored study)."""
    try:
        found = resolve(str(node.get(TARGET, _LOCAL)), f"sweep.executor.{TARGET}")
    except BesomError:
        return Executor
    return cast("type[Executor]", found if hasattr(found, "with_workers") else Executor)
