"""A function of the user's module as the module's file has it now, which is what workers import."""

from __future__ import annotations

import importlib
import linecache
import sys
import types
from collections.abc import Iterator
from typing import Any

from besom.errors import ConfigError, reason_of


def as_in_file(thing: Any) -> Any:
    """A function or class, imported again if its file has changed since it was imported.

    What is no function or class of a module (one from a notebook, a lambda, an array) is returned
    as it is.

    Raises:
        ConfigError: the file cannot be imported any more, or has no such name.
    """
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if not isinstance(thing, types.FunctionType | type) or "<" in thing.__qualname__:
        return thing
    if module is None or module.__name__ == "__main__" or not _has_changed(thing):
        return thing
    found = _attribute(module, thing.__qualname__)
    if found is None or _has_changed(found):
        try:
            found = _attribute(importlib.reload(module), thing.__qualname__)
        except Exception as error:  # whatever a user's module does when it is imported
            raise ConfigError(
                f"{module.__name__} has changed and cannot be imported again: {reason_of(error)}."
            ) from error
    if found is None or _has_changed(found):
        raise ConfigError(
            f"{thing.__qualname__} is no longer in {module.__file__}, which the workers import. "
            "Put it back, or give another function."
        )
    return found


def _attribute(module: types.ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _has_changed(thing: Any) -> bool:
    """Whether the file has other code for it than what was imported."""
    own = list(_codes_of(thing))
    if not own:
        return False
    linecache.checkcache(own[0].co_filename)
    source = "".join(linecache.getlines(own[0].co_filename))
    try:
        whole = compile(source, own[0].co_filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return True
    return bool(source) and not set(own) <= set(_inner(whole))


def _codes_of(thing: Any) -> Iterator[types.CodeType]:
    """The code of a function, or of what a class itself defines."""
    members = vars(thing).values() if isinstance(thing, type) else [thing]
    for member in members:
        code = getattr(getattr(member, "__func__", member), "__code__", None)
        if isinstance(code, types.CodeType) and not code.co_filename.startswith("<"):
            yield code


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _inner(constant)
