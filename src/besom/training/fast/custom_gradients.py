"""Releases what ``tf.custom_gradient`` registers, once the graph that it belongs to is gone.

TensorFlow enters each custom gradient it traces into a global registry and never takes it out, and
with it the graph and the model around it (its issues 27492 and 97697). In a warm worker that is
7 MiB per trial with ``silu`` and 9 MiB with ``model.fit``, whose optimizers use one, and every
garbage collection looks through all of it. Here a graph keeps its gradients itself, and the
registry only points to them: both end together, and a function that outlives its trial keeps its
own.
"""

from __future__ import annotations

import functools
import logging
import weakref
from collections.abc import Callable
from typing import Any

log = logging.getLogger("besom")

#: What TensorFlow names the gradient of a traced ``tf.custom_gradient``, before a number.
_PREFIX = "CustomGradient-"
#: The attribute of a graph that holds its gradients.
_KEPT = "_besom_custom_gradients"


@functools.cache
def tie() -> None:
    """Tie custom gradients to their graphs in this process from now on; once is enough."""
    try:
        from tensorflow.python.framework import ops, registry

        class Tied(registry.Registry):  # type: ignore[misc]
            """TensorFlow's registry; the graphs keep what it would keep forever."""

            __slots__ = ()

            def register(self, candidate: Any, name: str | None = None) -> None:
                if name is not None and name.startswith(_PREFIX):
                    graph = ops.get_default_graph()
                    candidate = _tied(graph, candidate, lambda: self._registry.pop(name, None))
                super().register(candidate, name)

        ops.gradient_registry.__class__ = Tied
    except (ImportError, AttributeError, TypeError) as error:  # private names: they may change
        log.warning(
            "Workers will use more memory with each custom gradient that TensorFlow traces: %s",
            error,
        )


def _tied(graph: Any, gradient: Any, forget: Callable[[], object]) -> Callable[..., Any]:
    """Let ``graph`` keep ``gradient``; return what calls it, and ``forget`` once it is gone."""
    reference = weakref.ref(gradient, lambda _: forget())
    _keep(graph, gradient)
    while graph.building_function:
        # TensorFlow may rebuild the graph of a loop or a branch from the one around it.
        graph = graph.outer_graph
        if graph.building_function:
            _keep(graph, gradient)

    def call(operation: Any, *gradients: Any) -> Any:
        kept = reference()
        assert kept is not None, "a custom gradient is asked for after its graph is gone"
        return kept(operation, *gradients)

    return call


def _keep(graph: Any, gradient: Any) -> None:
    if not hasattr(graph, _KEPT):
        setattr(graph, _KEPT, [])
    getattr(graph, _KEPT).append(gradient)
