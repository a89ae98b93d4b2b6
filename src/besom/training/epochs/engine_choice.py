"""Chooses the engine of a run: the compiled one, unless something needs ``model.fit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from besom.errors import ConfigError, reason_of
from besom.training.data.examples import Stream
from besom.training.epochs.batches import cached

#: A model that overrides one of these has its own loop or step, which only ``model.fit`` runs.
_OWN_LOOP = (
    "fit",
    "train_step",
    "make_train_function",
    "evaluate",
    "test_step",
    "make_test_function",
)
_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def choose_engine(wanted: str, model: Any, callbacks: list[Any], *parts: Any) -> tuple[str, str]:
    """Return the engine for a run, ``compiled`` or ``keras``, and the reason.

    Args:
        wanted: ``trainer.engine``.
        model: a built and compiled ``keras.Model``.
        callbacks: the user's Keras callbacks.
        parts: the examples of the run, each ``Examples`` or a ``Stream``.

    Raises:
        ConfigError: ``compiled`` is wanted where it cannot be.
    """
    if wanted == "keras":
        return "keras", "trainer.engine=keras"
    against = obstacle(model, callbacks) or _cannot_be_a_graph(parts)
    if against is None:
        return "compiled", "each epoch is one compiled function"
    if wanted == "compiled":
        raise ConfigError(
            f"trainer.engine=compiled cannot run this: {against}. Use trainer.engine=auto."
        )
    return "keras", against


def untraceable(error: BaseException) -> str:
    """Return the reason for ``model.fit`` where the compiled engine was tried, and failed."""
    return f"the compiled engine cannot run this: {reason_of(error)}"


def obstacle(model: Any, callbacks: list[Any]) -> str | None:
    """Return why the compiled engine must leave this run to ``model.fit``, None if it need not."""
    for name in _OWN_LOOP:
        if _overrides(model, name, keras.Model):
            return f"the model {type(model).__name__} overrides {name}"
    if model.run_eagerly:
        return "the model runs eagerly"
    if tf.distribute.has_strategy():
        return "a tf.distribute strategy is in use"
    for callback in callbacks:
        for name in _BATCH_HOOKS:
            if _overrides(callback, name, keras.callbacks.Callback):
                return f"the callback {type(callback).__name__} uses {name}"
    return None


def _cannot_be_a_graph(parts: Sequence[Any]) -> str | None:
    """Why the examples cannot be taken in a graph, None if they can."""
    for part in parts:
        if isinstance(part, Stream) and not isinstance(part.source, tf.data.Dataset):
            is_dataset = isinstance(part.source, keras.utils.PyDataset)
            if part is parts[0] or isinstance(cached(part), Stream):
                return f"the data comes from a {'PyDataset' if is_dataset else 'generator'}"
    return None


def _overrides(thing: Any, name: str, base: type) -> bool:
    """Whether it has its own method: its class's, or itself alone, as a ``LambdaCallback``."""
    method = getattr(thing, name)
    return getattr(method, "__func__", method) is not getattr(base, name)
