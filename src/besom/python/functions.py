"""Functions and classes as files that a worker, or a later command, can load."""

from __future__ import annotations

import hashlib
import pickle
import types
from dataclasses import dataclass
from functools import partial
from typing import Any

import cloudpickle

from besom.errors import ConfigError, reason_of
from besom.python.identity import Identity, identity_of, uses
from besom.python.reimported import as_in_file
from besom.trust.signed import FROM_PYTHON, signed

_CODE = (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType, partial)


@dataclass(frozen=True)
class GivenFunction:
    """A function or class, ready to be written.

    Attributes:
        label: what the user calls it.
        name: its name in ``besom.from_python``: the label and the digest of its identity.
        content: of its file.
        identity: tells whether a study goes on with the same function.
    """

    label: str
    name: str
    content: bytes
    identity: Identity

    @property
    def target(self) -> str:
        """What a config names it by."""
        return f"{FROM_PYTHON}.{self.name}"


def given_function(thing: Any, role: str) -> GivenFunction:
    """Pickle a function or class: by value from ``__main__`` or a notebook, else by its name.

    Args:
        thing: what the user gave.
        role: what for, to begin a message with.

    Raises:
        ConfigError: it cannot be pickled; says which of the things that it uses is why.
    """
    thing = as_in_file(thing)
    label = label_of(thing)
    try:
        pickled = cloudpickle.dumps(thing)
    except Exception as error:  # whatever the __reduce__ of something it uses does
        raise ConfigError(_why_not(thing, label, role, error)) from error
    identity = identity_of(thing)
    digest = identity.digest
    if identity.source is None:
        digest = hashlib.blake2b(pickled, digest_size=4).hexdigest()
    return GivenFunction(label, f"{label}_{digest}", signed(pickled), identity)


def label_of(thing: Any) -> str:
    """What to call a function, class or callable object in configs and file names."""
    while isinstance(thing, partial):
        thing = thing.func
    name = str(getattr(thing, "__name__", type(thing).__name__))
    if name == "<lambda>":
        return "lambda"
    return name.lstrip("_") if name.isidentifier() and name.strip("_") else "function"


def is_code(value: Any) -> bool:
    """Whether a value is a function or class, or wraps one."""
    return isinstance(value, _CODE)


def _why_not(thing: Any, label: str, role: str, error: Exception) -> str:
    """Which of the things that a function uses cannot be pickled."""
    said = f"{role} {label} cannot be sent to the workers, which are processes of their own"
    inner = thing
    while isinstance(inner, partial):
        inner = inner.func
    used = list(uses(inner)) if isinstance(inner, type | types.FunctionType) else []
    for name, value in used:
        try:
            cloudpickle.dumps(value)
        except Exception as why:
            return (
                f"{said}: it uses {name}, a {type(value).__name__}, which cannot be pickled "
                f"({_reason(why)}). Make {name} inside the function."
            )
    return f"{said}: it cannot be pickled ({_reason(error)})."


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return (
        text if isinstance(error, TypeError | pickle.PicklingError) and text else reason_of(error)
    )
