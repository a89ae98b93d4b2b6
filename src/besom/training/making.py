"""Makes what a node of a config describes; what goes wrong with it is one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from besom.errors import BesomError, ConfigError, reason_of
from besom.targets import TARGET, instantiate


def instantiated(key: str, node: Mapping[str, Any], **extra: Any) -> Any:
    """What a node describes; whatever its target raises is a reason that names the key."""
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key} holds {node!r}, expected nodes with a _target_.")
    with as_config_error(f"{key}: {node.get(TARGET)} cannot be built"):
        return instantiate(node, **extra)


@contextmanager
def as_config_error(what: str) -> Iterator[None]:
    """While open, an exception of the user's code or of Keras becomes a ``ConfigError``.

    A lack of memory is not: the trial may be given to a worker that has more.
    """
    try:
        yield
    except (BesomError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        raise ConfigError(f"{what}: {reason_of(error)}.") from error
