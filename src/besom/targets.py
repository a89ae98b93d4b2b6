"""Turns a config node with a ``_target_`` into the object it names.

The grammar is Hydra's (``_target_``, ``_args_``, ``_partial_``, nested nodes first), on plain
dicts, so that a worker needs no Hydra; the errors are for the person who wrote the config.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from besom.errors import BesomError, ConfigError, did_you_mean

TARGET, ARGS, PARTIAL = "_target_", "_args_", "_partial_"


def resolve(dotted: str) -> Any:
    """Import what ``dotted`` names, such as ``keras.optimizers.Adam``.

    Raises:
        ConfigError: the module cannot be imported, or has no such name (near names are listed).
    """
    if not isinstance(dotted, str) or not all(part.isidentifier() for part in dotted.split(".")):
        raise ConfigError(
            f"_target_ is {dotted!r}, expected a dotted name such as 'keras.optimizers.Adam'."
        )
    parts = dotted.split(".")
    found: Any = None
    for n in range(len(parts), 0, -1):
        module_name = ".".join(parts[:n])
        try:
            found = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise ConfigError(f"_target_ {dotted!r} needs {error.name!r}: {error}.") from error
            continue
        except Exception as error:  # whatever a user's module does when it is imported
            raise ConfigError(
                f"_target_ {dotted!r} cannot be imported: {type(error).__name__}: {error}."
            ) from error
        rest = parts[n:]
        break
    else:
        raise ConfigError(
            f"_target_ {dotted!r} cannot be found: there is no module {parts[0]!r} on the Python "
            "path. Install it, or run from the folder it is in."
        )
    for position, name in enumerate(rest):
        try:
            found = getattr(found, name)
        except AttributeError:
            parent = ".".join(parts[: len(parts) - len(rest) + position])
            public = [known for known in dir(found) if not known.startswith("_")]
            raise ConfigError(
                f"_target_ {dotted!r} cannot be found: {parent!r} has no {name!r}."
                + _nearest(name, public)
            ) from None
    return found


def instantiate(node: Mapping[str, Any], /, *args: Any, **extra: Any) -> Any:
    """Build the object that ``node`` describes; nested nodes with a ``_target_`` first.

    Args:
        node: a plain mapping with ``_target_``; other keys are keyword arguments.
        args: positional arguments put before those of ``_args_``.
        extra: keyword arguments that win over the node's.

    Raises:
        ConfigError: no or unknown ``_target_``, or arguments it does not take (near names listed).
    """
    if not isinstance(node, Mapping) or TARGET not in node:
        raise ConfigError(f"Expected a mapping with a _target_, got {node!r}.")
    target = resolve(node[TARGET])
    kwargs = {
        key: _build(value) for key, value in node.items() if key not in (TARGET, ARGS, PARTIAL)
    }
    kwargs.update(extra)
    positional = (*args, *(_build(value) for value in node.get(ARGS, ())))
    if not callable(target):
        raise ConfigError(f"_target_ {node[TARGET]!r} is a {type(target).__name__}, not callable.")
    if node.get(PARTIAL, False):
        return functools.partial(target, *positional, **kwargs)
    _check_arguments(node[TARGET], target, positional, kwargs)
    try:
        return target(*positional, **kwargs)
    except BesomError:
        raise
    except (TypeError, ValueError) as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in kwargs.items() if key not in extra)
        raise ConfigError(f"{node[TARGET]}({shown}) was refused: {error}") from error


def _build(value: Any) -> Any:
    """Instantiate nested nodes; leave everything else alone."""
    if isinstance(value, Mapping):
        if TARGET in value:
            return instantiate(value)
        return {key: _build(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_build(item) for item in value]
    return value


def _check_arguments(
    name: str, target: Any, positional: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # some C functions have none
        return
    parameters = signature.parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for key in kwargs:
        if key not in parameters:
            raise ConfigError(f"{name} takes no argument {key!r}.{did_you_mean(key, parameters)}")
    try:
        signature.bind(*positional, **kwargs)
    except TypeError as error:
        raise ConfigError(f"{name}: {error}. It is called as {name}{signature}.") from error


def _nearest(name: str, known: list[str]) -> str:
    """Near names only: a whole module's contents would bury the message."""
    hint = did_you_mean(name, known)
    return hint if hint.startswith(" Did") else ""
